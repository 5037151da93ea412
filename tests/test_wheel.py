"""The wheel is the product: it works beside an empty folder, far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 300  # seconds
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index"]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    """Return what a command prints; nothing of the caller's paths reaches it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["OMP_NUM_THREADS"] = "1"
    line = [str(part) for part in command]
    done = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, ROOT]
    run(sys.executable, *PIP, *build, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of an environment are that holds the wheel and not the checkout.

    It sees what is installed here through a `.pth` file, except for other `.pth` files, such as
    the one by which an editable install points to the checkout.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    site.joinpath("installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(folder)}))
    install = ["--python", scripts / "python", "install", *OFFLINE, "--ignore-installed", wheel]
    run(sys.executable, *PIP, *install, cwd=folder)
    return scripts


@pytest.fixture
def call(binaries: Path, tmp_path: Path) -> Callable[..., str]:
    """Run one of the environment's commands in an empty folder."""
    return lambda name, *args: run(binaries / name, *args, cwd=tmp_path)


def files_under(folder: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(listed.stdout.split())


def test_it_holds_the_package_and_its_configs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = files_under("tracker") | {f"tracker/{name}" for name in files_under("configs")}
    assert {"tracker/configs/evaluate.yaml", "tracker/assets/mini/config.json"} <= expected
    assert inside == expected


def test_it_is_imported_without_the_checkout(call: Callable, binaries: Path) -> None:
    where = call("python", "-c", "import sys, tracker; print(tracker.__file__, *sys.path)")
    module, *path = where.split()
    assert module.startswith(str(binaries.parent))
    assert str(ROOT) not in path


def test_demo(call: Callable, tmp_path: Path) -> None:
    assert "AJ" in call("vjepa-tracker", "demo", "--out", "demo")
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names == {"tracks.csv", "tracks.mp4", "tracks.npz", "tracks.png"}


def test_evaluate(call: Callable, tmp_path: Path) -> None:
    scene = "{_target_: tracker.scenes.renderer.SceneConfig, frames: 8, height: 64, width: 64}"
    benchmark = ["benchmark=procedural", "limit=1", f"+benchmark.config={scene}"]
    options = ["trackers=[lk,vjepa]", "threads=1", "output_dir=scores"]
    assert "lk" in call("vjepa-tracker", "evaluate", *benchmark, *options)
    assert (tmp_path / "scores" / "metrics.json").is_file()
