"""PointTracker: saving and loading, and what users may do wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import TINY_HEAD, save_tiny_backbone, tiny_backbone, tiny_tracker, tiny_video

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig
from tracker.features.template_fitter import TemplateFitter
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.registry import make_tracker
from tracker.tracking.session import TrackSession
from tracker.tracking.stream import FLOW_MEMORY
from tracker.tracking.tracker import TRACK_MEMORY, PointTracker
from tracker.video.video import Video

SIZE = (96, 64)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A tracker with its own backbone, written to a folder."""
    backbone = save_tiny_backbone(tmp_path / "backbone")
    tiny_tracker(backbone).save_pretrained(tmp_path / "tracker")
    return tmp_path / "tracker"


class TestDevices:
    def test_auto_is_a_gpu_where_there_is_one(self, saved: Path) -> None:
        expected = "cuda" if torch.cuda.is_available() else "cpu"
        tracker = PointTracker.from_pretrained(saved, device="auto")
        assert tracker.device.type == expected
        assert tracker.to("auto") is tracker and tracker.to(device="auto").device.type == expected
        assert PointTracker.from_pretrained(saved).to(torch.float64).device.type == "cpu"

    def test_devices_that_are_not_there_are_refused(self, saved: Path) -> None:
        with pytest.raises(UserError, match="a GPU is called cuda"):
            tiny_tracker().to("gpu")
        with pytest.raises(UserError, match="device cuda:99 cannot be used"):
            PointTracker.from_pretrained(saved, device="cuda:99")

    def test_arguments_that_do_not_exist_are_errors(self, saved: Path) -> None:
        with pytest.raises(TypeError, match="devise"):
            PointTracker.from_pretrained(saved, devise="cpu")  # type: ignore[call-arg]


