"""What `track` does with each video that it is given."""
