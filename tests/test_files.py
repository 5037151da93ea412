"""Finding files, and writing them: all or nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from tracker.errors import UserError
from tracker.files import (
    atomic_path,
    files_below,
    prepare_output_dir,
    results_file,
    results_folder,
    save_tensors,
)


def test_files_of_a_kind_are_found_at_any_depth_but_not_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.mp4", "a.MP4", "b/d.mov", "._c.mp4", "notes.txt", "mp4"):
        (tmp_path / name).touch()
    found = files_below(tmp_path, {".mp4", ".mov"})
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.MP4", "b/d.mov", "c.mp4"]


def test_output_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    folder = prepare_output_dir(tmp_path / "a" / "b")
    assert folder.is_dir() and not list(folder.iterdir())
    assert prepare_output_dir(folder) == folder


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/outputs", "/proc"])
def test_output_folder_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match="cannot write to the output folder"):
        prepare_output_dir(tmp_path / place)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("writes", [False, True])
def test_results_folder_stays_only_where_something_was_written(
    tmp_path: Path, fails: bool, writes: bool
) -> None:
    (tmp_path / "there").mkdir()
    with suppress(ZeroDivisionError), results_folder(tmp_path / "there" / "a" / "b") as folder:
        assert folder.is_dir()
        if writes:
            (folder / "result").write_text("whole")
        if fails:
            raise ZeroDivisionError
    assert folder.exists() == folder.parent.exists() == writes
    assert (tmp_path / "there").exists()


def test_results_file_proves_its_place_before_the_work(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), results_file(tmp_path / "new" / "table.csv") as file:
        assert file.parent.is_dir() and not file.exists()
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for place, words in {".": "is a folder; name a file", "file/t.csv": "cannot write"}.items():
        with pytest.raises(UserError, match=words), results_file(tmp_path / place):
            raise AssertionError("work that cannot be kept")


def test_atomic_path_appears_only_when_done(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    target.write_text("old")
    with atomic_path(target) as partial:
        assert partial.suffix == ".npz" and partial.parent == tmp_path
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("bug")])
def test_failure_keeps_the_old_file_and_nothing_else(tmp_path: Path, error: Exception) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    expected = UserError if isinstance(error, OSError) else ValueError
    with pytest.raises(expected) as caught, atomic_path(target) as partial:
        partial.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    if expected is UserError:
        assert "No space left on device" in str(caught.value) and str(target) in str(caught.value)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=f"no folder {tmp_path}/new; make it first"),
        atomic_path(tmp_path / "new" / "tracks.csv") as partial,
    ):
        partial.write_text("")


def test_folder_that_is_a_file_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot write"),
        atomic_path(tmp_path / "file" / "x.csv") as partial,
    ):
        partial.write_text("never")


def test_tensors_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors({"x": torch.arange(3)}, path, {"made": "here"})
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.safetensors \(No space left"):
        save_tensors({"x": torch.arange(4)}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
