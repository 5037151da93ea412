"""Distillation: a small V-JEPA 2 learns to predict the features of a larger network."""
