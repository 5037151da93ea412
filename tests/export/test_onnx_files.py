"""The files: the loop in the documents runs them, and follows points as the tracker does."""

from __future__ import annotations

import importlib
import json
import logging
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tiny_models import TINY_HEAD, fitted, save_tiny_backbone, tiny_tracker, tiny_video

from tracker.cli.main import main
from tracker.export.onnx_files import write_graph
from tracker.export.programs import export_program, tracking_steps
from tracker.points.queries import Queries
from tracker.tracking.tracker import PointTracker

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
NAMES = ["describe", "follow", "match", "take"]
# Where a CPU is faster then, PyTorch would multiply in bfloat16; graphs are float32.
CHANGES = {"fine_size": [96, 96], "backbone": {"dtype": "float32"}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without the RGB stem, whose three levels would triple the time that tracing takes."""
    base = tmp_path_factory.mktemp("tracker")
    head = replace(TINY_HEAD, use_rgb=False)
    tracker = tiny_tracker(save_tiny_backbone(base / "backbone"), head)
    tracker.template = fitted(tracker)
    # So large as tiny trackers have them, updates would multiply what is but rounding.
    tracker.head.refine.update.weight.data *= 0.2
    tracker.save_pretrained(base / "saved")
    return base / "saved"


@pytest.fixture(scope="module")
def tracker(saved: Path) -> PointTracker:
    """Its fine frames are 6 cells of 16 pixels wide, where the backbone's map has 4."""
    return PointTracker.from_pretrained(saved, CHANGES)


@pytest.fixture(scope="module")
def exported(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "out"
    options = ["--tracker", str(saved), "--set", "fine_size=[96,96]", "--pt2"]
    options += ["--set", "backbone.dtype=float32"]
    # pytest asks for torch's traces of every operation, which take as long as the export itself.
    logging.disable(logging.DEBUG)
    try:
        assert main(["export-onnx", str(folder), *options]) == 0
    finally:
        logging.disable(logging.NOTSET)
    return folder


@pytest.fixture(scope="module")
def loop() -> ModuleType:
    """The runnable file of the documents, which stands beside another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(GUIDE))
        return importlib.import_module("onnx_loop")


@pytest.mark.parametrize("count", [13, 20])
def test_the_loop_follows_points_as_the_tracker_does(
    exported: Path, saved: Path, loop: ModuleType, count: int
) -> None:
    """More points than are followed at once, of several frames, one of them on the border."""
    frames = tiny_video(count, 70, 48).read()
    # Off the grid of features: between two cells, equally far, their match is a matter of rounding.
    queries = Queries.grid(6, (70, 48)).txy + np.float32([0, 1.3, 0.9])
    queries[::5, 0], queries[7] = count - 1, (4, 70, 48)
    changes = CHANGES | {"inference": {"block": count}}
    wanted = PointTracker.from_pretrained(saved, changes).track(frames, queries)
    xy, confidence = loop.OnnxTracker(str(exported)).track(frames, queries)
    assert np.abs(wanted.xy - wanted.xy[:, :1]).max() > 5
    np.testing.assert_allclose(xy, wanted.xy, atol=1e-3, rtol=0)
    np.testing.assert_allclose(confidence, wanted.confidence, atol=1e-3)


def test_the_loop_starts_between_sure_frames_as_the_head_does(
    exported: Path, saved: Path, loop: ModuleType
) -> None:
    """The graphs are the same; where refinement starts is the loop's."""
    frames = tiny_video(13, 70, 48).read()
    queries = Queries.grid(6, (70, 48)).txy + np.float32([0, 1.3, 0.9])
    changes = CHANGES | {"inference": {"block": 13}}
    tracker = PointTracker.from_pretrained(saved, changes)
    tracks = {}
    for certainty in (0.0, 0.25):
        tracker.head.config = replace(tracker.head.config, start_certainty=certainty)
        tracks[certainty] = tracker.track(frames, queries)
    own = loop.OnnxTracker(str(exported))
    assert own.facts["start_certainty"] == 0
    own.facts["start_certainty"] = 0.25
    xy, _ = own.track(frames, queries)
    assert np.abs(tracks[0.25].xy - tracks[0.0].xy).max() > 1
    np.testing.assert_allclose(xy, tracks[0.25].xy, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("count", "height", "width"), [(8, 96, 96), (9, 31, 200), (13, 64, 64)])
def test_frames_of_any_number_and_size(
    exported: Path, tracker: PointTracker, count: int, height: int, width: int
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    assert_described(exported / "describe.onnx", tracker, frames)


def test_the_rgb_stem(tmp_path: Path) -> None:
    tracker = tiny_tracker(head=replace(TINY_HEAD, use_vjepa=False))
    tracker.head.bf16 = False
    describe = tracking_steps(tracker)[0]
    write_graph(describe, export_program(describe, 2), tmp_path / "describe.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (5, 50, 90, 3), np.uint8)
    assert_described(tmp_path / "describe.onnx", tracker, frames)


@torch.no_grad()
def assert_described(file: Path, tracker: PointTracker, frames: np.ndarray) -> None:
    found = onnxruntime.InferenceSession(file).run(None, {"frames": frames})
    for table, level in zip(found, tracker.describe(frames).levels, strict=True):
        np.testing.assert_allclose(table, level.table[0].numpy(), atol=2e-5)


def test_programs_of_torch_export(exported: Path, tracker: PointTracker) -> None:
    """On other numbers of frames and points than they were traced with."""
    frames, points = 17, 3
    sizes = {"frames": frames, "points": points, "height": 50, "width": 40}
    generator = torch.Generator().manual_seed(0)

    def other(argument: object) -> torch.Tensor:
        lengths = zip(argument.axes, argument.example.shape, strict=True)
        shape = [sizes.get(name, length) for name, length in lengths]
        if argument.example.is_floating_point():
            return torch.rand(shape, generator=generator)
        top = 255 if argument.name == "frames" else frames
        return torch.randint(0, top, shape, generator=generator).to(argument.example.dtype)

    for step in tracking_steps(tracker):
        program = torch.export.load(exported / f"{step.name}.pt2").module()
        values = [
            [other(one) for one in arg] if isinstance(arg, list) else other(arg)
            for arg in step.arguments
        ]
        with torch.no_grad():
            for found, wanted in zip(program(*values), step.module(*values), strict=True):
                torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_what_the_folder_says_of_itself(exported: Path, tracker: PointTracker) -> None:
    files = {f"{name}.{kind}" for name in NAMES for kind in ("onnx", "pt2")}
    assert {path.name for path in exported.iterdir()} == files | {"tracker.json"}
    facts = json.loads((exported / "tracker.json").read_text())
    assert facts["fingerprint"] == tracker.fingerprint
    assert facts["levels"] == {"content": {"grid": [4, 4], "stride": [24.0, 24.0]}}
    assert (facts["steps"], facts["backbone"]["window"], facts["backbone"]["patch"]) == (2, 8, 16)
    assert sorted(facts["graphs"]) == NAMES
    for name, graph in facts["graphs"].items():
        model = onnx.load(exported / f"{name}.onnx")
        onnx.checker.check_model(model)
        assert {one.version for one in model.opset_import if not one.domain} == {facts["opset"]}
        assert [one.name for one in model.graph.input] == list(graph["inputs"])
        assert [one.name for one in model.graph.output] == graph["outputs"]
