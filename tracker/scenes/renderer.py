"""Procedural scenes: pictures cut out and moved over pictures, with exact tracks and visibility.

A scene is a stack of flat layers, a background and sprites, each with its own texture, outline and
motion. The same maps draw the pixels and carry the points, so the truth is exact. Everything
random in a scene comes from one CPU generator seeded with the seed of the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Generator, Tensor

from tracker.devices import check_device
from tracker.errors import UserError
from tracker.points.geometry import inside_frame
from tracker.scenes.editing import EditingConfig, draw_editing
from tracker.scenes.layer_motion import LayerMotion
from tracker.scenes.layers import Layer, draw_sprite, recolour
from tracker.scenes.motion import MotionConfig, draw_earlier, draw_motion
from tracker.scenes.outlines import draw_outline
from tracker.scenes.patterns import plain
from tracker.scenes.photometric import PhotometricConfig, Photometry, develop, draw_photometry
from tracker.scenes.smooth_paths import uniform
from tracker.scenes.textures import TextureBank

BACKGROUND_REACH = 0.62
"""Half side of the background's picture, in longer frame sides."""

MAX_TEXELS = 640
"""Longest side of a layer's texture."""


class Motion(Protocol):
    """What moves the layers of a scene: `SceneMotion`, or one that a task prescribes."""

    def at(self, times: Tensor) -> list[LayerMotion]:
        """Return the maps of all layers at `(T,)` frames in float64."""
        ...


@dataclass(frozen=True)
class SceneConfig:
    """What scenes are like.

    Attributes:
        frames: length.
        height: of the frame, pixels.
        width: of the frame, pixels.
        points: tracked points of a scene.
        min_sprites: fewest sprites of a scene.
        max_sprites: most sprites of a scene.
        min_size: smallest side of a sprite, as a share of the shorter frame side.
        max_size: largest side of a sprite, as the same share.
        min_texel: fewest frame pixels per texel where a layer appears smallest.
        max_texel: most frame pixels per texel there.
        on_sprites: share of points sought on sprites, each sprite alike.
        near_borders: share of those sought near the outline.
        twins: probability that a sprite looks exactly like an earlier one.
        plain: probability that a layer has next to no texture.
        motion: how layers and camera move.
        photometric: what light, lens, sensor and codec do.
        editing: what happens to whole frames.

    Raises:
        UserError: no such scene can be rendered.
    """

    frames: int = 24
    height: int = 256
    width: int = 256
    points: int = 256
    min_sprites: int = 4
    max_sprites: int = 10
    min_size: float = 0.08
    max_size: float = 0.7
    min_texel: float = 0.9
    max_texel: float = 1.8
    on_sprites: float = 0.55
    near_borders: float = 0.4
    twins: float = 0.0
    plain: float = 0.0
    motion: MotionConfig = field(default_factory=MotionConfig)
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)
    editing: EditingConfig = field(default_factory=EditingConfig)

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

    def clean(self) -> SceneConfig:
        """Return the same scenes without light, blur, noise or any other photometric effect."""
        return replace(self, photometric=PhotometricConfig.off(), editing=EditingConfig())


@dataclass(frozen=True)
class Scenes:
    """A batch of B clips of T frames with N tracked points each.

    Attributes:
        video: `(B, T, 3, H, W) float32` in 0..1.
        xy: `(B, N, T, 2) float32` raster pixels, true also where the point is not visible.
        visible: `(B, N, T) bool`.
        point_layer: `(B, N) uint8`, the layer each point belongs to.
        layer_map: `(B, T, H, W) uint8`, the nearest layer; 0 is the background, larger is nearer.
        texel_colour: `(B, N, 3) float32`, colour of the point in its texture.
    """

    video: Tensor
    xy: Tensor
    visible: Tensor
    point_layer: Tensor
    layer_map: Tensor
    texel_colour: Tensor


def render_scenes(
    seeds: Sequence[int],
    config: SceneConfig,
    textures: TextureBank,
    device: torch.device | str = "cpu",
) -> Scenes:
    """Render one scene per seed; each is the same in any batch.

    Args:
        seeds: B seeds, not negative.
        config: what the scenes are like.
        textures: the pictures to use.
        device: where to render; see `check_device`.

    Returns:
        The batch, on the device.

    Raises:
        UserError: there is no seed, or no such device.
    """
    if not seeds:
        raise UserError("render_scenes got no seed: give one per scene")
    device = check_device(device)
    scenes = [render_scene(seed, config, textures, device) for seed in seeds]
    return Scenes(*(torch.stack(parts) for parts in zip(*scenes, strict=True)))


