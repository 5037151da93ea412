"""Commands about backbones: converting checkpoints, comparing encoders."""
