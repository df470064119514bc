"""The operations of ``prep``, one small function each, and the chain that applies them."""

from leukctl.preparing.chain import DEFAULT_STEPS, Chain

__all__ = ["DEFAULT_STEPS", "Chain"]
