"""The layers of a scene, and how a sprite is drawn over what lies behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from tracker.scenes.layer_motion import LayerMotion
from tracker.scenes.photometric import Photometry


@dataclass(frozen=True)
class Layer:
    """A textured square.

    The background has no outline, and its picture is mirrored beyond its sides.

    Attributes:
        paint: `(4, n, n) float32`: RGB, then the signed distance to the outline in pixels,
            positive inside.
        half: half its side, pixels.
        is_background: whether it is the scene's background.
    """

    paint: Tensor
    half: float
    is_background: bool

    def sample(self, channels: slice, u_x: Tensor, u_y: Tensor) -> Tensor:
        """Read some channels at layer coordinates, each `(T, h, w)`, bilinearly: `(C, T, h, w)`."""
        frames, height, width = u_x.shape
        grid = torch.empty(*u_x.shape, 2, device=u_x.device)
        torch.mul(u_x, 1 / self.half, out=grid[..., 0])
        torch.mul(u_y, 1 / self.half, out=grid[..., 1])
        samples = grid_sample(
            self.paint[None, channels],
            grid.view(1, frames * height, width, 2),
            padding_mode="reflection" if self.is_background else "border",
            align_corners=False,
        )
        return samples.view(samples.shape[1], frames, height, width)

    def covers(self, motion: LayerMotion, x: Tensor, y: Tensor) -> Tensor:
        """Return whether the layer is opaque at frame positions, each `(T, h, w)`."""
        if self.is_background:
            return torch.ones_like(x, dtype=torch.bool)
        return self.sample(slice(3, 4), *motion.layer_coordinates(x, y))[0] >= 0


def draw_sprite(
    video: Tensor,
    layer_map: Tensor,
    layer: Layer,
    motion: LayerMotion,
    index: int,
    photometry: Photometry,
    times: Tensor,
) -> None:
    """Draw a sprite and its shadow over video and layer map, in place.

    Only a box around the sprite is computed: of one size for all frames, so that the frames stay
    batched, with its own place in each.

    Args:
        video: `(3, T, H, W)` in 0..1.
        layer_map: `(T, H, W) uint8`.
        layer: the sprite.
        motion: its maps at the T instants.
        index: its number in the layer map.
        photometry: colours and shadow.
        times: `(T,)` the instants, in frames.
    """
    down, right = photometry.shadow_shift if photometry.shadow else (0, 0)
    frame = (video.shape[2], video.shape[3])
    instants, left, top, box_size = sprite_boxes(motion, layer.half, frame, (abs(down), abs(right)))
    if not len(instants):
        return
    device = video.device
    moved = motion.at(torch.from_numpy(instants))
    height, width = box_size
    x = torch.from_numpy(left)[:, None, None] + (torch.arange(width) + 0.5)
    y = torch.from_numpy(top)[:, None, None] + (torch.arange(height) + 0.5)[:, None]
    scale = moved.scale(layer.half)[0].float().to(device)[:, None, None]
    u = moved.to(device).layer_coordinates(x.float().to(device), y.float().to(device))
    paint = layer.sample(slice(0, 4), *u)
    colours, distance = paint[:3], paint[3]
    recolour(colours, photometry, index, times[instants])
    inside = distance >= 0
    if photometry.shadow:
        shade = (distance / photometry.shadow_width).clamp_(0, 1).mul_(-photometry.shadow).add_(1)
    alpha = (distance * scale).add_(0.5).clamp_(0, 1)
    for k, (t, x0, y0) in enumerate(zip(instants, left, top, strict=True)):
        if photometry.shadow:
            below, box = overlap(frame, box_size, y0 + down, x0 + right)
            video[:, t, *below] *= shade[k, *box]
        below, box = overlap(frame, box_size, y0, x0)
        video[:, t, *below].lerp_(colours[:, k, *box], alpha[k, *box])
        layer_map[t, *below].masked_fill_(inside[k, *box], index)


def recolour(colours: Tensor, photometry: Photometry, layer: int, times: Tensor) -> None:
    """Apply a layer's drift of colour at times `(T,)` to its colours `(3, T, h, w)`, in place."""
    if photometry.drift:
        gain, offset = photometry.layer_colour(layer, times)
        colours.mul_(gain.to(colours)[..., None, None])
        colours.add_(offset.to(colours)[..., None, None]).clamp_(0, 1)


def sprite_boxes(
    motion: LayerMotion, half: float, size: tuple[int, int], margin: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Return where a sprite may be seen.

    Args:
        motion: its maps at T instants, on the CPU.
        half: half its side, pixels.
        size: `(height, width)` of the frame.
        margin: `(vertical, horizontal)` pixels around the frame that count as seen.

    Returns:
        The instants at which it is in sight; the left and top of its box at each, in pixels; the
        `(height, width)` of the boxes.
    """
    reach = half + motion.reach()
    corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]]) * [reach, reach, 1]
    landed = np.einsum("tij,cj->tic", motion.forward.numpy(), corners)
    landed = landed[:, :2] / landed[:, 2:]
    edge = np.array([margin[1], margin[0]])
    low = np.floor(np.maximum(landed.min(2), -edge)).astype(int)
    high = np.ceil(np.minimum(landed.max(2), np.array(size)[::-1] + edge)).astype(int)
    instants = np.flatnonzero((high > low).all(1))
    if not len(instants):
        return instants, instants, instants, (0, 0)
    low, high = low[instants], high[instants]
    width, height = (high - low).max(0)
    return instants, low[:, 0], low[:, 1], (int(height), int(width))


def overlap(
    size: tuple[int, int], box: tuple[int, int], top: int, left: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return slices of a frame and of a box placed at (top, left) where the two overlap.

    Args:
        size: `(height, width)` of the frame.
        box: `(height, width)` of the box.
        top: of the box in the frame, pixels.
        left: of the box in the frame, pixels.
    """
    inner, outer = [], []
    for length, extent, start in zip(size, box, (top, left), strict=True):
        first, last = max(start, 0), max(min(start + extent, length), max(start, 0))
        inner.append(slice(first, last))
        outer.append(slice(first - start, last - start))
    return (inner[0], inner[1]), (outer[0], outer[1])
