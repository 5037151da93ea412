"""Frozen matching as a table: known truth, known answers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tracker.pretraining.frozen.describers import describe_by_pixels
from tracker.pretraining.frozen.nearest import Way, enlarge, measure, similarity
from tracker.pretraining.frozen.videos import TrackedVideo

CELLS, FRAMES, STEP = 16, 4, 2


def moving(seed: int = 0, step: int = STEP) -> TrackedVideo:
    """Noise of 16x16 cells that moves `step` cells a frame to the right, and its points."""
    random = Generator().manual_seed(seed)
    wide = torch.randint(256, (3, CELLS, CELLS + step * FRAMES), generator=random)
    frames = []
    for t in range(FRAMES):
        left = step * (FRAMES - t)
        frames.append(wide[:, :, left : left + CELLS])
    video = F.interpolate(torch.stack(frames).float(), scale_factor=16).byte()
    start = (
        torch.stack(torch.meshgrid(torch.arange(5), torch.arange(5), indexing="xy"), -1).reshape(
            -1, 1, 2
        )
        * 2
        + 0.5
    ) / CELLS
    way = torch.tensor([step / CELLS, 0.0]) * torch.arange(FRAMES)[:, None]
    xy = start + way
    visible = torch.ones(xy.shape[:2], dtype=torch.bool)
    return TrackedVideo(str(seed), video, xy, visible, torch.zeros(len(xy), dtype=torch.int64))


def pixels(frames: Tensor) -> Tensor:
    return describe_by_pixels((256, 256))(frames)


def noise(frames: Tensor) -> Tensor:
    return torch.randn(len(frames), 8, CELLS, CELLS, generator=Generator().manual_seed(1))


def test_pixels_find_what_moves_by_whole_cells() -> None:
    row = measure([Way("pixels", pixels)], [moving(0), moving(1)])["pixels"]
    assert row.everywhere == row.moved == (1.0, 1.0, 1.0, 1.0)
    # Of three later frames, a point has moved 32, 64 and 96 pixels.
    assert row.counts == (2 * 25 * 3, 2 * 25 * 3)


def test_noise_finds_by_chance() -> None:
    row = measure([Way("noise", noise)], [moving(n) for n in range(8)])["noise"]
    assert row.everywhere[2] == pytest.approx(5 / 256, abs=0.03)  # a cell and its neighbours
    assert row.everywhere[0] <= row.everywhere[1] <= row.everywhere[3]


def test_what_counts() -> None:
    """Frames before the query and hidden ones do not; nor do those that moved little as moved."""
    video = moving(step=1)
    query = torch.full_like(video.query, 1)
    visible = video.visible.clone()
    visible[:, 3] = False
    late = TrackedVideo("late", video.frames, video.xy, visible, query)
    assert measure([Way("pixels", pixels)], [late])["pixels"].counts == (25, 0)
    still = moving(step=0)
    row = measure([Way("pixels", pixels)], [still])["pixels"]
    assert row.counts == (75, 0) and row.everywhere[0] == 1.0 and row.moved[0] == 0.0


def test_two_maps_together() -> None:
    """The weight says how much the second one counts."""
    video = moving(3)

    ways = [
        Way("none", noise),
        Way("little", noise, pixels, 1e-6),
        Way("much", noise, pixels, 1e3),
    ]
    rows = measure(ways, [video])
    assert rows["little"] == rows["none"]
    assert rows["none"].everywhere[0] < 0.2 and rows["much"].everywhere[1] > 0.9


def test_a_coarse_map_helps_a_fine_one() -> None:
    """Of things that look alike in all four quarters, the second map says which is meant."""
    video = moving(3)
    quarter = torch.arange(4).repeat_interleave(CELLS // 4)

    def fine(frames: Tensor) -> Tensor:
        """Columns within a quarter, alike in all of them."""
        return (
            F.one_hot(torch.arange(CELLS) % 4)
            .T.float()[None, :, None]
            .expand(len(frames), -1, CELLS, -1)
        )

    def coarse(frames: Tensor) -> Tensor:
        return F.one_hot(quarter).T.float()[None, :, None, ::4].expand(len(frames), -1, 4, -1)

    still = TrackedVideo(
        "still", video.frames, video.xy[:, :1].expand(-1, FRAMES, -1), video.visible, video.query
    )
    rows = measure([Way("alone", fine), Way("with", fine, coarse, 0.5)], [still])
    # Rows are not told apart: the first one is taken, where a fifth of the points lie.
    first = (still.query_xy * CELLS < torch.tensor([4, 1])).all(-1)
    assert rows["alone"].everywhere[0] == pytest.approx(float(first.float().mean()))
    assert rows["with"].everywhere[0] >= 1.5 * rows["alone"].everywhere[0]


def test_queries_are_read_between_cells() -> None:
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    maps = torch.cat([ramp, torch.ones_like(ramp)], 1)
    xy = torch.tensor([[[0.5, 0.5]]])
    video = TrackedVideo(
        "one", torch.zeros(1, 3, 8, 8).byte(), xy, torch.ones(1, 1).bool(), torch.tensor([0])
    )
    alike = similarity(maps, video)[0, 0, 0]
    assert alike.argmax() in (3, 4)
    assert alike[3] == pytest.approx(float(alike[4]), abs=1e-3)


def test_enlarging_keeps_middles() -> None:
    bump = torch.zeros(1, 1, 4, 4)
    bump[..., 1, 2] = 1
    large = enlarge(bump, (12, 12))
    assert divmod(int(large.argmax()), 12) == (4, 7)
