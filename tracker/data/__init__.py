"""Training and test clips: procedural scenes with exact tracks and visibility."""
