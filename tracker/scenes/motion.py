"""How the layers of a scene move: poses, camera and warps, drawn at random.

They give each layer's map from frame to layer at any instant; see `layer_motion`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.scenes.layer_motion import LayerMotion
from tracker.scenes.smooth_paths import Paths, draw_paths, uniform

WAVES = 3
"""Waves that a warp is made of."""

# Columns of a pose.
X, Y, LOG_SCALE, ROTATION, SHEAR, ASPECT, TILT_X, TILT_Y = range(8)


@dataclass(frozen=True)
class MotionConfig:
    """Strength of the motions.

    Attributes:
        min_speed: in frame sides (the shorter one) per frame, as all speeds; the pace of a scene
            is log-uniform from this on.
        max_speed: the fastest pace.
        static: probability that a layer has no motion of its own.
        returning: probability that a layer swings and comes back instead of leaving.
        min_period: shortest of a swing, frames.
        max_period: longest of a swing, frames.
        zoom: largest change of log scale.
        shear: largest shear and change of log aspect.
        tilt: largest change of depth over half a layer, in layer distances.
        spin: radians turned while moving one frame side.
        nonrigid: probability that a sprite bends.
        bend: largest gradient of the warp; below 0.5.
        riding: probability that a sprite rides on another one.
        camera_static: probability that the camera stands still.
        camera_speed: its largest speed.
        camera_zoom: its largest change of log scale.
        camera_roll: its largest turn, radians.
        shake: probability of a handheld camera.
        shake_size: how far it shakes, in frame sides.

    Raises:
        UserError: a bend that does not invert, or speeds or periods out of order.
    """

    min_speed: float = 0.004
    max_speed: float = 0.08
    static: float = 0.15
    returning: float = 0.75
    min_period: float = 10.0
    max_period: float = 48.0
    zoom: float = 0.45
    shear: float = 0.25
    tilt: float = 0.3
    spin: float = 2.0
    nonrigid: float = 0.5
    bend: float = 0.35
    riding: float = 0.35
    camera_static: float = 0.25
    camera_speed: float = 0.04
    camera_zoom: float = 0.3
    camera_roll: float = 0.2
    shake: float = 0.35
    shake_size: float = 0.006

    def __post_init__(self) -> None:
        if not 0 <= self.bend < 0.5:
            raise UserError(f"bend {self.bend}: use 0 <= bend < 0.5, or warps do not invert")
        if not 0 < self.min_speed <= self.max_speed:
            raise UserError(f"speeds {self.min_speed}..{self.max_speed}: use 0 < min <= max")
        if not 0 < self.min_period <= self.max_period:
            raise UserError(f"periods {self.min_period}..{self.max_period}: use 0 < min <= max")


@dataclass(frozen=True)
class SceneMotion:
    """The random motion of a scene of L layers; layer 0 is the background.

    Attributes:
        centre: of the frame, raster pixels.
        radius: `(L,)` half the size of each layer, pixels.
        parent: the layer each one rides on, -1 for none.
        parallax: `(L,)` how much of the camera's translation the layer follows.
        poses: L * 8 channels.
        camera: 4 channels: x, y, log scale, roll.
        shake: 2 channels: x, y.
        wave_vector: `(L, K, 2)` radians per pixel.
        wave_amplitude: `(L, K, 2)` pixels.
        wave_rate: `(L, K)` radians per frame.
        wave_phase: `(L, K)` radians.
    """

    centre: tuple[float, float]
    radius: Tensor
    parent: list[int]
    parallax: Tensor
    poses: Paths
    camera: Paths
    shake: Paths
    wave_vector: Tensor
    wave_amplitude: Tensor
    wave_rate: Tensor
    wave_phase: Tensor

    def at(self, times: Tensor) -> list[LayerMotion]:
        """Return the maps of all layers at `(T,)` frames in float64."""
        layers = self.radius.shape[0]
        poses = self.poses.at(times).view(layers, 8, -1).transpose(1, 2)
        world: list[Tensor] = []
        for matrix, parent in zip(affine_matrix(poses), self.parent, strict=True):
            world.append(matrix if parent < 0 else world[parent] @ matrix)
        # Tilts are not handed down: together they could turn a rider beyond its horizon.
        tilt = tilt_matrix(poses, self.radius[:, None])
        forward = self._camera(times) @ torch.stack(world) @ tilt
        forward = forward / forward[..., 2:, 2:]
        inverse = torch.linalg.inv(forward)
        phase = self.wave_phase[:, None] + self.wave_rate[:, None] * times[:, None]
        # The strength breathes at a slower rate than the waves travel.
        breath = 0.6 + 0.4 * torch.sin(0.5 * phase + 1.0)
        amplitude = self.wave_amplitude[:, None] * breath[..., None]
        motions = []
        for i in range(layers):
            bends = slice(None) if bool(self.wave_amplitude[i].any()) else slice(0)
            motions.append(
                LayerMotion(
                    forward[i],
                    inverse[i],
                    self.wave_vector[i, bends],
                    amplitude[i, :, bends],
                    phase[i, :, bends],
                )
            )
        return motions

    def _camera(self, times: Tensor) -> Tensor:
        """Return `(L, T, 3, 3)`: zoom and roll about the frame's centre, pan by parallax."""
        pan_x, pan_y, log_scale, roll = self.camera.at(times)
        shake_x, shake_y = self.shake.at(times)
        c_x, c_y = self.centre
        parallax = self.parallax[:, None]
        scale = torch.exp(log_scale * (0.6 + 0.4 * parallax))
        cos, sin = scale * torch.cos(roll), scale * torch.sin(roll)
        move_x = c_x + parallax * pan_x + shake_x - cos * c_x + sin * c_y
        move_y = c_y + parallax * pan_y + shake_y - sin * c_x - cos * c_y
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rows = [cos, -sin, move_x, sin, cos, move_y, zero, zero, one]
        return torch.stack(rows, -1).unflatten(-1, (3, 3))


