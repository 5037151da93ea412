"""Videos with true tracks, and clips without: TAP-Vid, Kubric, PointOdyssey, rendered scenes."""
