"""Tiny checkpoints of OWLv2 and SAM 2, made once and only where a test asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def owlv2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_prompting import write_owlv2

    return write_owlv2(tmp_path_factory.mktemp("checkpoints") / "owlv2")


@pytest.fixture(scope="session")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_prompting import write_sam2

    return write_sam2(tmp_path_factory.mktemp("checkpoints") / "sam2")


@pytest.fixture(scope="session")
def sam2_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_prompting import write_sam2_video

    return write_sam2_video(tmp_path_factory.mktemp("checkpoints") / "sam2_video")