@torch.no_grad()
def render_scene(
    seed: int, config: SceneConfig, textures: TextureBank, device: torch.device
) -> tuple[Tensor, ...]:
    """Render one scene: the fields of `Scenes` without their batch dimension."""
    generator = Generator().manual_seed(seed)
    size = (config.height, config.width)
    radius = draw_radii(generator, config)
    twins = draw_twins(generator, config.twins, len(radius))
    for i, other in twins:
        radius[i] = radius[other]
    motion = draw_motion(generator, config.motion, config.frames, size, radius)
    maps = motion.at(torch.arange(config.frames, dtype=torch.float64))
    layers = draw_layers(generator, config, radius, maps, textures)
    for i, other in twins:
        layers[i] = layers[other]
    # The appearance is drawn last, so that switching effects off leaves the geometry alone.
    candidates = draw_candidates(generator, config, layers)
    photometry = draw_photometry(generator, config.photometric, config.frames, size, len(layers))
    editing = draw_editing(generator, config.editing, config.frames, textures)

    layers = [replace(layer, paint=layer.paint.to(device)) for layer in layers]
    shows = editing.shows.to(device)
    track = track_points(candidates, config, layers, [m.to(device) for m in maps], shows)
    video, layer_map = draw_clip(config, layers, motion, photometry, device)
    video = editing.apply(develop(video, photometry))
    return video.transpose(0, 1), *track[:3], layer_map, track[3]


# --- layers ---


def draw_twins(generator: Generator, probability: float, layers: int) -> list[tuple[int, int]]:
    """Draw pairs of a layer and the earlier sprite that it looks like."""
    earlier = draw_earlier(generator, probability, layers) if probability else []
    return [(i, other) for i, other in enumerate(earlier) if other >= 0]


def draw_radii(generator: Generator, config: SceneConfig) -> Tensor:
    """Draw half sizes `(L,) float64`, pixels, of the background and of some sprites."""
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
    """Draw the textures, as fine as the layers need where they appear smallest.

    No texture is ever reduced by much then, so plain bilinear sampling does not alias.

    Args:
        generator: CPU generator of the scene.
        config: what the scene is like.
        radius: `(L,)` half size of each layer, pixels.
        maps: motion of each layer at all frames.
        textures: the pictures to use.
    """
    layers = []
    for i, (moved, half) in enumerate(zip(maps, radius.tolist(), strict=True)):
        _, smallest = moved.scale(half)
        texel = float(uniform(generator, config.min_texel, config.max_texel)) / smallest
        texels = min(max(round(2 * half / texel), 12), MAX_TEXELS)
        if config.plain and float(uniform(generator, 0, 1)) < config.plain:
            colours = plain(generator, texels)
        else:
            colours = textures.sample(generator, texels)
        outline = draw_outline(generator, texels) if i else torch.ones(texels, texels)
        layers.append(Layer(torch.cat([colours, outline[None] * half]), half, i == 0))
    return layers


# --- points ---


@dataclass(frozen=True)
class Candidates:
    """M random places to take points from: on a random sprite, or in a random frame.

    Attributes:
        on_sprite: `(M,) bool`, which are the former.
        layer: `(M,)` the sprite, for the former.
        u: `(M, 2)` layer pixels inside its outline, for the former.
        instant: `(M,)` the frame, for the latter.
        x: `(M,)` raster pixels in it.
        y: `(M,)` raster pixels in it.
    """

    on_sprite: Tensor
    layer: Tensor
    u: Tensor
    instant: Tensor
    x: Tensor
    y: Tensor


