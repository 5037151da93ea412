"""Frozen V-JEPA 2: checkpoints, patch features, and the positional template to subtract."""
