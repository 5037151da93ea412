"""Commands that people click in."""
