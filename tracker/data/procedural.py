"""Procedural scenes: pictures cut out and moved over pictures, with exact tracks and visibility.

A scene is a stack of flat layers, a background and sprites, each with its own texture, outline and
motion. The same maps draw the pixels and carry the points, so the truth is exact. Everything
random in a scene comes from one CPU generator seeded with the seed of the scene.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import grid_sample

from tracker.data.photometric import (
    PhotometricConfig,
    Photometry,
    develop,
    draw_photometry,
)
from tracker.data.scene_motion import LayerMotion, MotionConfig, SceneMotion, draw_motion, uniform
from tracker.data.textures import TextureBank, draw_outline
from tracker.errors import UserError

BACKGROUND_REACH = 0.62  # half side of the background's picture, in longer frame sides
MAX_TEXELS = 640


@dataclass(frozen=True)
class SceneConfig:
    """What scenes are like. Sizes of sprites are fractions of the shorter frame side."""

    frames: int = 24
    height: int = 256
    width: int = 256
    points: int = 256
    min_sprites: int = 4
    max_sprites: int = 10
    min_size: float = 0.08
    max_size: float = 0.7
    min_texel: float = 0.9  # frame pixels per texel where a layer appears smallest
    max_texel: float = 1.8
    on_sprites: float = 0.55  # share of points sought on sprites, each sprite alike
    near_borders: float = 0.4  # share of those sought near the outline
    motion: MotionConfig = field(default_factory=MotionConfig)
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16:
            raise UserError(f"frame {self.width}x{self.height} is too small: use 16 px or more")
        if self.frames < 1 or self.points < 1:
            raise UserError(
                f"a scene of {self.frames} frames and {self.points} points: use 1 or more of each"
            )
        if not 0 <= self.min_sprites <= self.max_sprites <= 254:
            raise UserError(
                f"sprites {self.min_sprites}..{self.max_sprites}: use 0 <= min <= max <= 254"
            )
        if not 0 < self.min_size <= self.max_size:
            raise UserError(f"sizes {self.min_size}..{self.max_size}: use 0 < min <= max")

    def clean(self) -> "SceneConfig":
        """The same scenes without light, blur, noise or any other photometric effect."""
        return replace(self, photometric=PhotometricConfig.off())


@dataclass(frozen=True)
class Scenes:
    """A batch of B clips of T frames with N tracked points each."""

    video: Tensor  # (B, T, 3, H, W) float32 in 0..1
    xy: Tensor  # (B, N, T, 2) float32 raster pixels, true also where the point is not seen
    visible: Tensor  # (B, N, T) bool
    point_layer: Tensor  # (B, N) uint8, the layer each point belongs to
    layer_map: Tensor  # (B, T, H, W) uint8, the nearest layer; 0 background, larger is nearer
    texel_colour: Tensor  # (B, N, 3) float32, colour of the point in its texture


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
        return samples.view(-1, frames, height, width)

    def covers(self, motion: LayerMotion, x: Tensor, y: Tensor) -> Tensor:
        """Whether the layer is opaque at frame positions, each (T, h, w). Returns bool."""
        if self.is_background:
            return torch.ones_like(x, dtype=torch.bool)
        return self.look_up(slice(3, 4), *motion.layer_coordinates(x, y))[0] >= 0


def render_scenes(
    seeds: Sequence[int],
    config: SceneConfig,
    textures: TextureBank,
    device: torch.device | str = "cpu",
) -> Scenes:
    """Renders one scene per seed; each is the same in any batch.

    Args:
        seeds: B seeds, not negative.
        config: what the scenes are like.
        textures: the pictures to use.
        device: where to render.

    Returns:
        The batch, on the device.

    Raises:
        UserError: there is no seed.
    """
    if not seeds:
        raise UserError("render_scenes got no seed: give one per scene")
    scenes = [render_scene(seed, config, textures, device) for seed in seeds]
    return Scenes(*(torch.stack(parts) for parts in zip(*scenes, strict=True)))


@torch.no_grad()
def render_scene(
    seed: int, config: SceneConfig, textures: TextureBank, device: torch.device | str
) -> tuple[Tensor, ...]:
    """Renders one scene: the fields of `Scenes` without their batch dimension."""
    generator = Generator().manual_seed(seed)
    size = (config.height, config.width)
    radius = draw_radii(generator, config)
    motion = draw_motion(generator, config.motion, config.frames, size, radius)
    maps = motion.at(torch.arange(config.frames, dtype=torch.float64))
    layers = draw_layers(generator, config, radius, maps, textures)
    # The appearance is drawn last, so that switching effects off leaves the geometry alone.
    candidates = draw_candidates(generator, config, layers)
    photometry = draw_photometry(generator, config.photometric, config.frames, size, len(layers))

    layers = [replace(layer, paint=layer.paint.to(device)) for layer in layers]
    track = track_points(candidates, config, layers, [m.to(device) for m in maps])
    video, layer_map = draw_clip(config, layers, motion, photometry, device)
    return develop(video, photometry).transpose(0, 1), *track[:3], layer_map, track[3]


# --- layers ---


def draw_radii(generator: Generator, config: SceneConfig) -> Tensor:
    """Half sizes in pixels of the background and of a random number of sprites, (L,) float64."""
    choices = config.max_sprites - config.min_sprites + 1
    sprites = config.min_sprites + int(float(uniform(generator, 0, 1)) * choices)
    ratio = config.max_size / config.min_size
    sizes = config.min_size * ratio ** uniform(generator, 0, 1, sprites).sqrt()  # more large ones
    background = torch.tensor([BACKGROUND_REACH * max(config.height, config.width)])
    return torch.cat([background.double(), sizes * min(config.height, config.width) / 2])


def draw_layers(
    generator: Generator,
    config: SceneConfig,
    radius: Tensor,
    maps: list[LayerMotion],
    textures: TextureBank,
) -> list[Layer]:
    """Draws the textures, as fine as the layers need where they appear smallest.

    No texture is ever reduced by much then, so plain bilinear sampling does not alias.
    """
    layers = []
    for i, (moved, half) in enumerate(zip(maps, radius.tolist(), strict=True)):
        _, smallest = moved.scale(half)
        texel = float(uniform(generator, config.min_texel, config.max_texel)) / smallest
        texels = min(max(round(2 * half / texel), 12), MAX_TEXELS)
        colours = textures.sample(generator, texels)
        outline = draw_outline(generator, texels) if i else torch.ones(texels, texels)
        layers.append(Layer(torch.cat([colours, outline[None] * half]), half, i == 0))
    return layers


# --- points ---


@dataclass(frozen=True)
class Candidates:
    """M random places to look for points: on a random layer (first kind) or in a random frame."""

    on_sprite: Tensor  # (M,) bool
    layer: Tensor  # (M,) sprite, for the first kind
    u: Tensor  # (M, 2) layer pixels, inside its outline
    instant: Tensor  # (M,) frame, for the second kind
    x: Tensor  # (M,) raster pixels
    y: Tensor  # (M,)


def draw_candidates(generator: Generator, config: SceneConfig, layers: list[Layer]) -> Candidates:
    """Draws more candidates than points are wanted: those on hidden sprites are dropped later."""
    count, tries = 3 * config.points + 64, 12
    on_sprite = uniform(generator, 0, 1, count) < (config.on_sprites if len(layers) > 1 else 0)
    at_border = uniform(generator, 0, 1, count) < config.near_borders
    layer = 1 + (uniform(generator, 0, 1, count) * (len(layers) - 1)).long()
    spots = uniform(generator, -1, 1, count, tries, 2).float()
    u = torch.zeros(count, 2)
    for i, sprite in enumerate(layers[1:], start=1):
        mine = (layer == i).nonzero()[:, 0]
        places = spots[mine] * sprite.half
        inside = sprite.look_up(slice(3, 4), *places[None].unbind(-1))[0, 0]
        # The first try inside the outline, or the one nearest to it: order them by a rank.
        order = torch.where(at_border[mine, None], inside, torch.arange(float(tries)))
        best = torch.where(inside >= 0, order, torch.inf).argmin(1)
        u[mine] = places[torch.arange(len(mine)), best]
    instant, x, y = uniform(generator, 0, 1, 3, count).float()
    return Candidates(
        on_sprite,
        layer,
        u,
        (instant * config.frames).long().clamp(max=config.frames - 1),
        x * config.width,
        y * config.height,
    )


def track_points(
    candidates: Candidates, config: SceneConfig, layers: list[Layer], maps: list[LayerMotion]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Follows the candidates and keeps the first N that are visible in some frame.

    Returns:
        xy (N, T, 2), visible (N, T), point_layer (N,) uint8, texel_colour (N, 3).
    """
    device = layers[0].paint.device
    instant = candidates.instant.to(device)
    x, y = (c.to(device)[:, None, None] for c in (candidates.x, candidates.y))
    layer, u = torch.zeros_like(instant), torch.zeros(len(instant), 2, device=device)
    for i, (surface, moved) in enumerate(zip(layers, maps, strict=True)):
        at = moved.at(instant)
        on_top = surface.covers(at, x, y)[:, 0, 0]
        layer = torch.where(on_top, i, layer)
        seen = torch.stack(at.layer_coordinates(x, y), -1)[:, 0, 0]
        u = torch.where(on_top[:, None], seen, u)
    on_sprite = candidates.on_sprite.to(device)
    layer = torch.where(on_sprite, candidates.layer.to(device), layer)
    u = torch.where(on_sprite[:, None], candidates.u.to(device), u)

    xy = torch.zeros(len(u), config.frames, 2, device=device)
    visible = torch.ones(len(u), config.frames, dtype=torch.bool, device=device)
    colour = torch.zeros(len(u), 3, device=device)
    for i, (surface, moved) in enumerate(zip(layers, maps, strict=True)):
        mine = layer == i
        xy[mine] = moved.frame_coordinates(u[mine])
        samples = surface.look_up(slice(0, 4), *u[mine].T[:, None, None])[:, 0, 0].T
        colour[mine] = samples[:, :3]
        visible[mine] = (samples[:, 3:] >= 0) | surface.is_background
    for i, (surface, moved) in enumerate(zip(layers, maps, strict=True)):
        if i:
            covered = surface.covers(moved, *xy.transpose(0, 1)[:, None].unbind(-1))[:, 0].T
            visible &= ~(covered & (layer < i)[:, None])
    limits = torch.tensor([config.width, config.height], device=device)
    visible &= ((xy >= 0) & (xy < limits)).all(-1)

    kept = (~visible.any(1)).byte().argsort(stable=True)[: config.points]
    return xy[kept], visible[kept], layer[kept].byte(), colour[kept]


