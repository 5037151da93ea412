"""The script for Blender, run against a small Blender of our own."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from any_tracks import any_tracks, assert_same_places, seen_places, three_points
from hypothesis import given, settings

from tracker.formats.registry import save_tracks
from tracker.points.tracks import Tracks


class Markers(dict):
    """Markers of a track by frame."""

    def insert_frame(self, frame: int, co: tuple[float, float]) -> SimpleNamespace:
        assert isinstance(frame, int)
        self[frame] = SimpleNamespace(co=co, mute=False)
        return self[frame]


class TrackList(list):
    """Tracks of a clip; a new one has a marker in the middle of its frame, as in Blender."""

    def new(self, name: str, frame: int) -> SimpleNamespace:
        track = SimpleNamespace(name=name, markers=Markers())
        track.markers.insert_frame(frame, co=(0.5, 0.5))
        self.append(track)
        return track


def run_in_blender(script: Path, clips: int = 1, fps: float = 24.0) -> TrackList:
    """Run a script where some clips are loaded; return the tracks of the last."""
    found = [
        SimpleNamespace(fps=fps, tracking=SimpleNamespace(tracks=TrackList())) for _ in range(clips)
    ]
    editor = SimpleNamespace(type="CLIP_EDITOR", spaces=SimpleNamespace(active=None))
    editor.spaces.active = SimpleNamespace(clip=found[-1] if found else None)
    window = SimpleNamespace(screen=SimpleNamespace(areas=[editor]))
    manager = SimpleNamespace(windows=[window])
    with pytest.MonkeyPatch.context() as patch:
        context = SimpleNamespace(window_manager=manager)
        bpy = SimpleNamespace(context=context, data=SimpleNamespace(movieclips=found))
        patch.setitem(sys.modules, "bpy", bpy)
        runpy.run_path(str(script))
    return found[-1].tracking.tracks


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_markers_are_where_points_are(
    tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = save_tracks(tracks, tmp_path_factory.mktemp("blender") / "a.blender.py")
    width, height = tracks.size
    made = run_in_blender(script)
    placed = [p for p in range(len(tracks)) if (tracks.xy[p] == tracks.xy[p]).all(axis=1).any()]
    assert len(made) == len(placed)
    found = {
        (point, frame - 1): (marker.co[0] * width, (1 - marker.co[1]) * height)
        for point, track in zip(placed, made, strict=True)
        for frame, marker in track.markers.items()
        if not marker.mute
    }
    assert_same_places(found, seen_places(tracks))


def test_hidden_frames_are_muted(tmp_path: Path) -> None:
    made = run_in_blender(three_points().save(tmp_path / "a.blender.py"))
    assert [track.name for track in made] == ["left eye", "point_1", "tail"]
    mutes = {frame: marker.mute for frame, marker in made[1].markers.items()}
    assert mutes == {101: False, 103: True, 105: False, 107: True}


def test_another_rate_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = three_points().save(tmp_path / "a.blender.py")
    run_in_blender(script, fps=24.0)
    assert capsys.readouterr().out == ""
    run_in_blender(script, fps=30.0)
    assert "30.0 fps" in capsys.readouterr().out


def test_a_clip_must_be_open(tmp_path: Path) -> None:
    script = three_points().save(tmp_path / "a.blender.py")
    with pytest.raises(RuntimeError, match="open the video as a movie clip"):
        run_in_blender(script, clips=0)
