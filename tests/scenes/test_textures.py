"""Texture bank: where pictures come from."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Generator

from tracker.errors import UserError
from tracker.scenes.textures import TextureBank, open_textures


@pytest.fixture(scope="module")
def bank() -> TextureBank:
    return TextureBank.builtin(64)


def save_picture(path, width, height):
    Image.effect_noise((width, height), 60).convert("RGB").save(path)


def test_builtin_bank_is_deterministic_and_rich(bank):
    again = TextureBank.builtin(64)
    assert len(bank) == len(again) >= 20
    for image, other in zip(bank.images, again.images, strict=True):
        assert image.dtype == torch.uint8
        assert min(image.shape[1:]) == 64
        assert torch.equal(image, other)
        assert image.float().std() > 5


@pytest.mark.parametrize("size", [12, 50, 64, 130])
def test_sample_has_the_size_asked_for_and_follows_its_generator(bank, size):
    first = bank.sample(Generator().manual_seed(3), size)
    again = bank.sample(Generator().manual_seed(3), size)
    other = bank.sample(Generator().manual_seed(4), size)
    assert first.shape == (3, size, size)
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_folder_is_read_in_order_with_unreadable_files_counted(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    save_picture(tmp_path / "a.png", 40, 30)
    save_picture(tmp_path / "b.JPG", 500, 400)
    save_picture(tmp_path / "inner" / "c.png", 30, 300)
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    damaged = (tmp_path / "a.png").read_bytes().replace(b"IDAT", b"I\0AT")
    (tmp_path / "damaged.png").write_bytes(damaged)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)
    save_picture(tmp_path / "huge.png", 1000, 500)
    (tmp_path / "notes.txt").write_text("not a picture either")
    bank = TextureBank.from_folder(tmp_path, size=100)
    assert [tuple(image.shape) for image in bank.images] == [
        (3, 30, 40),
        (3, 100, 125),
        (3, 40, 30),
    ]
    assert bank.skipped == 3
    assert len(bank) == 3


def test_missing_and_empty_folders_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        TextureBank.from_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no readable"):
        TextureBank.from_folder(tmp_path)
    with pytest.raises(UserError, match="at least one"):
        TextureBank([])


def test_pictures_come_from_a_folder_where_one_is_named(tmp_path):
    save_picture(tmp_path / "a.png", 40, 30)
    assert len(open_textures(str(tmp_path))) == 1
    builtin = open_textures(None)
    assert len(builtin) == len(TextureBank.builtin(64))
    with pytest.raises(UserError, match="does not exist"):
        open_textures(tmp_path / "nowhere")