def test_progress_may_be_a_bar_or_a_function(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[tuple[int, int]] = []
    queries = Queries([[0, 20, 20]], ["eye"])
    tracker, video = tiny_tracker(), tiny_video(8)
    tracks = tracker.track(video, queries, lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] and tracks.names == ("eye",)
    assert tracker.track(video, queries, progress=True) == tracks


def fitted_template():
    fitter = TemplateFitter(tiny_backbone())
    fitter.update(torch.rand(4, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return fitter.finish()


class TestSaving:
    def test_a_folder_is_complete_and_tracks_the_same(self, saved: Path, tmp_path: Path) -> None:
        before = tiny_tracker()
        before.half().float()  # weights are stored in half precision
        moved = saved.rename(tmp_path / "elsewhere")
        (tmp_path / "backbone" / "model.safetensors").unlink()
        loaded = PointTracker.from_pretrained(moved)
        queries = Queries.grid(3, SIZE, t=5)
        expected = before.track(tiny_video(12), queries)
        assert loaded.track(tiny_video(12), queries) == expected

    def test_settings_may_be_replaced_when_loading(self, saved: Path) -> None:
        changes = {"inference": {"iterations": 1}, "fine_size": [96, 96]}
        before, after = (PointTracker.from_pretrained(saved, c) for c in (None, changes))
        assert after.config.inference == replace(before.config.inference, iterations=1)
        assert after.config.fine_size == (96, 96)
        assert after.config.head == before.config.head
        assert make_tracker(f"vjepa@{saved}", changes).config == after.config

    def test_fingerprint_tells_weights_and_settings_apart(self, saved: Path) -> None:
        first, again, other = (
            PointTracker.from_pretrained(saved, c) for c in (None, None, {"fine_size": [96, 96]})
        )
        assert first.fingerprint == again.fingerprint != other.fingerprint
        again.head.refine.update.bias.data += 1
        assert again.fingerprint != first.fingerprint
        again.template = fitted_template()
        templated = again.fingerprint
        again.template.mean[0, 0, 0, 0, 0] += 1
        assert len({templated, again.fingerprint, first.fingerprint}) == 3

    @pytest.mark.parametrize(
        "changes", [{"head": {"width": 64}}, {"inference": {"nope": 1}}, {"fine_size": [7, 7]}]
    )
    def test_replaced_settings_must_fit(self, saved: Path, changes: dict) -> None:
        with pytest.raises(UserError):
            PointTracker.from_pretrained(saved, changes)

    def test_template_travels_along(self, tmp_path: Path) -> None:
        source = save_tiny_backbone(tmp_path / "backbone")
        tracker = tiny_tracker(source)
        tracker = PointTracker(tracker.config, fitted_template())
        tracker.save_pretrained(tmp_path / "t")
        loaded = PointTracker.from_pretrained(tmp_path / "t")
        assert loaded.template.backbone_fingerprint == tracker.backbone.fingerprint()

    def test_a_backbone_is_copied_without_what_lies_beside_it(self, tmp_path: Path) -> None:
        source = save_tiny_backbone(tmp_path / "backbone")
        (source / "notes.txt").write_text("private")
        tracker = tiny_tracker(source)
        tracker.save_pretrained(tmp_path / "t")
        copy = tmp_path / "t" / "backbone"
        assert sorted(p.name for p in copy.iterdir()) == ["config.json", "model.safetensors"]
        written = (copy / "model.safetensors").stat().st_mtime_ns
        tracker.save_pretrained(tmp_path / "t")
        assert (copy / "model.safetensors").stat().st_mtime_ns == written

    def test_a_folder_called_mini_is_not_taken_for_the_shipped_backbone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mini-random").mkdir()
        config = BackboneConfig("mini-random", (1,), (64, 64), 8)
        tracker = PointTracker(replace(tiny_tracker().config, backbone=config))
        tracker.save_pretrained(tmp_path / "t")
        assert not (tmp_path / "t" / "backbone").exists()
        assert PointTracker.from_pretrained("t").config.backbone.source == "mini-random"

    def test_a_backbone_in_memory_is_written(self, tmp_path: Path) -> None:
        tracker = tiny_tracker()
        tracker.half().float()  # weights are stored in half precision
        tracker.save_pretrained(tmp_path / "t")
        loaded = PointTracker.from_pretrained(tmp_path / "t")
        assert loaded.backbone.fingerprint() == tracker.backbone.fingerprint()
        queries = Queries.grid(3, SIZE, t=5)
        expected = tracker.track(tiny_video(12), queries)
        assert loaded.track(tiny_video(12), queries) == expected

    def test_backbone_is_not_among_the_weights(self, saved: Path) -> None:
        names = set(load_file(saved / "model.safetensors"))
        assert names == set(tiny_tracker().head.state_dict())
        assert not any("encoder." in name for name in names)

    def test_registry_takes_a_folder(self, saved: Path) -> None:
        assert isinstance(make_tracker(f"vjepa@{saved}"), PointTracker)

    def test_weights_of_another_config_name_both_files(self, saved: Path) -> None:
        config = json.loads((saved / "config.json").read_text())
        config["head"]["width"] = 64
        (saved / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError, match=r"model\.safetensors do not fit config .*config\.json"):
            PointTracker.from_pretrained(saved)

    def test_missing_and_damaged_files(self, saved: Path) -> None:
        weights = saved / "model.safetensors"
        good = weights.read_bytes()
        weights.write_bytes(good[: len(good) // 2])
        with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
            PointTracker.from_pretrained(saved)
        weights.unlink()
        with pytest.raises(UserError, match=r"has no model\.safetensors"):
            PointTracker.from_pretrained(saved)
        save_file({}, weights)
        (saved / "config.json").write_text("{")
        with pytest.raises(UserError, match="not JSON"):
            PointTracker.from_pretrained(saved)

    def test_unknown_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(UserError, match="no tracker 'nobody/nothing'"):
            PointTracker.from_pretrained("nobody/nothing")
        with pytest.raises(UserError, match="'nothing': neither shipped"):
            PointTracker.from_pretrained("nothing")

    def test_push_to_hub_uploads_what_from_pretrained_reads(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        calls: list[object] = []

        class Api:
            def __init__(self, token: str | None) -> None:
                calls.append(token)

            def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
                calls.append((repo_id, private, exist_ok))

            def upload_folder(self, *, repo_id: str, folder_path: str) -> str:
                shutil.copytree(folder_path, tmp_path / "down")
                return f"https://hub/{repo_id}"

        monkeypatch.setattr("huggingface_hub.HfApi", Api)
        tracker = tiny_tracker(save_tiny_backbone(tmp_path / "backbone"))
        address = tracker.push_to_hub("me/tracker", private=True, token="secret")
        assert address == "https://hub/me/tracker"
        assert calls == ["secret", ("me/tracker", True, True)]
        assert (tmp_path / "down" / "backbone" / "model.safetensors").is_file()
        assert PointTracker.from_pretrained(tmp_path / "down").config.head == TINY_HEAD

    def test_a_hub_that_refuses_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError("offline\nand alone")

        monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
        with pytest.raises(UserError, match=r"cannot push to me/tracker \(offline and alone\)"):
            tiny_tracker().push_to_hub("me/tracker")

    def test_template_of_another_backbone(self) -> None:
        tracker = tiny_tracker()
        template = fitted_template()
        with torch.no_grad():
            tracker.backbone.model.encoder.layernorm.weight.add_(0.5)
        with pytest.raises(UserError, match="template belongs to a backbone"):
            PointTracker(tracker.config, template, tracker.backbone)


class TestInput:
    def test_zero_queries(self) -> None:
        with pytest.raises(UserError, match="no query points"):
            tiny_tracker().track(tiny_video(4), Queries(np.empty((0, 3))))

    def test_query_outside(self) -> None:
        with pytest.raises(UserError, match="outside the frame"):
            tiny_tracker().track(tiny_video(4), Queries([[0, 97, 3]]))

    @pytest.mark.parametrize("frames", [1, 2, 3])
    def test_shorter_than_a_tubelet_or_a_window(self, frames: int) -> None:
        tracks = tiny_tracker().track(tiny_video(frames), Queries([[0, 20, 20]]))
        assert tracks.xy.shape == (1, frames, 2)

    def test_frames_and_queries_are_scaled_together(self) -> None:
        small = tiny_video(6)
        smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in small.read()])
        doubled = np.stack([cv2.resize(frame, (192, 128)) for frame in smooth])
        queries = Queries.grid(3, SIZE)
        tracker = tiny_tracker(head=replace(TINY_HEAD, iterations=0))
        plain = tracker.track(Video.from_array(smooth), queries)
        large = tracker.track(Video.from_array(doubled), queries.scaled(SIZE, (192, 128)))
        assert large.size == (192, 128)
        error = np.linalg.norm(large.rescaled(SIZE).xy - plain.xy, axis=-1)
        assert np.median(error) < 0.5
        assert np.ptp(plain.xy[:, 1:], axis=1).max() > 1

    def test_without_vjepa_no_backbone_is_loaded(self) -> None:
        tracker = tiny_tracker(Path("nowhere"), head=replace(TINY_HEAD, use_vjepa=False))
        assert tracker.backbone is None
        assert tracker.track(tiny_video(9), Queries([[0, 20, 20]])).num_frames == 9

    def test_a_push_of_no_frames(self) -> None:
        with pytest.raises(UserError, match="pushed no frames"):
            tiny_tracker().stream(Queries([[0, 20, 20]]), SIZE).push(tiny_video(4).read()[:0])

    def test_out_of_memory_while_describing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = tiny_tracker()

        def no_memory(*args: object) -> None:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(tracker.head, "describe", no_memory)
        with pytest.raises(UserError, match=r"lower inference\.block, backbone\.window"):
            tracker.track(tiny_video(4), Queries([[0, 20, 20]]))


@pytest.mark.parametrize("content", ["[]", "5", '{"backbone": null}', '{"backbone": {}}'])
def test_a_config_of_another_shape(content: str, tmp_path: Path) -> None:
    tiny_tracker(save_tiny_backbone(tmp_path / "backbone")).save_pretrained(tmp_path / "t")
    (tmp_path / "t" / "config.json").write_text(content)
    with pytest.raises(UserError, match="config"):
        PointTracker.from_pretrained(tmp_path / "t")


def test_saving_without_a_template_leaves_none_behind(tmp_path: Path) -> None:
    source = save_tiny_backbone(tmp_path / "backbone")
    raw = tiny_tracker(source)
    PointTracker(raw.config, fitted_template()).save_pretrained(tmp_path / "t")
    raw.save_pretrained(tmp_path / "t")
    assert PointTracker.from_pretrained(tmp_path / "t").template is None


def test_videos_and_points_are_taken_as_people_have_them(tmp_path: Path) -> None:
    tracker, video, rows = tiny_tracker(), tiny_video(10), [(0, 20, 20), (3, 40, 30)]
    expected = tracker.track(video, Queries(rows))
    frames = video.read()
    channels_first = torch.from_numpy(frames).permute(0, 3, 1, 2)
    table = pd.DataFrame(rows, columns=["t", "x", "y"])
    for held, points in ((frames, rows), (channels_first, np.array(rows)), (list(frames), table)):
        assert tracker.track(held, points) == expected
        assert tracker.open(held).track(points) == expected
    np.save(tmp_path / "clip.npy", frames)
    assert tracker.track(tmp_path / "clip.npy", rows) == expected
    with pytest.raises(UserError, match="x and y look swapped"):
        tracker.track(frames, [(0, 30, 80)])


@pytest.mark.parametrize(
    ("frame", "memory"), [(0, FLOW_MEMORY), (7, FLOW_MEMORY), (8, TRACK_MEMORY)]
)
def test_features_are_kept_for_a_way_back_alone(
    frame: int, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []

    def opened(self: PointTracker, video: Video, limit: int) -> TrackSession:
        limits.append(limit)
        return TrackSession(self, video, BoundedMemory(limit))

    monkeypatch.setattr(PointTracker, "open", opened)
    tiny_tracker().track(tiny_video(10), [(frame, 20, 20)])
    assert limits == [memory]