def affine_matrix(pose: Tensor) -> Tensor:
    """Return the matrices `(..., 3, 3)` of poses `(..., 8)`, tilt left out."""
    cos, sin = torch.cos(pose[..., ROTATION]), torch.sin(pose[..., ROTATION])
    scale, stretch = torch.exp(pose[..., LOG_SCALE]), torch.exp(pose[..., ASPECT])
    shear = pose[..., SHEAR]
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    top = [scale * cos * stretch, scale * (cos * shear - sin) / stretch, pose[..., X]]
    middle = [scale * sin * stretch, scale * (sin * shear + cos) / stretch, pose[..., Y]]
    return torch.stack([*top, *middle, zero, zero, one], -1).unflatten(-1, (3, 3))


def tilt_matrix(pose: Tensor, radius: Tensor) -> Tensor:
    """Return perspectives `(..., 3, 3)` of poses `(..., 8)` of layers of half size `radius`."""
    matrix = torch.eye(3, dtype=pose.dtype).repeat(*pose.shape[:-1], 1, 1)
    matrix[..., 2, :2] = pose[..., TILT_X:] / radius[..., None]
    return matrix


def draw_motion(
    generator: Generator, config: MotionConfig, frames: int, size: tuple[int, int], radius: Tensor
) -> SceneMotion:
    """Draw the motion of a scene.

    Args:
        generator: CPU generator of the scene.
        config: strengths.
        frames: length of the clip.
        size: `(height, width)` of the frame, pixels.
        radius: `(L,) float64` half size of each layer, pixels; the background first.
    """
    height, width = size
    side, layers = min(size), radius.shape[0]
    span = math.log(config.max_speed / config.min_speed)
    pace = config.min_speed * math.exp(span * float(uniform(generator, 0, 1)))
    speed = pace * uniform(generator, 0.3, 1, layers)
    speed = torch.where(uniform(generator, 0, 1, layers) < config.static, 0.0, speed)
    speed[0] *= 0.3  # the camera moves the background
    parent = draw_earlier(generator, config.riding, layers)
    riding = torch.tensor(parent) >= 0
    carrier = radius[torch.tensor(parent).clamp(min=0)]

    start = torch.zeros(layers, 8, dtype=torch.float64)
    place = uniform(generator, -0.05, 1.05, layers, 2) * torch.tensor([width, height])
    on_carrier = uniform(generator, -0.7, 0.7, layers, 2) * carrier[:, None]
    start[:, :2] = torch.where(riding[:, None], on_carrier, place)
    start[0, :2] = torch.tensor([width / 2, height / 2])
    start[1:, ROTATION] = uniform(generator, -0.6, 0.6, layers - 1)
    per_side = [side, side, 1, config.spin, 1, 1, 1.5, 1.5]
    limit = torch.tensor(
        [2 * side, 2 * side, config.zoom, 6, *[config.shear] * 2, *[config.tilt] * 2]
    )
    limit = limit.double().repeat(layers, 1)
    limit[riding, :2] = 0.5 * carrier[riding, None]
    limit[riding, LOG_SCALE:] *= 0.5
    limit[0] *= 0.2
    drifting = torch.where(uniform(generator, 0, 1, layers) < config.returning, 0.0, 0.8)
    anchor = uniform(generator, 0, frames - 1, layers)
    poses = draw_paths(
        generator,
        (config.min_period, config.max_period),
        frames,
        start=start.flatten(),
        speed=(speed[:, None] * torch.tensor(per_side)).flatten(),
        limit=limit.flatten().clamp(min=1e-6),
        drifting=drifting.repeat_interleave(8),
        anchor=anchor.repeat_interleave(8),
    )
    camera, shake = draw_camera(generator, config, frames, side)
    parallax = uniform(generator, 0.6, 1.4, layers).sort().values
    for i, carrying in enumerate(parent):
        parallax[i] = parallax[carrying] if carrying >= 0 else parallax[i]
    return SceneMotion(
        (width / 2, height / 2),
        radius,
        parent,
        parallax,
        poses,
        camera,
        shake,
        *draw_waves(generator, config, radius),
    )


