"""How the layers of a scene move: exact maps between the frame and each layer, at any instant.

A layer has coordinates of its own, in pixels, with their origin at its centre. A frame pixel x
shows the layer at u = W(H^-1 x), where H is a homography (pose of the layer, of the layers it
rides on, and of the camera) and W(p) = p + d(p) a smooth non-rigid warp. The gradient of d stays
below 0.5, so W inverts by fixed-point iteration.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.scenes.smooth_paths import Paths, draw_paths, uniform

INVERSION_STEPS = 16  # the error halves at least at each: below 1e-3 px from 50 px away
WAVES = 3

# Columns of a pose.
X, Y, LOG_SCALE, ROTATION, SHEAR, ASPECT, TILT_X, TILT_Y = range(8)


@dataclass(frozen=True)
class MotionConfig:
    """Strength of the motions. Speeds are in frame sides (the shorter one) per frame."""

    min_speed: float = 0.004  # the pace of a scene is log-uniform between these two
    max_speed: float = 0.08
    static: float = 0.15  # probability that a layer has no motion of its own
    returning: float = 0.75  # probability that a layer swings and comes back instead of leaving
    min_period: float = 10.0  # frames
    max_period: float = 48.0
    zoom: float = 0.45  # largest change of log scale
    shear: float = 0.25  # largest shear and change of log aspect
    tilt: float = 0.3  # largest change of depth over half a layer, in layer distances
    spin: float = 2.0  # radians turned while moving one frame side
    nonrigid: float = 0.5  # probability that a sprite bends
    bend: float = 0.35  # largest gradient of the warp; below 0.5
    riding: float = 0.35  # probability that a sprite rides on another one
    camera_static: float = 0.25  # probability
    camera_speed: float = 0.04  # largest
    camera_zoom: float = 0.3  # largest change of log scale
    camera_roll: float = 0.2  # radians
    shake: float = 0.35  # probability of a handheld camera
    shake_size: float = 0.006  # frame sides

    def __post_init__(self) -> None:
        if not 0 <= self.bend < 0.5:
            raise UserError(f"bend {self.bend}: use 0 <= bend < 0.5, or warps do not invert")
        if not 0 < self.min_speed <= self.max_speed:
            raise UserError(f"speeds {self.min_speed}..{self.max_speed}: use 0 < min <= max")
        if not 0 < self.min_period <= self.max_period:
            raise UserError(f"periods {self.min_period}..{self.max_period}: use 0 < min <= max")


@dataclass(frozen=True)
class LayerMotion:
    """The map of one layer at T instants."""

    forward: Tensor  # (T, 3, 3) layer to frame homography
    inverse: Tensor  # (T, 3, 3)
    wave_vector: Tensor  # (K, 2) radians per pixel; K = 0 for a rigid layer
    wave_amplitude: Tensor  # (T, K, 2) pixels
    wave_phase: Tensor  # (T, K) radians

    def at(self, instants: Tensor | slice) -> "LayerMotion":
        """The map at some of the instants, (T',) indices or a slice."""
        return LayerMotion(
            self.forward[instants],
            self.inverse[instants],
            self.wave_vector,
            self.wave_amplitude[instants],
            self.wave_phase[instants],
        )

    def to(self, device: torch.device | str) -> "LayerMotion":
        """The same map in float32 on a device."""
        return LayerMotion(*(part.to(device, torch.float32) for part in vars(self).values()))

    def layer_coordinates(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Layer coordinates seen at frame positions.

        Args:
            x, y: raster pixels, each broadcastable to (T, h, w): a grid passes (T, 1, w) and
                (T, h, 1), which spares most of the products.

        Returns:
            Two (T, h, w) tensors, pixels of the layer.
        """
        m = self.inverse[..., None, None]
        # Behind the horizon of a tilted layer nothing of it is seen: any far place will do.
        depth = ((m[:, 2, 0] * x + m[:, 2, 2]) + m[:, 2, 1] * y).clamp_(min=0.02).reciprocal_()
        p_x = ((m[:, 0, 0] * x + m[:, 0, 2]) + m[:, 0, 1] * y).mul_(depth)
        p_y = ((m[:, 1, 0] * x + m[:, 1, 2]) + m[:, 1, 1] * y).mul_(depth)
        return self._warp(p_x, p_y)

    def frame_coordinates(self, u: Tensor) -> Tensor:
        """Where places of the layer lie in the frame.

        Args:
            u: (N, 2) layer coordinates.

        Returns:
            (N, T, 2) raster pixels.
        """
        count, instants = u.shape[0], self.forward.shape[0]
        u_x, u_y = u.T[:, None, None, :].expand(2, instants, 1, count)
        p_x, p_y = u_x, u_y
        for _ in range(INVERSION_STEPS if self.wave_vector.shape[0] else 0):
            w_x, w_y = self._warp(p_x.clone(), p_y.clone())
            p_x, p_y = p_x + u_x - w_x, p_y + u_y - w_y
        m = self.forward[..., None, None]
        depth = m[:, 2, 0] * p_x + m[:, 2, 1] * p_y + m[:, 2, 2]
        x = (m[:, 0, 0] * p_x + m[:, 0, 1] * p_y + m[:, 0, 2]) / depth
        y = (m[:, 1, 0] * p_x + m[:, 1, 1] * p_y + m[:, 1, 2]) / depth
        return torch.stack([x[:, 0].T, y[:, 0].T], dim=-1)

    def _warp(self, p_x: Tensor, p_y: Tensor) -> tuple[Tensor, Tensor]:
        """W(p) = p + d(p) for (T, h, w) coordinates, which it may overwrite."""
        waves = []
        for k, (f_x, f_y) in enumerate(self.wave_vector.unbind()):
            phase = torch.addcmul(self.wave_phase[:, k, None, None], p_x, f_x)
            waves.append(phase.addcmul_(p_y, f_y).sin_())
        for k, wave in enumerate(waves):
            p_x = p_x.addcmul_(wave, self.wave_amplitude[:, k, 0, None, None])
            p_y = p_y.addcmul_(wave, self.wave_amplitude[:, k, 1, None, None])
        return p_x, p_y

    def reach(self) -> float:
        """A bound of the displacement of the warp, in pixels."""
        return (
            float(self.wave_amplitude.norm(dim=-1).sum(-1).max())
            if self.wave_amplitude.numel()
            else 0.0
        )

    def scale(self, half: float) -> tuple[Tensor, float]:
        """How large the layer appears.

        Args:
            half: half the side of the square of the layer, pixels.

        Returns:
            (T,) frame pixels per layer pixel at the centre, and the smallest ratio in any
            direction at the centre and corners over the T instants.
        """
        corners = torch.tensor([[0.0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]]) * half
        p = torch.cat([corners, torch.ones(5, 1)], 1).to(self.forward)
        q = torch.einsum("tij,cj->tci", self.forward, p)
        depth = q[..., 2, None, None]
        landed = q[..., :2, None] / depth
        jacobian = (self.forward[:, None, :2, :2] - landed * self.forward[:, None, 2:, :2]) / depth
        squares = jacobian.square().sum((-1, -2))
        (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
        area = (a * d - b * c).abs()
        smallest = (squares - (squares.square() - 4 * area.square()).clamp(min=0).sqrt()) / 2
        return area[:, 0].sqrt(), float(smallest.min().clamp(min=1e-4).sqrt())


@dataclass(frozen=True)
class SceneMotion:
    """The random motion of a scene of L layers; layer 0 is the background."""

    centre: tuple[float, float]  # of the frame, raster pixels
    radius: Tensor  # (L,) half the size of each layer, pixels
    parent: list[int]  # the layer each one rides on, -1 for none
    parallax: Tensor  # (L,) how much of the camera's translation the layer follows
    poses: Paths  # L * 8 channels
    camera: Paths  # 4 channels: x, y, log scale, roll
    shake: Paths  # 2 channels
    wave_vector: Tensor  # (L, K, 2)
    wave_amplitude: Tensor  # (L, K, 2)
    wave_rate: Tensor  # (L, K) radians per frame
    wave_phase: Tensor  # (L, K)

    def at(self, times: Tensor) -> list[LayerMotion]:
        """The maps of all layers at some instants, (T,) frames in float64."""
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
        """Camera matrices (L, T, 3, 3): zoom and roll about the frame centre, pan by parallax."""
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
    """Matrices (..., 3, 3) of poses (..., 8), tilt left out."""
    cos, sin = torch.cos(pose[..., ROTATION]), torch.sin(pose[..., ROTATION])
    scale, stretch = torch.exp(pose[..., LOG_SCALE]), torch.exp(pose[..., ASPECT])
    shear = pose[..., SHEAR]
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    top = [scale * cos * stretch, scale * (cos * shear - sin) / stretch, pose[..., X]]
    middle = [scale * sin * stretch, scale * (sin * shear + cos) / stretch, pose[..., Y]]
    return torch.stack([*top, *middle, zero, zero, one], -1).unflatten(-1, (3, 3))


def tilt_matrix(pose: Tensor, radius: Tensor) -> Tensor:
    """Perspective matrices (..., 3, 3) of poses (..., 8) of layers of half size `radius` (...)."""
    matrix = torch.eye(3, dtype=pose.dtype).repeat(*pose.shape[:-1], 1, 1)
    matrix[..., 2, :2] = pose[..., TILT_X:] / radius[..., None]
    return matrix


def draw_motion(
    generator: Generator, config: MotionConfig, frames: int, size: tuple[int, int], radius: Tensor
) -> SceneMotion:
    """Draws the motion of a scene.

    Args:
        generator: CPU generator of the scene.
        config: strengths.
        frames: length of the clip.
        size: (height, width) of the frame, pixels.
        radius: (L,) float64 half size of each layer, pixels; the background first.
    """
    height, width = size
    side, layers = min(size), radius.shape[0]
    span = math.log(config.max_speed / config.min_speed)
    pace = config.min_speed * math.exp(span * float(uniform(generator, 0, 1)))
    speed = pace * uniform(generator, 0.3, 1, layers)
    speed = torch.where(uniform(generator, 0, 1, layers) < config.static, 0.0, speed)
    speed[0] *= 0.3  # the camera moves the background
    parent = draw_parents(generator, config.riding, layers)
    riding = torch.tensor(parent) >= 0
    carrier = radius[torch.tensor(parent).clamp(min=0)]

    start = torch.zeros(layers, 8, dtype=torch.float64)
    place = uniform(generator, -0.05, 1.05, layers, 2) * torch.tensor([width, height])
    seat = uniform(generator, -0.7, 0.7, layers, 2) * carrier[:, None]
    start[:, :2] = torch.where(riding[:, None], seat, place)
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


def draw_parents(generator: Generator, riding: float, layers: int) -> list[int]:
    """For each layer the earlier sprite it rides on, or -1."""
    chances, picks = uniform(generator, 0, 1, 2, layers).tolist()
    return [
        1 + int(picks[i] * (i - 1)) if i >= 2 and chances[i] < riding else -1 for i in range(layers)
    ]


def draw_camera(
    generator: Generator, config: MotionConfig, frames: int, side: int
) -> tuple[Paths, Paths]:
    """Paths of the camera (x, y, log scale, roll) and of its shake (x, y)."""
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
    """Waves of the warp: vector (L, K, 2), amplitude (L, K, 2), rate (L, K), phase (L, K)."""
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
