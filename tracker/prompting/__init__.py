"""Words as prompts: objects that are named in words are found, outlined and given points.

    from tracker.prompting.finding import find

    found = find("clip.mp4", ["a cat", "a dog"])
    tracks = PointTracker.from_pretrained("mini").track("clip.mp4", found.queries(8))

OWLv2 finds boxes in a few frames, SAM 2 turns boxes into masks, and points that are followed from
mask to mask tell which of them show one object.
"""
