"""Query points, tracks, and how they are drawn."""
