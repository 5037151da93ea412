"""What a layer is made of: random crops of pictures, from a folder or built in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from tracker.errors import UserError, log
from tracker.files import UNREADABLE_IMAGE, files_below
from tracker.scenes.patterns import cells, checker, fractal_noise, stripes

SUFFIXES = {".jpg", ".jpeg", ".png"}

LONGEST_ASPECT = 4 / 3
"""Longer pictures are cropped: it bounds the memory of a large folder."""

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
"""The pictures that scikit-image carries inside its package; nothing is downloaded."""


def open_textures(folder: str | Path | None) -> TextureBank:
    """Return the pictures of a folder, or the built-in ones where none is named.

    Raises:
        UserError: the folder is missing or holds no readable picture.
    """
    return TextureBank.from_folder(folder) if folder else TextureBank.builtin()


class TextureBank:
    """Pictures of any size, kept as uint8, from which random square crops are drawn.

    Attributes:
        images: each `(3, h, w) uint8`.
        skipped: number of files that could not be read.

    Raises:
        UserError: no pictures.
    """

    def __init__(self, images: Sequence[Tensor], skipped: int = 0) -> None:
        if not images:
            raise UserError("a texture bank needs at least one picture")
        self.images = list(images)
        self.skipped = skipped

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def builtin(cls, size: int = 256) -> TextureBank:
        """Return scikit-image's photographs and procedural patterns, always the same ones.

        Args:
            size: short side of the pictures in texels.

        Raises:
            UserError: `size` is below 16.
        """
        photographs = cls.photographs(size).images
        generator = Generator().manual_seed(0)
        patterns = [make(generator, size) for make in (fractal_noise, stripes, checker, cells) * 2]
        return cls([*photographs, *(to_uint8(pattern) for pattern in patterns)])

    @classmethod
    def photographs(cls, size: int = 256) -> TextureBank:
        """Return scikit-image's photographs alone.

        Args:
            size: their short side in texels.

        Raises:
            UserError: `size` is below 16.
        """
        if size < 16:
            raise UserError(f"texture size {size} is too small: use 16 or more")
        folder = Path(skimage.data.__file__).parent
        return cls([read_picture(folder / name, size) for name in PHOTOGRAPHS])

    @classmethod
    def from_folder(cls, path: str | Path, size: int = 320) -> TextureBank:
        """Read the .jpg and .png files of a folder and of its subfolders, in order of name.

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
        for file in files_below(folder, SUFFIXES):
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
        """Return a random crop of a random picture at a random scale, perhaps mirrored.

        The crop is never enlarged unless the picture is smaller than `size`.

        Args:
            generator: CPU generator.
            size: side of the result in texels.

        Returns:
            `(3, size, size) float32` in 0..1.
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
    """Read a picture as RGB, `(3, h, w) uint8`, its short side reduced to `size` at most."""
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
    """Turn values in 0..1 into bytes."""
    return image.clamp(0, 1).mul(255).round().to(torch.uint8)