def draw_earlier(generator: Generator, probability: float, layers: int) -> list[int]:
    """Draw for each layer an earlier sprite, to ride on or to look like, or -1 for none."""
    chances, picks = uniform(generator, 0, 1, 2, layers).tolist()
    return [
        1 + int(picks[i] * (i - 1)) if i >= 2 and chances[i] < probability else -1
        for i in range(layers)
    ]


def draw_camera(
    generator: Generator, config: MotionConfig, frames: int, side: int
) -> tuple[Paths, Paths]:
    """Draw the paths of the camera (x, y, log scale, roll) and of its shake (x, y)."""
    still, shaking = uniform(generator, 0, 1, 2).tolist()
    pace = config.camera_speed * 10 ** float(uniform(generator, -1.5, 0))
    pace = 0.0 if still < config.camera_static else pace
    middle = torch.full((4,), (frames - 1) / 2, dtype=torch.float64)
    camera = draw_paths(
        generator,
        (config.min_period, config.max_period),
        frames,
        start=torch.zeros(4, dtype=torch.float64),
        speed=pace * torch.tensor([side, side, 1.0, 1.0], dtype=torch.float64),
        limit=torch.tensor(
            [0.8 * side, 0.8 * side, config.camera_zoom, config.camera_roll], dtype=torch.float64
        ).clamp(min=1e-6),
        drifting=uniform(generator, 0, 1, 1).expand(4),
        anchor=middle,
    )
    size = config.shake_size * side * float(uniform(generator, 0.2, 1))
    nothing = torch.zeros(2, dtype=torch.float64)
    shake = Paths(
        start=nothing,
        limit=nothing + side,
        anchor=nothing,
        velocity=nothing,
        acceleration=nothing,
        amplitude=torch.full((2, 2), size if shaking < config.shake else 0.0, dtype=torch.float64),
        rate=uniform(generator, 0.6, 2.2, 2, 2),
        phase=uniform(generator, 0, 2 * math.pi, 2, 2),
    )
    return camera, shake


def draw_waves(
    generator: Generator, config: MotionConfig, radius: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw a warp: vector `(L, K, 2)`, amplitude `(L, K, 2)`, rate `(L, K)`, phase `(L, K)`."""
    layers = radius.shape[0]
    length = 2 * radius[:, None] * uniform(generator, 0.8, 2.2, layers, WAVES)
    number = 2 * math.pi / length
    heading, push, phase = uniform(generator, 0, 2 * math.pi, 3, layers, WAVES)
    gradient = config.bend * uniform(generator, 0.3, 1, layers, 1)
    gradient = gradient / WAVES * (uniform(generator, 0, 1, layers, 1) < config.nonrigid)
    gradient[0] *= 0.3
    size = gradient / number
    vector = number[..., None] * torch.stack([heading.cos(), heading.sin()], -1)
    amplitude = size[..., None] * torch.stack([push.cos(), push.sin()], -1)
    return vector, amplitude, uniform(generator, -0.4, 0.4, layers, WAVES), phase
