"""The first three principal components of a clip's features as colours.

Shapes: L layers, S tubelet slots, C channels, h x w patches, N tokens, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from skimage.filters import threshold_otsu
from torch import Tensor

from tracker.analysis.features import Features, read_frames
from tracker.analysis.figures import Panel, Row, draw_rows, evenly
from tracker.analysis.report import Figure, Report, Table
from tracker.errors import UserError
from tracker.extras import needs
from tracker.features.backbone import FrozenBackbone
from tracker.features.encoder import encode_tokens
from tracker.video.pixels import normalise
from tracker.video.video import Video

with needs("analysis"):
    from sklearn.decomposition import PCA

COMPONENTS = 3
SHOWN_TUBELETS = 8
PERCENTILES = (1, 99)
BINS = 256
SUMMARY = """\
The first three principal components of the tokens of one clip as red, green and blue, a column for
each tubelet; one fit per row, so colours compare within a row only. Foreground is the side of the
first component (split by Otsu's threshold) that fills less of the frame's border; of the raw
features, and used in all rows. In the rows "encoded alone", of V-JEPA in tubelets, the encoder was
given the foreground's tokens only.
"""


@dataclass(frozen=True)
class Components:
    """Principal components of tokens.

    Attributes:
        scores: `(N, 3)`.
        explained: `(3,)` share of the variance.
    """

    scores: np.ndarray
    explained: np.ndarray

    def colours(self) -> np.ndarray:
        """Return `(N, 3)` in 0..1, each component stretched between its 1st and 99th percentile."""
        low, high = np.percentile(self.scores, PERCENTILES, axis=0)
        return np.clip((self.scores - low) / np.maximum(high - low, 1e-12), 0, 1)


def principal_components(tokens: Tensor) -> Components:
    """Fit three components to `(N, C)` tokens.

    Raises:
        UserError: fewer tokens or channels than components.
    """
    if min(tokens.shape) < COMPONENTS:
        raise UserError(
            f"{tokens.shape[0]} tokens of {tokens.shape[1]} channels have no {COMPONENTS} "
            "principal components; use a larger --size or --window"
        )
    pca = PCA(COMPONENTS, random_state=0)
    with np.errstate(invalid="ignore"):  # tokens that are all alike have no variance to share
        scores = pca.fit_transform(tokens.double().numpy())
    return Components(scores, np.nan_to_num(pca.explained_variance_ratio_))


def foreground(first: np.ndarray) -> np.ndarray:
    """Split a first component `(S, h, w)` in two and return the side that is the foreground.

    A component has no sign of its own: the side that fills less of the border is taken. Where
    nothing varies, all is foreground.

    Returns:
        `(S, h, w)` bool.
    """
    if np.ptp(first) < 1e-9:
        return np.ones(first.shape, bool)
    # Otsu returns the centre of a histogram bin whose values all belong to the lower side.
    half_bin = np.ptp(first) / (2 * BINS)
    high = first > threshold_otsu(first.ravel(), nbins=BINS) + half_bin
    border = np.ones(first.shape[1:], bool)
    border[1:-1, 1:-1] = False
    return high if high[:, border].mean() <= 0.5 else ~high


@torch.no_grad()
def encode_visible(backbone: FrozenBackbone, frames: Tensor, visible: Tensor) -> Tensor:
    """Encode some tokens of a clip as if there were no others.

    Args:
        backbone: whose encoder runs.
        frames: `(T, 3, H, W)` normalised, of whole tubelets and patches.
        visible: `(S, h, w)` bool, N of them set.

    Returns:
        `(L, N, C)` features in order (slot, row, column), float32 on the CPU.
    """
    encoder: Any = backbone.model.encoder
    embedded = encoder.embeddings(frames[None].to(next(encoder.parameters())))
    chosen = visible.flatten().nonzero()[:, 0].to(embedded.device)[None]
    grid = (visible.shape[0], visible.shape[1], visible.shape[2])
    outputs = encode_tokens(encoder, embedded, grid, backbone.config.layers, chosen)
    return torch.cat(outputs).float().cpu()


def analyze_pca(features: Features, video: Video | None) -> Report:
    """Draw components of the first frames of a video, as many as a clip has, or of the first clip.

    Raises:
        UserError: too few tokens, or features that are not finite.
    """
    config = features.backbone.config
    if video is None:
        clip, name, (height, width) = next(features.clips(1)), "clip 0", config.input_size
    else:
        clip, name = read_frames(video, config.input_size, features.clip_frames), video.name
        width, height = video.size  # squeezed for the backbone, not for the reader
    if len(clip) % 2:  # a tubelet needs both its frames
        clip = torch.cat([clip, clip[-1:]])
    features.fit(features.settings.clips, first=2)
    volume = features.encode(clip)
    residual = features.residual(volume)
    numbers, figures = [], []
    for place, layer in enumerate(features.layers):
        rows, entry = _layer_rows(features, clip, place, volume.features, residual)
        numbers.append({"layer": layer, **entry})
        title = f"Principal components, {name}, layer {layer}"
        png = draw_rows(title, rows, height / width)
        figures.append(Figure(f"pca_layer{layer}", png, f"Components of layer {layer}."))
    table = Table(
        "Share of variance of the first three components",
        ["", "first", "second", "third"],
        [
            (f"layer {entry['layer']}, {row}", *shares)
            for entry in numbers
            for row, shares in entry["explained"].items()
        ],
    )
    facts = features.facts() | {"clip": name, "frames": len(clip)}
    return Report("pca", "Principal components", SUMMARY, facts, {"pca": numbers}, [table], figures)


def _layer_rows(
    features: Features, clip: Tensor, place: int, raw: Tensor, residual: Tensor | None
) -> tuple[list[Row], dict]:
    """Return the rows of one layer's figure, frames first, and its numbers."""
    slots, grid = raw.shape[2], features.backbone.grid
    everything = np.ones((slots, *grid), bool)
    tokens = {"raw": _tokens(raw[0, place])}
    if residual is not None:
        tokens["residual"] = _tokens(residual[0, place])
    first = principal_components(tokens["raw"]).scores[:, 0]
    front = foreground(first.reshape(slots, *grid))
    kept = torch.from_numpy(front)
    visible = {}
    # Where a clip has several windows, tokens of different ones would see each other.
    if features.backbone.config.frame_mode == "tubelet" and slots <= features.backbone.phases:
        visible["raw"] = encode_visible(features.backbone, normalise(clip), kept)[place]
        if features.template is not None:
            mean = _tokens(features.template.mean[place, :slots])[kept.flatten()]
            visible["residual"] = (visible["raw"] - mean) / features.template.std[place]
    parts = {}
    for name, values in tokens.items():
        parts[f"{name},\nall tokens"] = (values, everything)
        parts[f"{name},\nforeground"] = (values[kept.flatten()], front)
        if name in visible:
            parts[f"{name},\nencoded alone"] = (visible[name], front)
    shown = evenly(slots, SHOWN_TUBELETS)
    stride = len(clip) // slots
    frames = [
        Panel(clip[stride * s].permute(1, 2, 0).numpy(), f"frame {stride * s}") for s in shown
    ]
    rows, explained = [Row("frames", frames)], {}
    for name, (values, where) in parts.items():
        found = principal_components(values)
        picture = np.zeros((*where.shape, 3))
        picture[where] = found.colours()
        rows.append(Row(name, [Panel(picture[s]) for s in shown]))
        explained[name.replace("\n", " ")] = found.explained.tolist()
    return rows, {"foreground_share": float(front.mean()), "explained": explained}


def _tokens(features: Tensor) -> Tensor:
    return rearrange(features, "s c h w -> (s h w) c")
