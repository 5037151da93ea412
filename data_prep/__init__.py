"""Commands that prepare what training and evaluation read."""
