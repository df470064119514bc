"""The audit of a split: copies that cross it, and labels that can be told without the cells."""

from leukctl.auditing.look import Look, look_at

__all__ = ["Look", "look_at"]
