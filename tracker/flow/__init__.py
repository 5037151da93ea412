"""Optical flow: dense fields between frames, and points chained along them."""
