"""The command that fits templates, end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import save_tiny_backbone

from tracker.cli.fit_template import main
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.template import PositionalTemplate


def options(folder: Path, clips: int, *extra: str) -> list[str]:
    backbone = folder / "backbone"
    if not backbone.exists():
        save_tiny_backbone(backbone)
    tiny = ["--backbone", str(backbone), "--layers", "1", "2", "--size", "64", "64"]
    out = ["--out", str(folder / "t.safetensors"), "--clips", str(clips), "--window", "8"]
    return [*tiny, *out, *extra]


def test_fits_on_rendered_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(options(tmp_path, 3))
    template = PositionalTemplate.load(tmp_path / "t.safetensors")
    config = BackboneConfig(str(tmp_path / "backbone"), (1, 2), (64, 64), 8)
    template.check(FrozenBackbone(config))
    assert template.report.clips == 3
    assert (tmp_path / "t.png").stat().st_size > 5_000
    assert not (tmp_path / "t.progress.safetensors").exists()
    assert "split-half cosine" in capsys.readouterr().out


def test_fits_on_videos_and_lists_the_broken(
    tmp_path: Path, video_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(options(tmp_path, 4, "--videos", str(video_folder)))
    assert "warning: skipped" in capsys.readouterr().err
    assert (tmp_path / "t.safetensors").exists()


def test_a_video_that_breaks_off_is_replaced_by_others(
    tmp_path: Path,
    video_folder: Path,
    write_damaged: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_damaged(video_folder / "damaged.mp4")
    main(options(tmp_path, 6, "--videos", str(video_folder)))
    printed = capsys.readouterr().err
    assert "clips that could not be read" in printed and "damaged.mp4 could only" in printed
    assert PositionalTemplate.load(tmp_path / "t.safetensors").report.clips == 6


def test_nothing_but_damaged_videos(
    tmp_path: Path, write_damaged: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    write_damaged(tmp_path / "damaged.mp4")
    with pytest.raises(SystemExit) as stop:
        main(options(tmp_path, 2, "--videos", str(tmp_path)))
    assert stop.value.code == 2
    assert "8 clips in a row could not be read" in capsys.readouterr().err


def test_a_folder_made_for_a_template_that_failed_goes_again(
    tmp_path: Path, write_damaged: Callable[[Path], None]
) -> None:
    (tmp_path / "videos").mkdir()
    write_damaged(tmp_path / "videos" / "damaged.mp4")
    out = tmp_path / "new" / "t.safetensors"
    with pytest.raises(SystemExit):
        main(options(tmp_path, 2, "--videos", str(tmp_path / "videos"), "--out", str(out)))
    assert not out.parent.exists()


def test_goes_on_from_saved_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tracker.cli import fit_template

    main(options(tmp_path, 4))
    whole = PositionalTemplate.load(tmp_path / "t.safetensors")
    monkeypatch.setattr(fit_template, "SAVE_EVERY", 2)
    monkeypatch.setattr(fit_template, "plot_convergence", interrupt)
    with pytest.raises(SystemExit):
        main(options(tmp_path, 2))
    assert (tmp_path / "t.progress.safetensors").exists()
    monkeypatch.undo()
    main(options(tmp_path, 4))
    again = PositionalTemplate.load(tmp_path / "t.safetensors")
    assert torch.equal(again.mean, whole.mean)


def test_progress_of_other_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tracker.cli import fit_template

    monkeypatch.setattr(fit_template, "SAVE_EVERY", 2)
    monkeypatch.setattr(fit_template, "plot_convergence", interrupt)
    with pytest.raises(SystemExit):
        main(options(tmp_path, 2))
    for extra in (["--seed", "1"], ["--frame-mode", "offset"]):
        with pytest.raises(SystemExit) as stop:
            main(options(tmp_path, 4, *extra))
        assert stop.value.code == 2
        assert "progress of another" in capsys.readouterr().err
    (tmp_path / "t.progress.safetensors").write_bytes(b"garbage")
    with pytest.raises(SystemExit):
        main(options(tmp_path, 4))
    assert "is damaged" in capsys.readouterr().err


def interrupt(*args: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--videos", "nowhere"], "folder nowhere does not exist"),
        (["--tapvid", "nowhere.pkl"], "does not exist"),
        (["--frame-mode", "twice"], "tubelet, offset or duplicate"),
        (["--out", "t.bin"], "must end in .safetensors"),
        (["--device", "abacus"], "device abacus cannot be used"),
        (["--clips", "1"], "--clips 1: a template needs 2 or more"),
        (["--seed", "-1"], "--seed -1: give 0 or more"),
        (["--out", "."], "must end in .safetensors"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = options(tmp_path, 2, "--out", str(tmp_path / "out" / "t.safetensors"), *extra)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["backbone"]
