"""Groups of options, and what they ask for: one file each."""
