"""What light, lens, sensor and codec do to a clip. None of it moves anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Generator, Tensor
from torch.nn.functional import interpolate, pad


@dataclass(frozen=True)
class PhotometricConfig:
    """Probability of each effect on a clip, and its largest strength.

    Attributes:
        motion_blur: probability.
        subframes: renders averaged per frame, odd so that one lies at mid-exposure.
        shutter: longest exposure, frames.
        drift: change of colour, brightness and contrast of each layer over time.
        light: probability of a moving pattern of light.
        light_strength: its largest contrast.
        shadow: probability that sprites cast shadows.
        shadow_strength: largest share of light that they take.
        grade: probability of a colour grade.
        gamma: largest log exponent of it.
        saturation: largest log gain of chroma.
        hue: largest turn of chroma, radians.
        defocus: probability of blur.
        defocus_sigma: largest deviation of it, pixels of a 256-pixel frame.
        soft: probability that the clip is reduced and enlarged again.
        soft_factor: largest factor of that.
        noise: probability of sensor noise.
        noise_sigma: largest deviation of it, of full scale.
        blocks: probability of a codec's blocks.
        block_step: largest quantisation step of the highest frequencies, of full scale.
    """

    motion_blur: float = 0.3
    subframes: int = 3
    shutter: float = 0.5
    drift: float = 0.15
    light: float = 0.4
    light_strength: float = 0.45
    shadow: float = 0.35
    shadow_strength: float = 0.6
    grade: float = 0.5
    gamma: float = 0.35
    saturation: float = 0.5
    hue: float = 0.25
    defocus: float = 0.3
    defocus_sigma: float = 1.2
    soft: float = 0.25
    soft_factor: float = 2.0
    noise: float = 0.4
    noise_sigma: float = 0.04
    blocks: float = 0.25
    block_step: float = 0.12

    @staticmethod
    def off() -> PhotometricConfig:
        """Return the config of no effect at all: layers keep the colours of their textures."""
        return PhotometricConfig(
            motion_blur=0,
            drift=0,
            light=0,
            shadow=0,
            grade=0,
            defocus=0,
            soft=0,
            noise=0,
            blocks=0,
        )


@dataclass(frozen=True)
class Photometry:
    """The effects drawn for one clip; a strength of 0 leaves an effect out.

    Attributes:
        subframes: renders averaged per frame.
        shutter: exposure, frames.
        drift: strength of the layers' change of colour.
        drift_wave: `(L, 5, 3)`: of R, G, B, all, and offset, the phase, the rate (radians per
            frame) and the weight.
        light: strength of the pattern of light.
        light_wave: `(2, 4)`: radians per pixel along x and y, per frame, and phase.
        shadow: strength.
        shadow_shift: `(down, right)` pixels.
        shadow_width: of its soft edge, pixels.
        gamma: exponent of the grade.
        colour_matrix: `(3, 3)` of the grade, None without.
        sigma: of the blur, pixels.
        soft_factor: by which the clip is reduced and enlarged again.
        noise: deviation, of full scale.
        noise_tile: `(2 * 3HW,)` normal numbers, None without noise.
        noise_start: `(T,)` where in the tile each frame begins.
        block_step: quantisation step, of full scale.
    """

    subframes: int
    shutter: float
    drift: float
    drift_wave: Tensor
    light: float
    light_wave: Tensor
    shadow: float
    shadow_shift: tuple[int, int]
    shadow_width: float
    gamma: float
    colour_matrix: Tensor | None
    sigma: float
    soft_factor: float
    noise: float
    noise_tile: Tensor | None
    noise_start: Tensor
    block_step: float

    def layer_colour(self, layer: int, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return gain `(3, T)` and offset `(1, T)` of a layer's colours at `(T,)` frames."""
        phase, rate, weight = self.drift_wave[layer, :, :, None].unbind(1)
        wave = self.drift * weight * torch.sin(phase + rate * times)
        return 1 + 0.4 * wave[:3] + wave[3:4], 0.5 * wave[4:]


