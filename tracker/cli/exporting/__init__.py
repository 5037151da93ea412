"""Commands that write a tracker for other programs to run."""
