"""Encoders of pictures: each frame is described on its own."""
