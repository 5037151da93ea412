"""What frozen features know about motion: attentive probe against average pooling."""
