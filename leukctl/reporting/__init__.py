"""Scores → table, Markdown, JSON, CSV, HTML; figures; the gate."""
