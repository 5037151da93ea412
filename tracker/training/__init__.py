"""Training: the loop that all runs share, its folder and log, and the head's task."""