# --- pixels ---


def draw_clip(
    config: SceneConfig,
    layers: list[Layer],
    motion: SceneMotion,
    photometry: Photometry,
    device: torch.device | str,
) -> tuple[Tensor, Tensor]:
    """Renders the layers from far to near, averaging sub-frames over the exposure.

    Returns:
        video (3, T, H, W) float32 before the lens, and layer_map (T, H, W) uint8 at mid-exposure.
    """
    count = photometry.subframes
    exposure = (torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5
    times = torch.arange(config.frames, dtype=torch.float64)[:, None]
    times = (times + photometry.shutter * exposure).flatten()
    maps = motion.at(times)

    x = (torch.arange(config.width, device=device) + 0.5)[None, None, :]
    y = (torch.arange(config.height, device=device) + 0.5)[None, :, None]
    seen = maps[0].to(device).layer_coordinates(x, y)
    video = layers[0].look_up(slice(0, 3), *seen)
    recolour(video, photometry, 0, times)
    layer_map = torch.zeros(video.shape[1:], dtype=torch.uint8, device=device)
    for i in range(1, len(layers)):
        draw_sprite(video, layer_map, layers[i], maps[i], i, photometry, times)
    if count > 1:
        video = video.unflatten(1, (config.frames, count)).mean(2)
    return video, layer_map[count // 2 :: count].contiguous()


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


class SceneStream:
    """An endless stream of batches; batch k has the seeds first_seed + k * batch_size and on.

    `position` is the number of batches given so far: set it, or load a state, to resume.
    """

    def __init__(
        self,
        config: SceneConfig,
        textures: TextureBank,
        batch_size: int,
        first_seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise UserError(f"batch size {batch_size}: use 1 or more")
        self.config = config
        self.textures = textures
        self.batch_size = batch_size
        self.first_seed = first_seed
        self.device = device
        self.position = 0

    def __iter__(self) -> Iterator[Scenes]:
        return self

    def __next__(self) -> Scenes:
        start = self.first_seed + self.position * self.batch_size
        seeds = range(start, start + self.batch_size)
        scenes = render_scenes(seeds, self.config, self.textures, self.device)
        self.position += 1
        return scenes

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = state["position"]
