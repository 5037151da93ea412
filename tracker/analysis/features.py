"""What every analysis starts from: a backbone, a template, clips, and their features.

Shapes: L layers, S tubelet slots, C channels, h x w patches, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tracker.datasets.clips import ClipSource, open_clips
from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FeatureVolume, FrozenBackbone
from tracker.features.sources import frame_modes, load_architecture
from tracker.features.template import PositionalTemplate, template_beside
from tracker.features.template_fitter import TemplateFitter
from tracker.video.pixels import shrink_frames
from tracker.video.video import Video

DEFAULT_SIZE = (256, 256)
DEFAULT_WINDOW = 16

Step = Callable[[], object]
"""Called after each clip that was encoded, for a progress bar."""


@dataclass(frozen=True)
class Settings:
    """What to analyze and with which features.

    Attributes:
        backbone: `mini`, a hub id or a folder.
        layers: as in `BackboneConfig`; None takes those of the template where it comes from a
            file, else the last one. The frame mode is the template's likewise, else the encoder's
            natural one.
        size: `(height, width)` of the input in pixels; None likewise, else 256 x 256.
        window: frames of a clip; None likewise, else 16.
        template: `auto` (the one beside the backbone's weights where it suits, else `fit`), `fit`,
            `none`, or a file.
        clips: how many clips to use.
        videos: folder to cut clips from; None renders them.
        textures: folder of photographs for rendered clips; None takes the built-in ones.
        seed: of the clips.
        device: where the backbone runs.
    """

    backbone: str = "mini"
    layers: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None
    window: int | None = None
    template: str = "auto"
    clips: int = 16
    videos: str | None = None
    textures: str | None = None
    seed: int = 0
    device: str = "cpu"


@dataclass
class Features:
    """A backbone and a template, with the clips that come with them.

    Attributes:
        settings: as given.
        backbone: configured by them.
        template: loaded from a file, else None until `fit` is called.
        source: numbered clips of the backbone's input size, each of a window, or of
            `DEFAULT_WINDOW` frames where a window is a single tubelet.
        skipped: what could not be read, and why.
    """

    settings: Settings
    backbone: FrozenBackbone
    template: PositionalTemplate | None
    source: ClipSource
    skipped: dict[str, str] = field(default_factory=dict)
    step: Step = lambda: None

    @classmethod
    def open(cls, settings: Settings) -> Features:
        """Open the checkpoint, the template file and the folder of clips.

        Raises:
            UserError: one of them is missing or damaged, or they do not fit each other.
        """
        template = None
        if settings.template == "auto":
            asked = {"layers": settings.layers, "input_size": settings.size}
            template = template_beside(settings.backbone, **asked, window=settings.window)
        elif settings.template not in ("fit", "none"):
            template = PositionalTemplate.load(settings.template)
        backbone = FrozenBackbone(_backbone_config(settings, template))
        # Rendered on the CPU, where the figures are drawn from clips.
        source = open_clips(
            _clip_frames(backbone),
            backbone.config.input_size,
            videos=settings.videos,
            textures=settings.textures,
            seed=settings.seed,
        )
        if template is not None:
            template.check(backbone)
        skipped = dict(getattr(source, "skipped", {}))
        return cls(settings, backbone, template, source, skipped)

    @property
    def layers(self) -> tuple[int, ...]:
        """Which layers' features are read, counted from 1."""
        return self.backbone.config.layers

    @property
    def clip_frames(self) -> int:
        """Frames of a clip."""
        return _clip_frames(self.backbone)

    @property
    def clip_slots(self) -> int:
        """Tubelet slots of a clip."""
        return self.backbone.slots * self.clip_frames // self.backbone.config.window

    @property
    def has_residual(self) -> bool:
        """Whether a template was asked for."""
        return self.settings.template != "none"

    def encode(self, clip: Tensor) -> FeatureVolume:
        """Return the features of `(T, 3, H, W)` frames in 0..1 as float32 on the CPU, B = 1.

        Raises:
            UserError: features are not finite.
        """
        volume = self.backbone(clip[None].to(torch.device(self.settings.device)))
        self.step()
        features = volume.features.float().cpu()
        if not torch.isfinite(features).all():
            raise UserError(
                f"features of {self.settings.backbone} are not finite (NaN); the checkpoint is "
                "damaged, download or save it again"
            )
        return FeatureVolume(features, volume.slot, volume.phase)

    def residual(self, volume: FeatureVolume) -> Tensor | None:
        """Return `(B, L, S, C, h, w)` features less the template; None without a template."""
        return None if self.template is None else self.template.subtract(volume)

    def clips(self, count: int, first: int = 0) -> Iterator[Tensor]:
        """Yield `count` clips from number `first` on; those that cannot be read are skipped.

        Raises:
            UserError: twice as many were tried, and still too few could be read.
        """
        read = 0
        for index in range(first, first + 2 * count):
            if read == count:
                return
            try:
                clip = self.source.clip(index)
            except UserError as error:
                self.skipped[f"clip {index}"] = str(error)
                continue
            read += 1
            yield clip
        if read < count:
            raise UserError(
                f"only {read} of {count} clips could be read ({len(self.skipped)} skipped); "
                "mend the videos or lower --clips"
            )

    def fit(self, count: int, first: int = 0) -> None:
        """Fit the template on clips, where one is wanted and none was loaded.

        Raises:
            UserError: too few clips, or features that are not finite.
        """
        if self.template is not None or not self.has_residual:
            return
        if count < 2:
            raise UserError(f"a template needs at least 2 clips, got {count}; raise --clips")
        fitter = TemplateFitter(self.backbone)
        for clip in self.clips(count, first):
            fitter.update(clip[None].to(torch.device(self.settings.device)))
            self.step()
        template = fitter.finish()
        if not torch.isfinite(template.mean).all():
            raise UserError(
                f"features of {self.settings.backbone} are not finite (NaN); the checkpoint is "
                "damaged, download or save it again"
            )
        self.template = template

    def facts(self) -> dict[str, object]:
        """Return what the numbers of a report depend on."""
        config = self.backbone.config
        return {
            "backbone": config.source,
            "layers": list(config.layers),
            "input_size": list(config.input_size),
            "window": config.window,
            "template": self.settings.template,
            "template_clips": self.template.report.clips if self.template else 0,
            "clips_from": self.settings.videos or self.settings.textures or "rendered scenes",
            "seed": self.settings.seed,
            "skipped": self.skipped,
        }


def _clip_frames(backbone: FrozenBackbone) -> int:
    """A window; where that is a single tubelet, in which nothing can change, several."""
    return DEFAULT_WINDOW if backbone.slots < 2 else backbone.config.window


def _backbone_config(settings: Settings, template: PositionalTemplate | None) -> BackboneConfig:
    fitted = template.identity if template else {}
    architecture = load_architecture(settings.backbone)
    layers = settings.layers or fitted.get("layers") or (architecture.num_hidden_layers,)
    return BackboneConfig(
        settings.backbone,
        tuple(layers),
        tuple(settings.size or fitted.get("input_size", DEFAULT_SIZE)),
        settings.window or fitted.get("window", DEFAULT_WINDOW),
        fitted.get("frame_mode", frame_modes(architecture)[0]),
    )


def read_frames(video: Video, size: tuple[int, int], stop: int | None = None) -> Tensor:
    """Read a video at the backbone's input size.

    Args:
        video: any video.
        size: `(height, width)` in pixels.
        stop: frame to stop before.

    Returns:
        `(T, 3, H, W) float32` in 0..1.
    """
    return shrink_frames(video.frames(0, stop), size)[0]
