"""`PointTracker`: frozen backbone, template and head over whole videos and streams."""
