"""V-JEPA's training objective: predict what is hidden, in the space of features.

Masks hide most of a clip; the context encoder sees the rest; the predictor guesses the features
that a slowly following target encoder finds at the hidden places (Bardes et al., arXiv 2404.08471).
"""
