"""Tracks as files of other programs, and known places of points from theirs.

tracks.save("shot.nk")
tracks.save("labels.json", format="coco")
queries = Queries.load("CollectedData_anna.csv")

One file for each trade; `tracker.formats.registry.FORMATS` holds all formats by name.
"""
