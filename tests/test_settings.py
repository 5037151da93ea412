"""Configuration of the top-level commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tracker.datasets.tapvid import TapVid
from tracker.errors import UserError
from tracker.settings import CONFIG_DIR, compose, instantiate


def test_overrides_change_settings_and_groups() -> None:
    overrides = ["benchmark=robotap", "query_mode=strided", "trackers=[lk]", "limit=3"]
    config = compose("evaluate", overrides, None)
    assert config.benchmark.name == "robotap"
    assert (config.query_mode, list(config.trackers), config.limit) == ("strided", ["lk"], 3)
    assert config.output_dir == "outputs/evaluate/robotap-strided"


@pytest.mark.parametrize("path", sorted((CONFIG_DIR / "benchmark").glob("*.yaml")), ids=str)
def test_every_benchmark_composes(path: Path) -> None:
    config = compose("evaluate", [f"benchmark={path.stem}"], None)
    assert config.benchmark.name == path.stem


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("query_mod=first", "query_mod"),
        ("benchmark=nope", "nope"),
        ("no equals sign", "equals"),
        ("trackers=[lk", "'[lk'"),
        ("--multirun", "multirun"),
    ],
)
def test_wrong_overrides_are_one_line(override: str, word: str) -> None:
    with pytest.raises(UserError) as caught:
        compose("evaluate", [override], None)
    assert word in str(caught.value) and "--help" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_override_does_not_spoil_the_next() -> None:
    with pytest.raises(UserError):
        compose("evaluate", ["nope=1"], None)
    assert compose("evaluate", [], None).query_mode == "first"


def test_help_lists_choices_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        compose("evaluate", ["limit=3", "--help"], "What this does.")
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert out.startswith("What this does.") and "tapvid_davis" in out and "limit: 3" in out


def test_user_errors_come_through_instantiate(tmp_path: Path) -> None:
    config = compose("evaluate", ["benchmark=robotap"], None)
    with pytest.raises(UserError, match=r"needs benchmark\.path"):
        instantiate(config.benchmark)
    config = compose("evaluate", [f"benchmark.path={tmp_path / 'nowhere'}"], None)
    with pytest.raises(UserError, match="nowhere does not exist"):
        instantiate(config.benchmark)
    with pytest.raises(UserError, match="nonsense"):
        instantiate(OmegaConf.create({"_target_": "tracker.datasets.tapvid.TapVid", "nonsense": 1}))


def test_instantiate_builds_the_target(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"")
    config = compose("evaluate", [f"benchmark.path={tmp_path}"], None)
    assert isinstance(instantiate(config.benchmark), TapVid)
