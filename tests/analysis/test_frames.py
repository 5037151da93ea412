"""The report on key frames, with features and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysis_fixtures import flashing_video

from tracker.analysis.features import Settings
from tracker.analysis.frames import analyze_frames
from tracker.errors import UserError


def test_damaged_weights_fall_back_but_a_wrong_layer_is_an_error(
    checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    settings = Settings(str(tmp_path), size=(64, 64), window=8, clips=2)
    report = analyze_frames(settings, flashing_video(8, 4), 2, lambda: None)
    assert report.numbers["clips"]["array"]["frames"] == [2, 6]
    assert report.numbers["clips"]["array"]["method"] == "uniform"
    assert "cannot be loaded" in report.facts["fallback"]
    with pytest.raises(UserError, match="layers"):
        analyze_frames(
            Settings(str(checkpoint), layers=(9,)), flashing_video(8, 4), 2, lambda: None
        )
    with pytest.raises(UserError, match="nowhere"):
        analyze_frames(Settings(str(tmp_path / "nowhere")), None, 2, lambda: None)


def test_a_report_over_clips(checkpoint: Path) -> None:
    settings = Settings(str(checkpoint), size=(64, 64), window=8, clips=2, layers=(1, 2))
    steps: list[int] = []
    report = analyze_frames(settings, None, 3, lambda: steps.append(1))
    assert len(steps) == 4  # two clips for the template, two to look at
    for entry in report.numbers["clips"].values():
        assert entry["frames"] == sorted(set(entry["frames"])) and len(entry["frames"]) == 3
        assert set(entry["importance"]) == {"raw", "residual"}
        assert sum(entry["importance"]["residual"]) == pytest.approx(2)  # two frames a tubelet
    assert len(report.figures) == 4
