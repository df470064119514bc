"""Leaks between splits, and shortcuts to the label past the cells."""
