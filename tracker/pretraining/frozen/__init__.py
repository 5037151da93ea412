"""How well frozen features find points, with nothing trained: the table of a backbone's worth."""
