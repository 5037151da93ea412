"""The command that compares poolings of frozen features, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import save_tiny_backbone

from tracker.cli.probe import main
from tracker.pretraining.probe.motion_task import CLASSES


def test_rendered_motion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = save_tiny_backbone(tmp_path / "tiny")
    out = tmp_path / "out" / "table.json"
    size = ["--size", "32", "32", "--frames", "4", "--clips", "12", "--test-clips", "6"]
    main(["--backbone", str(backbone), *size, "--epochs", "2", "--out", str(out)])
    printed = capsys.readouterr().out
    results = json.loads(out.read_text())["results"]
    assert [result["task"] for result in results] == list(CLASSES)
    assert all(name in printed for name in CLASSES)
    assert set(results[0]["accuracy"]) == {"attentive", "average"}


def test_videos(tmp_path: Path, class_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = save_tiny_backbone(tmp_path / "tiny")
    size = ["--size", "32", "32", "--frames", "4", "--epochs", "1"]
    main(["--backbone", str(backbone), "--videos", str(class_folder), *size])
    out, err = capsys.readouterr()
    assert "6 clips to learn from, 2 to test on" in out and "broken.mp4" in err


def test_help_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0 and "attentive probe" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["--clips", "0"])
    assert stop.value.code == 2 and "start at 1" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["--device", "abacus"])
    assert stop.value.code == 2 and "device abacus cannot" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["--seed", "-1"])
    assert stop.value.code == 2 and "--seed -1" in capsys.readouterr().err


def test_where_the_table_goes_is_proved_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for out, words in {"": "is a folder", "file/table.json": "output folder"}.items():
        with pytest.raises(SystemExit) as stop:
            main(["--backbone", "./nowhere", "--out", str(tmp_path / out)])
        assert stop.value.code == 2 and words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--backbone", "./nowhere", "--out", str(tmp_path / "new" / "table.json")])
    assert "nowhere" in capsys.readouterr().err and not (tmp_path / "new").exists()