def draw_candidates(generator: Generator, config: SceneConfig, layers: list[Layer]) -> Candidates:
    """Draw more candidates than there are to be points: those always hidden are dropped later."""
    count, tries = 3 * config.points + 64, 12
    on_sprite = uniform(generator, 0, 1, count) < (config.on_sprites if len(layers) > 1 else 0)
    at_border = uniform(generator, 0, 1, count) < config.near_borders
    layer = 1 + (uniform(generator, 0, 1, count) * (len(layers) - 1)).long()
    tried = uniform(generator, -1, 1, count, tries, 2).float()
    u = torch.zeros(count, 2)
    for i, sprite in enumerate(layers[1:], start=1):
        members = (layer == i).nonzero()[:, 0]
        places = tried[members] * sprite.half
        inside = sprite.sample(slice(3, 4), *places[None].unbind(-1))[0, 0]
        # The first try inside the outline, or the one nearest to it: order them by a rank.
        order = torch.where(at_border[members, None], inside, torch.arange(float(tries)))
        best = torch.where(inside >= 0, order, torch.inf).argmin(1)
        u[members] = places[torch.arange(len(members)), best]
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
    candidates: Candidates,
    config: SceneConfig,
    layers: list[Layer],
    maps: list[LayerMotion],
    shows: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Follow the candidates and keep the first N that are visible in some frame.

    Args:
        candidates: places to take points from.
        config: what the scene is like.
        layers: of the scene.
        maps: motion of each layer at all frames.
        shows: `(T,) bool`, frames that show the scene at all.

    Returns:
        `xy (N, T, 2)`, `visible (N, T)`, `point_layer (N,) uint8`, `texel_colour (N, 3)`.
    """
    device = layers[0].paint.device
    instant = candidates.instant.to(device)
    x, y = (c.to(device)[:, None, None] for c in (candidates.x, candidates.y))
    layer, u = torch.zeros_like(instant), torch.zeros(len(instant), 2, device=device)
    for i, (surface, moved) in enumerate(zip(layers, maps, strict=True)):
        at = moved.at(instant)
        on_top = surface.covers(at, x, y)[:, 0, 0]
        layer = torch.where(on_top, i, layer)
        shown = torch.stack(at.layer_coordinates(x, y), -1)[:, 0, 0]
        u = torch.where(on_top[:, None], shown, u)
    on_sprite = candidates.on_sprite.to(device)
    layer = torch.where(on_sprite, candidates.layer.to(device), layer)
    u = torch.where(on_sprite[:, None], candidates.u.to(device), u)

    xy = torch.zeros(len(u), config.frames, 2, device=device)
    visible = torch.ones(len(u), config.frames, dtype=torch.bool, device=device)
    colour = torch.zeros(len(u), 3, device=device)
    for i, (surface, moved) in enumerate(zip(layers, maps, strict=True)):
        members = layer == i
        xy[members] = moved.frame_coordinates(u[members])
        samples = surface.sample(slice(0, 4), *u[members].T[:, None, None])[:, 0, 0].T
        colour[members] = samples[:, :3]
        visible[members] = (samples[:, 3:] >= 0) | surface.is_background
    for i, (surface, moved) in enumerate(zip(layers, maps, strict=True)):
        if i:
            covered = surface.covers(moved, *xy.transpose(0, 1)[:, None].unbind(-1))[:, 0].T
            visible &= ~(covered & (layer < i)[:, None])
    visible &= inside_frame(xy, (config.width, config.height)) & shows

    kept = (~visible.any(1)).byte().argsort(stable=True)[: config.points]
    return xy[kept], visible[kept], layer[kept].byte(), colour[kept]


# --- pixels ---


def draw_clip(
    config: SceneConfig,
    layers: list[Layer],
    motion: Motion,
    photometry: Photometry,
    device: torch.device | str,
) -> tuple[Tensor, Tensor]:
    """Render the layers from far to near, averaging sub-frames over the exposure.

    Returns:
        Video `(3, T, H, W) float32` before the lens, and the layer map `(T, H, W) uint8` at
        mid-exposure.
    """
    count = photometry.subframes
    exposure = (torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5
    times = torch.arange(config.frames, dtype=torch.float64)[:, None]
    times = (times + photometry.shutter * exposure).flatten()
    maps = motion.at(times)

    x = (torch.arange(config.width, device=device) + 0.5)[None, None, :]
    y = (torch.arange(config.height, device=device) + 0.5)[None, :, None]
    u = maps[0].to(device).layer_coordinates(x, y)
    video = layers[0].sample(slice(0, 3), *u)
    recolour(video, photometry, 0, times)
    layer_map = torch.zeros(video.shape[1:], dtype=torch.uint8, device=device)
    for i in range(1, len(layers)):
        draw_sprite(video, layer_map, layers[i], maps[i], i, photometry, times)
    if count > 1:
        video = video.unflatten(1, (config.frames, count)).mean(2)
    return video, layer_map[count // 2 :: count].contiguous()