def draw_photometry(
    generator: Generator,
    config: PhotometricConfig,
    frames: int,
    size: tuple[int, int],
    layers: int,
) -> Photometry:
    """Draw the effects of one clip.

    Args:
        generator: CPU generator of the scene.
        config: probabilities and strengths.
        frames: length of the clip.
        size: `(height, width)` of the frame, pixels.
        layers: L, the background among them.
    """

    def strength(probability: float, largest: float, smallest: float = 0.2) -> float:
        chance, share = torch.rand(2, generator=generator).tolist()
        return largest * (smallest + (1 - smallest) * share) if chance < probability else 0.0

    height, width = size
    side = min(size)
    shutter = strength(config.motion_blur, config.shutter, 0.4)
    light, shadow = (
        strength(config.light, config.light_strength),
        strength(config.shadow, config.shadow_strength, 0.4),
    )
    graded = strength(config.grade, 1.0, 1.0) > 0
    gamma, saturation, hue = (torch.rand(3, generator=generator) * 2 - 1).tolist()
    sigma = strength(config.defocus, config.defocus_sigma) * side / 256
    soft = strength(config.soft, config.soft_factor - 1)
    noise = strength(config.noise, config.noise_sigma)
    block_step = strength(config.blocks, config.block_step, 0.3)
    waves = torch.rand(layers, 5, 3, generator=generator).double()
    drift_wave = torch.stack(
        [waves[..., 0] * 2 * math.pi, 0.05 + 0.3 * waves[..., 1], waves[..., 2]], dim=-1
    )
    tone = torch.rand(2, 4, generator=generator)
    heading = 2 * math.pi * tone[:, 0]
    number = 2 * math.pi / (side * (1 + 2 * tone[:, 1]))
    light_wave = torch.stack(
        [
            number * heading.cos(),
            number * heading.sin(),
            0.4 * tone[:, 2] - 0.2,
            2 * math.pi * tone[:, 3],
        ],
        dim=1,
    )
    down, right = ((torch.rand(2, generator=generator) * 2 - 1) * 0.08 * side).round().tolist()
    values = 3 * height * width
    return Photometry(
        subframes=config.subframes if shutter else 1,
        shutter=shutter,
        drift=config.drift,
        drift_wave=drift_wave,
        light=light,
        light_wave=light_wave,
        shadow=shadow,
        shadow_shift=(int(down), int(right)),
        shadow_width=0.06 * side,
        gamma=math.exp(config.gamma * gamma) if graded else 1.0,
        colour_matrix=grade(config.saturation * saturation, config.hue * hue) if graded else None,
        sigma=sigma,
        soft_factor=1 + soft,
        noise=noise,
        noise_tile=torch.randn(2 * values, generator=generator) if noise else None,
        noise_start=torch.randint(values, (frames,), generator=generator),
        block_step=block_step,
    )


def develop(video: Tensor, photometry: Photometry) -> Tensor:
    """Apply light, lens, grade, noise and blocks to a rendered clip.

    Args:
        video: `(3, T, H, W)` float; may be overwritten.
        photometry: what to apply.

    Returns:
        `(3, T, H, W)` in 0..1.
    """
    if photometry.light:
        video = video.mul_(light_field(video, photometry))
    if photometry.sigma:
        video = gaussian_blur(video, photometry.sigma)
    if photometry.soft_factor > 1:
        video = soften(video, photometry.soft_factor)
    if photometry.colour_matrix is not None:
        matrix = photometry.colour_matrix.to(video)
        video = (matrix @ video.flatten(1)).view_as(video)
        video = video.clamp_(1e-3, 1).pow_(photometry.gamma)
    if photometry.noise_tile is not None:
        tile = photometry.noise_tile * photometry.noise
        add_noise(video, tile, photometry.noise_start)
    if photometry.block_step:
        video = quantise_blocks(video, photometry.block_step)
    return video.clamp_(0, 1)


