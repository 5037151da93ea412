"""Commands that show what runs left: curves and tables."""
