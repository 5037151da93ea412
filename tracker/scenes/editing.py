"""What happens to whole frames of a clip: fades, jumps of exposure, and other shots in between.

In a frame that is all but black, or that shows another shot, no point can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from tracker.scenes.smooth_paths import uniform
from tracker.scenes.textures import TextureBank

DARK = 0.06
"""A frame with less of its light than this shows nothing."""


@dataclass(frozen=True)
class EditingConfig:
    """Probability of each effect on a clip.

    Attributes:
        fade: that it fades to black and comes back, or begins or ends in black.
        exposure: that its exposure jumps in some frame.
        exposure_stops: the largest jump, in factors of two.
        other_shot: that some frames in a row show another shot.
    """

    fade: float = 0.0
    exposure: float = 0.0
    exposure_stops: float = 1.0
    other_shot: float = 0.0


@dataclass(frozen=True)
class Editing:
    """The effects drawn for one clip of T frames.

    Attributes:
        gain: `(T,)` by which light is multiplied.
        elsewhere: `(T,) bool`, frames that show another shot.
        picture: `(3, n, n) float32` in 0..1, what they show; None where there are none.
    """

    gain: Tensor
    elsewhere: Tensor
    picture: Tensor | None = field(default=None)

    @property
    def shows(self) -> Tensor:
        """`(T,) bool`, frames in which points can be seen."""
        return (self.gain >= DARK) & ~self.elsewhere

    def apply(self, video: Tensor) -> Tensor:
        """Return the edited clip `(3, T, H, W)`; `video` may be overwritten."""
        if self.picture is not None:
            size = (video.shape[2], video.shape[3])
            shot = torch.nn.functional.interpolate(
                self.picture[None].to(video), size, mode="bilinear", antialias=True
            )
            video[:, self.elsewhere.to(video.device)] = shot[0, :, None]
        if bool((self.gain != 1).any()):
            video = video.mul_(self.gain.to(video)[:, None, None]).clamp_(0, 1)
        return video


def draw_editing(
    generator: Generator, config: EditingConfig, frames: int, textures: TextureBank
) -> Editing:
    """Draw the effects of one clip; an effect that never happens draws nothing.

    At least one frame shows the scene.

    Args:
        generator: CPU generator of the scene.
        config: probabilities.
        frames: T.
        textures: of the other shots.
    """
    gain = torch.ones(frames)
    elsewhere = torch.zeros(frames, dtype=torch.bool)
    picture = None
    time = torch.arange(frames, dtype=torch.float64)
    if _happens(generator, config.exposure):
        onset, stops = uniform(generator, 0, 1, 2).tolist()
        gain[time >= onset * frames] *= 2 ** (config.exposure_stops * (2 * stops - 1))
    if _happens(generator, config.fade):
        middle, dark, slope = uniform(generator, 0, 1, 3).tolist()
        # Black for up to an eighth of the clip, with ramps of up to a quarter on both sides.
        distance = (time - middle * (frames - 1)).abs() - dark * frames / 8
        gain *= (distance / (1 + slope * frames / 4)).clamp(0, 1)
    if _happens(generator, config.other_shot):
        first, length = uniform(generator, 0, 1, 2).tolist()
        stop = first * frames + 1 + length * frames / 3
        elsewhere = (time >= first * frames) & (time < stop)
        picture = textures.sample(generator, 256)
    editing = Editing(gain.float(), elsewhere, picture)
    return editing if editing.shows.any() else Editing(torch.ones(frames), elsewhere & False)


def _happens(generator: Generator, probability: float) -> bool:
    return probability > 0 and float(uniform(generator, 0, 1)) < probability