def light_field(video: Tensor, photometry: Photometry) -> Tensor:
    """Return a soft moving pattern `(T, H, W)`, between 1 - strength and 1 + strength / 2."""
    frames, height, width = video.shape[1:]
    wave = photometry.light_wave.to(video)
    x = torch.arange(width).to(video)
    y = torch.arange(height).to(video)[:, None]
    t = torch.arange(frames).to(video)[:, None, None]
    field = torch.zeros(frames, height, width).to(video)
    for w in wave:
        field = field + torch.sin(t * w[2] + w[3] + y * w[1] + x * w[0])
    return field.mul_(0.375 * photometry.light).add_(1 - 0.25 * photometry.light)


def gaussian_blur(video: Tensor, sigma: float) -> Tensor:
    """Blur `(3, T, H, W)` by a separable Gaussian of `sigma` pixels."""
    reach = max(1, round(2.5 * sigma))
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (bell / bell.sum()).tolist()
    for dim in (3, 2):
        pads = (reach, reach, 0, 0) if dim == 3 else (0, 0, reach, reach)
        length = video.shape[dim]
        padded = pad(video, pads, mode="replicate")
        video = padded.narrow(dim, 0, length) * kernel[0]
        for i, weight in enumerate(kernel[1:], start=1):
            video.add_(padded.narrow(dim, i, length), alpha=weight)
    return video


def soften(video: Tensor, factor: float) -> Tensor:
    """Reduce the frames of `(3, T, H, W)` by a factor and enlarge them again."""
    size = video.shape[2:]
    small = [max(8, round(length / factor)) for length in size]
    video = interpolate(video, small, mode="bilinear", antialias=True)
    return interpolate(video, size, mode="bilinear", align_corners=False)


def grade(saturation: float, hue: float) -> Tensor:
    """Return a colour matrix `(3, 3)` that scales chroma by exp(saturation) and turns it by hue."""
    gray = torch.full((3, 3), 1 / 3)
    axis = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    chroma = math.cos(hue) * (torch.eye(3) - gray) + math.sin(hue) * axis
    return gray + math.exp(saturation) * chroma


def add_noise(video: Tensor, tile: Tensor, starts: Tensor) -> None:
    """Add sensor noise to `(3, T, H, W)` in place.

    Args:
        video: the frames.
        tile: `(M,)` noise, of which each frame reads another stretch.
        starts: `(T,)` where the stretches begin.
    """
    tile = tile.to(video)
    channels, _, height, width = video.shape
    count = channels * height * width
    for t, start in enumerate(starts.tolist()):
        video[:, t].add_(tile[start : start + count].view(channels, height, width))


def quantise_blocks(video: Tensor, step: float) -> Tensor:
    """Quantise the 8 x 8 cosine transform of luma and chroma of `(3, T, H, W)`, as JPEG does."""
    height, width = video.shape[2:]
    order = torch.arange(8)
    wave = torch.cos(math.pi / 8 * order[:, None] * (order + 0.5)) / 2
    wave[0] /= math.sqrt(2)
    basis = torch.kron(wave, wave).to(video)  # (64, 64) orthonormal: frequencies by pixels
    # JPEG's tables grow about linearly with frequency, and chroma is coarser than luma.
    steps = step * (0.15 + 0.85 * (order[:, None] + order).flatten() / 14)
    steps = torch.stack([steps, 2 * steps, 2 * steps])[:, None].to(video)
    to_luma_chroma = torch.tensor(
        [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
    ).to(video)
    padded = pad(video, (0, -width % 8, 0, -height % 8), mode="replicate")
    pixels = rearrange(padded, "c t (y i) (x j) -> c (t y x i j)", i=8, j=8)
    blocks = (to_luma_chroma @ pixels).view(3, -1, 64)
    spectrum = (blocks @ basis.T).div_(steps).round_().mul_(steps)
    pixels = torch.linalg.inv(to_luma_chroma) @ (spectrum @ basis).flatten(1)
    _, t, padded_height, padded_width = padded.shape
    y, x = padded_height // 8, padded_width // 8
    pattern = "c (t y x i j) -> c t (y i) (x j)"
    video = rearrange(pixels, pattern, t=t, y=y, x=x, i=8, j=8)
    return video[:, :, :height, :width]
