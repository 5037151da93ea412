"""Commands that take up what runs left: tracks for other programs, curves and tables."""
