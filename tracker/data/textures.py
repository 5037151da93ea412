"""What a layer is made of: pictures from a bank, and outlines that cut sprites out of them."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE

log = logging.getLogger(__name__)

SUFFIXES = {".jpg", ".jpeg", ".png"}
LONGEST_ASPECT = 4 / 3  # longer pictures are cropped: it bounds the memory of a large folder

# The pictures that scikit-image carries inside its package (nothing is downloaded).
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)


class TextureBank:
    """Pictures of any size, kept as uint8, from which random square crops are drawn.

    Attributes:
        images: list of (3, h, w) uint8 tensors.
        skipped: number of files that could not be read.
    """

    def __init__(self, images: Sequence[Tensor], skipped: int = 0) -> None:
        if not images:
            raise UserError("a texture bank needs at least one picture")
        self.images = list(images)
        self.skipped = skipped

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def builtin(cls, size: int = 256) -> "TextureBank":
        """Photographs shipped with scikit-image and procedural patterns; always the same ones.

        Args:
            size: short side of the pictures in texels.
        """
        photographs = cls.photographs(size).images
        generator = Generator().manual_seed(0)
        patterns = [make(generator, size) for make in (fractal_noise, stripes, checker, cells) * 2]
        return cls([*photographs, *(to_uint8(pattern) for pattern in patterns)])

    @classmethod
    def photographs(cls, size: int = 256) -> "TextureBank":
        """Photographs shipped with scikit-image alone; `size` is their short side in texels."""
        if size < 16:
            raise UserError(f"texture size {size} is too small: use 16 or more")
        folder = Path(skimage.data.__file__).parent
        return cls([read_picture(folder / name, size) for name in PHOTOGRAPHS])

    @classmethod
    def from_folder(cls, path: str | Path, size: int = 320) -> "TextureBank":
        """Reads the .jpg and .png files of a folder and of its subfolders, in order of name.

        Args:
            path: the folder.
            size: longest short side in texels; larger pictures are reduced to it. At 320 a
                picture takes 0.41 MB at most, so 1,500 of them take about 600 MB.

        Raises:
            UserError: the folder is missing or holds no readable picture.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise UserError(f"texture folder {folder} does not exist: give a folder of pictures")
        images: list[Tensor] = []
        skipped = 0
        for file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES):
            try:
                images.append(read_picture(file, size))
            except UNREADABLE_IMAGE:
                skipped += 1
        if skipped:
            log.warning("%s: skipped %d unreadable pictures", folder, skipped)
        if not images:
            raise UserError(f"texture folder {folder} holds no readable .jpg or .png picture")
        return cls(images, skipped)

    def sample(self, generator: Generator, size: int) -> Tensor:
        """A random crop of a random picture at a random scale, perhaps mirrored.

        The crop is never enlarged unless the picture is smaller than `size`.

        Args:
            generator: CPU generator.
            size: side of the result in texels.

        Returns:
            (3, size, size) float32 in 0..1.
        """
        pick, zoom, top, left, flip_x, flip_y = torch.rand(6, generator=generator).tolist()
        image = self.images[int(pick * len(self.images))]
        _, height, width = image.shape
        short = min(height, width)
        finest = min(size, short)
        side = round(finest * (short / finest) ** zoom)
        y, x = int(top * (height - side + 1)), int(left * (width - side + 1))
        crop = image[None, :, y : y + side, x : x + side].float().div_(255)
        if side != size:
            crop = interpolate(crop, (size, size), mode="bilinear", antialias=True)
        flips = [dim for dim, flip in ((3, flip_x < 0.5), (2, flip_y < 0.2)) if flip]
        return crop.flip(flips)[0]


