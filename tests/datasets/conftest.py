"""Annotated videos as they are published."""

from __future__ import annotations

from pathlib import Path

import pytest
from annotated_folders import write_kubric, write_point_odyssey


@pytest.fixture
def kubric(tmp_path: Path) -> Path:
    return write_kubric(tmp_path)


@pytest.fixture
def odyssey(tmp_path: Path) -> Path:
    return write_point_odyssey(tmp_path)
