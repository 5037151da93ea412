"""The masks that configs/pretrain_backbone.yaml describes."""

from __future__ import annotations

from tracker.settings import compose, instantiate

_masks = instantiate(compose("pretrain_backbone", [], None).masks)
SHORT_RANGE, LONG_RANGE = _masks["short"], _masks["long"]
