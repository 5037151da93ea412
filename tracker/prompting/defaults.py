"""What is used where nobody says otherwise; read by the command line too, before torch is."""

DETECTOR = "google/owlv2-base-patch16-ensemble"

SEGMENTER = "facebook/sam2.1-hiera-small"

THRESHOLD = 0.1
"""Score that a box must be above: what transformers takes."""

GRID = 8
"""Rows and columns of points in an object."""
