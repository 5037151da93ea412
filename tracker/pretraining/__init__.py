"""Making a backbone: objectives, the matching yardstick, the probe."""
