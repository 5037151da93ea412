"""What is made by many workers, besides tracks."""
