"""The convolutional branch: unit features of the pixels at strides 4, 8 and 16."""

from __future__ import annotations

import torch

from tracker.head.stem import RgbStem


def test_shapes_and_unit_length() -> None:
    outputs = RgbStem(12)(torch.rand(2, 3, 64, 96))
    assert [x.shape for x in outputs] == [(2, 12, 16, 24), (2, 12, 8, 12), (2, 12, 4, 6)]
    for x in outputs:
        torch.testing.assert_close(x.norm(dim=1), torch.ones_like(x[:, 0]))
