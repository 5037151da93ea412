"""Unpickling admits arrays and nothing that could run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.datasets.benchmark import Sample
from tracker.datasets.tapvid import TapVid
from tracker.errors import UserError


@pytest.fixture
def entry(make_entry: Callable, make_frames: Callable) -> dict:
    return make_entry(make_frames(6))


def load_all(path: Path) -> dict[str, Sample]:
    return {name: load() for name, load in TapVid("test", path)}


def write(path: Path, data: object, protocol: int | None = None) -> Path:
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


class Hostile:
    """Runs a command when it is unpickled by the ordinary means."""

    def __init__(self, function: Callable, *args: object) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple:
        return self._call


@pytest.mark.parametrize("where", ["alone", "in a video", "in an array"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickle_does_not_run(
    tmp_path: Path, entry: dict, where: str, protocol: int
) -> None:
    mark = tmp_path / "ran"
    bomb = Hostile(os.system, f"touch {mark}")
    data = {
        "alone": bomb,
        "in a video": {"v": {**entry, "video": bomb}},
        "in an array": {"v": {**entry, "points": np.array([bomb, 1], object)}},
    }[where]
    path = write(tmp_path / "bomb.pkl", data, protocol)
    with pytest.raises(UserError, match=r"bomb\.pkl: it asks to load posix\.system"):
        load_all(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # the bomb is a real one
    assert mark.exists()


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, open, np.load, np.fromfile])
def test_nothing_but_arrays_may_be_asked_for(tmp_path: Path, function: Callable) -> None:
    path = write(tmp_path / "x.pkl", Hostile(function, "1"))
    with pytest.raises(UserError, match="only NumPy arrays"):
        load_all(path)
