"""The layers of a scene, and how a sprite is drawn over what lies behind it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from tracker.scenes.motion import LayerMotion
from tracker.scenes.photometric import Photometry


@dataclass(frozen=True)
class Layer:
    """A textured square of side 2 * half pixels; `paint` is RGB, then signed distance.

    The background has no outline, and its picture is mirrored beyond its sides.
    """

    paint: Tensor  # (4, n, n) float32; the distance is in pixels, positive inside
    half: float
    is_background: bool

    def look_up(self, channels: slice, u_x: Tensor, u_y: Tensor) -> Tensor:
        """Bilinear samples (C, T, h, w) of some channels at layer coordinates, each (T, h, w)."""
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
        """Whether the layer is opaque at frame positions, each (T, h, w). Returns bool."""
        if self.is_background:
            return torch.ones_like(x, dtype=torch.bool)
        return self.look_up(slice(3, 4), *motion.layer_coordinates(x, y))[0] >= 0


def draw_sprite(
    video: Tensor,
    layer_map: Tensor,
    layer: Layer,
    motion: LayerMotion,
    index: int,
    photometry: Photometry,
    times: Tensor,
) -> None:
    """Draws a sprite and its shadow over (3, T, H, W) video and (T, H, W) layer_map, in place.

    Only a box around the sprite is computed: of one size for all frames, so that the frames stay
    batched, with its own place in each.
    """
    down, right = photometry.shadow_shift if photometry.shadow else (0, 0)
    instants, left, top, (height, width) = sprite_boxes(
        motion, layer.half, video.shape[2:], (abs(down), abs(right))
    )
    if not len(instants):
        return
    device = video.device
    moved = motion.at(torch.from_numpy(instants))
    x = torch.from_numpy(left)[:, None, None] + (torch.arange(width) + 0.5)
    y = torch.from_numpy(top)[:, None, None] + (torch.arange(height) + 0.5)[:, None]
    scale = moved.scale(layer.half)[0].float().to(device)[:, None, None]
    seen = moved.to(device).layer_coordinates(x.float().to(device), y.float().to(device))
    paint = layer.look_up(slice(0, 4), *seen)
    colours, distance = paint[:3], paint[3]
    recolour(colours, photometry, index, times[instants])
    inside = distance >= 0
    if photometry.shadow:
        shade = (distance / photometry.shadow_width).clamp_(0, 1).mul_(-photometry.shadow).add_(1)
    alpha = (distance * scale).add_(0.5).clamp_(0, 1)
    for k, (t, x0, y0) in enumerate(zip(instants, left, top, strict=True)):
        if photometry.shadow:
            below, box = overlap(video.shape[2:], (height, width), y0 + down, x0 + right)
            video[:, t, *below] *= shade[k, *box]
        below, box = overlap(video.shape[2:], (height, width), y0, x0)
        video[:, t, *below].lerp_(colours[:, k, *box], alpha[k, *box])
        layer_map[t, *below].masked_fill_(inside[k, *box], index)


def recolour(colours: Tensor, photometry: Photometry, layer: int, times: Tensor) -> None:
    """Applies a layer's drift of colour at (T,) times to its (3, T, h, w) colours, in place."""
    if photometry.drift:
        gain, offset = photometry.layer_colour(layer, times)
        colours.mul_(gain.to(colours)[..., None, None])
        colours.add_(offset.to(colours)[..., None, None]).clamp_(0, 1)


def sprite_boxes(
    motion: LayerMotion, half: float, size: tuple[int, int], margin: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Where a sprite of half side `half` may be seen.

    Args:
        motion: its maps at T instants, on the CPU.
        half: pixels.
        size: (height, width) of the frame.
        margin: (vertical, horizontal) pixels around the frame that count as seen.

    Returns:
        The instants at which it is in sight; the left and top of its box at each, in pixels; the
        (height, width) of the boxes.
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
    """Slices of a frame and of a box placed at (top, left) where the two overlap."""
    inner, outer = [], []
    for length, extent, start in zip(size, box, (top, left), strict=True):
        first, last = max(start, 0), max(min(start + extent, length), max(start, 0))
        inner.append(slice(first, last))
        outer.append(slice(first - start, last - start))
    return tuple(inner), tuple(outer)
