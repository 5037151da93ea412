"""A plugin for napari: points of a Points layer are followed, corrected there, and followed again.

napari finds it through the manifest `napari.yaml`. Its parts are one widget, a reader of video
files, and a sample.
"""
