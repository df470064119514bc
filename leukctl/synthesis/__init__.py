"""Synthetic stained blood cells: pictures with masks, subjects and sources, of no patient."""