def read_picture(path: Path, size: int) -> Tensor:
    """Reads a picture as RGB, its short side reduced to `size` at most. Returns (3, h, w) uint8."""
    with Image.open(path) as file:
        file.draft("RGB", (size, size))
        picture = file.convert("RGB")
    width, height = picture.size
    scale = min(1.0, size / min(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    picture = picture.resize((width, height), Image.Resampling.BOX)
    longest = int(min(width, height) * LONGEST_ASPECT)
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    picture = picture.crop((left, top, left + min(width, longest), top + min(height, longest)))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def to_uint8(image: Tensor) -> Tensor:
    return image.clamp(0, 1).mul(255).round().to(torch.uint8)


# --- procedural patterns: each returns (3, size, size) float ---


def noise_field(generator: Generator, size: int, channels: int, cells_across: int) -> Tensor:
    """Smooth noise (channels, size, size) in 0..1 with features of size / cells_across texels."""
    coarse = torch.rand(1, channels, cells_across, cells_across, generator=generator)
    return interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[0]


def fractal_noise(generator: Generator, size: int) -> Tensor:
    octaves = [2**k for k in range(2, int(math.log2(size)))]
    field = sum(noise_field(generator, size, 3, n) * n**-0.6 for n in octaves)
    low, high = field.amin((1, 2), keepdim=True), field.amax((1, 2), keepdim=True)
    return (field - low) / (high - low)


def warped_raster(generator: Generator, size: int) -> tuple[Tensor, Tensor]:
    """A bent and rotated coordinate grid, two (size, size) tensors over about 0..1."""
    axis = torch.arange(size) / size
    bend = noise_field(generator, size, 2, 5) * 0.3
    y, x = axis[:, None] + bend[0], axis[None, :] + bend[1]
    angle = float(torch.rand(1, generator=generator)) * math.pi
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def two_colours(generator: Generator, mask: Tensor) -> Tensor:
    """Paints a 0..1 mask (size, size) with two random colours and a little noise."""
    first, second = torch.rand(2, 3, 1, 1, generator=generator)
    shade = noise_field(generator, mask.shape[-1], 3, 12) * 0.4 - 0.2
    return first + (second - first) * mask + shade


def stripes(generator: Generator, size: int) -> Tensor:
    x, y = warped_raster(generator, size)
    wave = torch.sin(x * 60) * 2 + torch.sin(y * 17)
    return two_colours(generator, wave.sigmoid())


def checker(generator: Generator, size: int) -> Tensor:
    x, y = warped_raster(generator, size)
    return two_colours(generator, (6 * torch.sin(x * 40) * torch.sin(y * 40)).sigmoid())


def cells(generator: Generator, size: int) -> Tensor:
    """Voronoi cells, each with its own colour, dark along their edges."""
    sites = torch.rand(90, 2, generator=generator) * size
    colours = torch.rand(90, 3, generator=generator)
    axis = torch.arange(size) + 0.5
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    near, owner = torch.cdist(pixels, sites).topk(2, largest=False)
    edge = ((near[:, 1] - near[:, 0]) / 3).clamp(0.2, 1)
    return (colours[owner[:, 0]] * edge[:, None]).T.reshape(3, size, size)


# --- outlines ---


def draw_outline(generator: Generator, texels: int) -> Tensor:
    """A random shape: blob, ellipse, bar, shape with a hole, or union of two blobs.

    The shape stays inside the square, two texels or more away from its sides.

    Args:
        generator: CPU generator.
        texels: side of the square.

    Returns:
        (texels, texels) float32, the signed distance to the outline in half sides of the square
        (first-order: exact near the outline), positive inside.
    """
    axis = (torch.arange(texels) + 0.5) * (2 / texels) - 1
    fit = 1 / (1 - 5 / texels)
    angle = float(torch.rand(1, generator=generator)) * 2 * math.pi
    cos, sin = math.cos(angle) * fit, math.sin(angle) * fit
    x = cos * axis[None, :] + sin * axis[:, None]
    y = cos * axis[:, None] - sin * axis[None, :]
    kind, a, b, c = torch.rand(4, generator=generator).tolist()
    if kind < 0.3:
        level = blob(generator, x, y)
    elif kind < 0.45:
        level = ellipse(x, y, 1, 0.4 + 0.6 * a)
    elif kind < 0.65:
        level = bar(x, y, max(0.05 + 0.2 * a, 4 / texels))
    elif kind < 0.8:
        hole = ellipse(x - 0.3 * (b - 0.5), y - 0.3 * (c - 0.5), 0.3 + 0.2 * a, 0.3 + 0.2 * b)
        level = torch.minimum(blob(generator, x, y), -hole)
    else:
        big, small = 0.55 + 0.15 * a, 0.35 + 0.2 * b
        first = blob(generator, (x + 1 - big) / big, y / big)
        second = blob(generator, (x - 1 + small) / small, y / small)
        bridge = bar(x, y, 0.12) - 0.02
        level = torch.maximum(torch.maximum(first, second), bridge)
    # Dividing by the slope turns a level set into a distance near its zero.
    slope_y, slope_x = torch.gradient(level, spacing=2 / texels)
    return (level / torch.hypot(slope_x, slope_y).clamp(min=0.2)).clamp(-1, 1)


def blob(generator: Generator, x: Tensor, y: Tensor) -> Tensor:
    """Level of a star-convex outline: a radius of four random harmonics, at most 1."""
    order = torch.arange(2, 6)
    weight = (torch.rand(4, generator=generator) - 0.5) * 1.1 / order
    phase = torch.rand(4, generator=generator) * 2 * math.pi
    theta = torch.atan2(y, x)
    radius = 1 + sum(
        w * torch.cos(k * theta + p) for k, w, p in zip(order, weight, phase, strict=True)
    )
    return radius / (1 + weight.abs().sum()) - torch.hypot(x, y)


def ellipse(x: Tensor, y: Tensor, a: float, b: float) -> Tensor:
    """Level of an ellipse of half axes a and b."""
    return (1 - torch.hypot(x / a, y / b)) * min(a, b)


def bar(x: Tensor, y: Tensor, thickness: float) -> Tensor:
    """Signed distance of a capsule of half length 1 along x and half thickness `thickness`."""
    return thickness - torch.hypot((x.abs() - (1 - thickness)).clamp(min=0), y)
