"""Rendered scenes with exact tracks and visibility."""
