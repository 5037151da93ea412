"""Frozen matching: known truth, known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_models import tiny_backbone
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.features.backbone import FeatureVolume
from tracker.pretraining.matching import (
    MatchingYardstick,
    Pck,
    PixelPatches,
    PointTracks,
    baselines,
    headline,
    match,
)
from tracker.training.batches import TrackedClips

PATCH, GRID, FRAMES = 16, 8, 6


def moving_clip(seed: int, step: int = PATCH) -> tuple[Tensor, Tensor, Tensor]:
    """Noise that moves `step` pixels per tubelet to the right; points at the centres of patches."""
    random = Generator().manual_seed(seed)
    wide = torch.rand(3, GRID * PATCH, GRID * PATCH + 2 * step, generator=random)
    frames, xy = [], []
    rows = torch.arange(GRID) * PATCH + PATCH / 2
    start = torch.stack(torch.meshgrid(rows[:4], rows, indexing="xy"), -1).reshape(-1, 2)
    for t in range(FRAMES):
        shift = step * (t // 2)
        left = wide.shape[-1] - GRID * PATCH - shift
        frames.append(wide[:, :, left : left + GRID * PATCH])
        xy.append(start + torch.tensor([float(shift), 0.0]))
    track = torch.stack(xy, 1)
    visible = (track[..., 0] < GRID * PATCH) & (track[..., 0] > 0)
    return torch.stack(frames), track, visible


def moving_clips(clips: int = 2, step: int = PATCH) -> TrackedClips:
    videos, tracks, visible = zip(*(moving_clip(s, step) for s in range(clips)), strict=True)
    queries = torch.zeros(clips, tracks[0].shape[0], dtype=torch.int64)
    return TrackedClips(torch.stack(videos), torch.stack(tracks), torch.stack(visible), queries)


def others(count: int = 8) -> Tensor:
    return torch.stack([moving_clip(100 + s)[0] for s in range(count)])


@pytest.fixture(scope="module")
def yardstick() -> MatchingYardstick:
    return MatchingYardstick(moving_clips(), others())


def test_pixels_find_what_moves_by_whole_patches(yardstick: MatchingYardstick) -> None:
    scores = yardstick.measure(PixelPatches(PATCH, (128, 128)))
    assert scores.everywhere == scores.moved == Pck([1.0], [1.0], 1.0)


def test_template_removes_position(yardstick: MatchingYardstick) -> None:
    """A strong code of the place misleads raw features, and is gone after subtraction."""
    pixels = PixelPatches(PATCH, (128, 128))
    code = 20 * torch.randn(1, 1, 1, 1536, GRID, GRID, generator=Generator().manual_seed(0))

    def positional(video: Tensor) -> FeatureVolume:
        volume = pixels(video)
        return replace(volume, features=volume.features + code)

    scores = yardstick.measure(positional)
    assert scores.moved.raw[0] < 0.1 and scores.moved.template[0] > 0.95
    assert scores.everywhere.raw[0] == pytest.approx(0.5, abs=0.1)  # as the guess that all is still
    assert scores.positional_share > 0.9
    assert scores.residual_rank > 10


def test_still_guess_is_right_only_where_nothing_moves(yardstick: MatchingYardstick) -> None:
    # After one step of a patch the place is one patch off, which still counts; after two it is not.
    assert yardstick.standing_still((GRID, GRID)) == pytest.approx(0.5)
    still = MatchingYardstick(moving_clips(step=0), others())
    assert still.standing_still((GRID, GRID)) == 1.0


def test_random_features_match_by_chance(yardstick: MatchingYardstick) -> None:
    random = Generator().manual_seed(0)

    def noise(video: Tensor) -> FeatureVolume:
        slots = FRAMES // 2
        features = torch.randn(1, 1, slots, 32, GRID, GRID, generator=random)
        return FeatureVolume(features, torch.arange(FRAMES) // 2, torch.arange(slots))

    # A patch and its four neighbours are within one patch: 5 of 64.
    assert yardstick.measure(noise).everywhere.raw[0] == pytest.approx(5 / 64, abs=0.06)


def test_what_is_counted() -> None:
    """Hidden frames and the query's own tubelet do not count."""
    features = F.one_hot(torch.arange(4)).float().T.reshape(1, 1, 4, 2, 2).repeat(1, 3, 1, 1, 1)
    slot = torch.tensor([0, 0, 1, 1, 2, 2])
    xy = torch.tensor([[0.25, 0.25], [0.75, 0.75]])[:, None].repeat(1, 6, 1)
    visible = torch.ones(2, 6, dtype=torch.bool)
    visible[1, 4:] = False
    clip = PointTracks(xy, visible, torch.tensor([0, 3]))
    right = match(features, slot, clip)[0]
    assert right.tolist() == [
        [False, False, True, True, True, True],
        [True, True, False, False, False, False],
    ]


def test_size_of_the_video_does_not_matter() -> None:
    """Positions are in pixels of the video, features of whatever the extractor resizes it to."""
    clips = moving_clips()
    twice = replace(
        clips, video=clips.video.repeat_interleave(2, -1).repeat_interleave(2, -2), xy=2 * clips.xy
    )
    large = others().repeat_interleave(2, -1).repeat_interleave(2, -2)
    scores = MatchingYardstick(twice, large).measure(PixelPatches(PATCH, (128, 128)))
    assert scores.everywhere.raw == [1.0]


def test_backbone_and_baselines() -> None:
    yardstick = MatchingYardstick.procedural(2, 3, 8, (64, 64), points=16)
    backbone = tiny_backbone(dtype="float32")
    scores = yardstick.measure(backbone)
    assert len(scores.moved.raw) == len(scores.everywhere.template) == 2
    row = headline(scores) | baselines(yardstick, backbone)
    ways = [f"{pck}_{way}" for pck in ("pck", "moved") for way in ("raw", "template", "layers")]
    assert set(row) == {f"{who}{w}" for who in ("", "random_", "pixels_") for w in ways} | {
        "still_pck"
    }
    assert all(0 <= value <= 1 for value in row.values())
    assert yardstick.measure(backbone) == scores


def test_bad_input() -> None:
    with pytest.raises(UserError, match="2 or more template clips"):
        MatchingYardstick(moving_clips(1), others(1))
    with pytest.raises(UserError, match="not finite"):
        MatchingYardstick(moving_clips(1), others(2)).measure(
            lambda v: FeatureVolume(
                torch.full((1, 1, 3, 4, 8, 8), torch.nan), *[torch.arange(6)] * 2
            )
        )
