"""Nuke, After Effects and SynthEyes: their text is read back as those programs read it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from any_tracks import any_tracks, assert_same_places, seen_places, three_points
from hypothesis import given, settings

from tracker.formats.registry import save_tracks
from tracker.points.tracks import Tracks

TOKEN = re.compile(r'\{|\}|"[^"]*"|[^\s{}"]+')


def parse_script(text: str) -> list:
    """Read braces as lists, as Tcl does."""
    stack: list[list] = [[]]
    for token in TOKEN.findall(text):
        if token == "{":
            stack.append([])
        elif token == "}":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    assert len(stack) == 1, "braces do not match"
    return stack[0]


def knobs(node: list) -> dict:
    """Pair names and values of a node's knobs, one value each."""
    return dict(zip(node[::2], node[1::2], strict=True))


def keys_of(curve: list) -> dict[int, float]:
    """Return the keys of an animation; a value without a frame is of the frame after the last."""
    keys, frame = {}, None
    assert not curve or curve[0] == "curve"
    for part in curve[1:]:
        if part.startswith("x"):
            frame = int(part[1:])
        elif part != "K":
            keys[frame] = float(part)
            frame += 1
    return keys


def read_nuke(path: Path) -> tuple[dict, list[list]]:
    """Return the root's knobs, and a row of 31 cells for each track."""
    script = parse_script(path.read_text(encoding="utf-8"))
    assert script[::2] == ["Root", "Tracker4"]
    head, columns, rows = knobs(script[3])["tracks"]
    assert head[:2] == ["1", "31"] and int(head[2]) == len(rows)
    assert [column[3] for column in columns][:4] == ["enable", "name", "track_x", "track_y"]
    assert len(columns) == 31 and all(len(row) == 31 for row in rows)
    return knobs(script[1]), rows


def switch_at(keys: dict[int, float], frame: int) -> bool:
    """The value of a constant animation."""
    before = [key for key in keys if key <= frame]
    return bool(keys[max(before)] if before else keys[min(keys)])


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_nuke_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("nuke") / "a.nk")
    root, rows = read_nuke(path)
    assert float(root["fps"]) == pytest.approx(tracks.fps * tracks.stride, abs=1e-4)
    found = {}
    expected = seen_places(tracks)
    for point, row in enumerate(rows):
        x, y = keys_of(row[2]), keys_of(row[3])
        assert x.keys() == y.keys()
        for frame in x:
            found[point, frame - 1] = (x[frame], tracks.size[1] - y[frame])
        for t in range(tracks.num_frames):
            frame = tracks.start + t * tracks.stride
            assert switch_at(keys_of(row[0]), frame + 1) == ((point, frame) in expected)
    assert_same_places(found, expected)


def test_nuke_knows_names_size_and_frames(tmp_path: Path) -> None:
    root, rows = read_nuke(three_points().save(tmp_path / "a.nk", first_frame=1001))
    assert [row[1] for row in rows] == ['"left eye"', '"point_1"', '"tail"']
    assert root["format"] == '"64 48 0 0 64 48 1 video"'
    assert (root["first_frame"], root["last_frame"]) == ("1001", "1107")
    assert keys_of(rows[0][2]) == {1101: 0.5, 1103: 1.5, 1105: 2.5, 1107: 63.5}
    assert keys_of(rows[0][3]) == {1101: 47.5, 1103: 47.5, 1105: 46.5, 1107: 0.5}
    assert keys_of(rows[1][0]) == {1101: 1, 1103: 0, 1105: 1, 1107: 0}


def test_values_of_frames_one_after_another_need_no_frame(tmp_path: Path) -> None:
    tracks = Tracks(np.ones((1, 3, 2)), np.ones((1, 3)), [[0, 1, 1]], (8, 8))
    assert "{curve x1 1 1 1}" in tracks.save(tmp_path / "a.nk").read_text()


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_nuke_ascii_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("nuke") / "a.txt", "nuke-ascii")
    lines = [line for line in path.read_text().split("\n") if line and not line.startswith("#")]
    table = np.array([[float(cell) for cell in line.split()] for line in lines])
    placed = np.flatnonzero(np.isfinite(tracks.xy).all(axis=2).any(axis=1))
    if tracks.num_frames:
        frames = 1 + tracks.start + tracks.stride * np.arange(tracks.num_frames)
        np.testing.assert_array_equal(table[:, 0], frames)
        assert table.shape[1] == 1 + 2 * len(placed)
    for place, point in enumerate(placed):
        known = np.isfinite(tracks.xy[point]).all(axis=1)
        x, y = table[known, 1 + 2 * place], table[known, 2 + 2 * place]
        np.testing.assert_allclose(x, tracks.xy[point, known, 0], atol=0.01)
        np.testing.assert_allclose(tracks.size[1] - y, tracks.xy[point, known, 1], atol=0.01)


def read_after_effects(text: str) -> tuple[dict[str, float], dict[tuple[int, int], tuple]]:
    """Return the header's numbers and the keyframes of each Point Control."""
    first, *lines = text.split("\n")
    assert first == "Adobe After Effects 8.0 Keyframe Data"
    assert lines[-2:] == ["End of Keyframe Data", ""]
    head, keys, point = {}, {}, None
    for line in filter(None, lines[:-2]):
        cells = line.split("\t")
        if cells[0] == "Effects":
            point = int(re.fullmatch(r"Point Control #(\d+)", cells[1])[1]) - 1
            assert cells[2] == "Point #2"
        elif point is None:
            head[cells[1]] = float(cells[2])
        elif cells[1] != "Frame":
            keys[point, int(cells[1])] = (float(cells[2]), float(cells[3]))
    return head, keys


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_after_effects_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("ae") / "a.ae.txt")
    head, keys = read_after_effects(path.read_text())
    assert head["Units Per Second"] == pytest.approx(tracks.fps * tracks.stride, abs=1e-4)
    assert (head["Source Width"], head["Source Height"]) == tracks.size
    assert_same_places(keys, seen_places(tracks))


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_syntheyes_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("se") / "a.syntheyes.txt")
    numbers: dict[str, int] = {}
    found, last = {}, {}
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        name, frame, u, v, outcome = line.split()
        numbers.setdefault(name, len(numbers))
        x, y = (
            (float(part) + 1) / 2 * (side - 1) + 0.5
            for part, side in zip((u, v), tracks.size, strict=True)
        )
        found[numbers[name], int(frame)] = (x, y)
        begins = name not in last
        follows = last.get(name) == int(frame) - 1
        assert int(outcome) == (30 if begins else 7 if follows else 15)
        last[name] = int(frame)
    expected = seen_places(tracks)
    # A point that is never seen has no line.
    order = {point: place for place, point in enumerate(sorted({p for p, _ in expected}))}
    assert_same_places(found, {(order[p], frame): xy for (p, frame), xy in expected.items()})


def test_syntheyes_reaches_from_centre_to_centre(tmp_path: Path) -> None:
    lines = three_points().save(tmp_path / "a.syntheyes.txt").read_text().split("\n")
    assert lines[0] == "left_eye 100 -1.00000000 -1.00000000 30"
    assert lines[3] == "left_eye 106 1.00000000 1.00000000 15"
