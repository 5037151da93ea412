"""A run tracks what is left, gives every video its rows, and is the same wherever it runs."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest
from tiny_bulk import Mortal, same_rows, unmade

from tracker.baselines import LucasKanadeTracker
from tracker.bulk import worker as worker_module
from tracker.bulk.engine import Engine
from tracker.bulk.manifest import VideoRow, find_videos
from tracker.bulk.run import Run, Summary
from tracker.bulk.schema import tracks_in
from tracker.bulk.sink import Sink
from tracker.bulk.worker import BulkSettings, Outcome
from tracker.errors import UserError, log
from tracker.points.queries import Queries
from tracker.video.loading import load_video

ROOT = Path(__file__).resolve().parents[2]


def track(
    rows: list[VideoRow],
    settings: BulkSettings,
    place: Path | str,
    layout: str = "points",
    engine: Engine | None = None,
    retry_errors: bool = False,
) -> tuple[Sink, Summary, list[Outcome]]:
    sink = Sink.open(str(place), layout, len(rows))
    run = Run(rows, settings, sink, engine or Engine(), retry_errors)
    outcomes = list(run.track())
    return sink, run.finish(), outcomes


@pytest.mark.parametrize("layout", ["points", "videos"])
def test_every_video_has_its_rows(
    clips: Path, tmp_path: Path, settings: BulkSettings, layout: str
) -> None:
    sink, summary, _ = track(find_videos([str(clips)]), settings, tmp_path / "out", layout)
    assert (summary.videos, summary.tracked, summary.failed, summary.shards) == (6, 4, 2, 1)
    assert (summary.frames, summary.points, summary.places) == (26, 16, 104)
    table = sink.read()
    errors = {row["id"]: row["error"] for row in table.to_pylist() if row["error"]}
    assert set(errors) == {str(clips / "broken.mp4"), str(clips / "memory.mp4")}
    assert "is not a video" in errors[str(clips / "broken.mp4")]
    assert errors[str(clips / "memory.mp4")] == "MemoryError: too large"
    one = str(clips / "2.mp4")
    rows = table.filter(pc.equal(table["id"], one))
    video = load_video(one)
    expected = LucasKanadeTracker().track(video, Queries.grid(2, video.size))
    assert tracks_in(rows) == expected
    told = rows.slice(0, 1).to_pylist()[0]
    assert (told["width"], told["height"], told["fps"], told["frames"]) == (64, 48, 10, 7)
    assert told["tracker"] == "lk" and told["settings"] == settings.fingerprint


def test_what_is_finished_is_skipped(clips: Path, tmp_path: Path, settings: BulkSettings) -> None:
    rows = find_videos([str(clips)])
    sink, _, first = track(rows[:3], settings, tmp_path)
    before = sink.read()
    _, summary, second = track(rows, settings, tmp_path)
    assert (summary.videos, summary.finished_before) == (6, 3)
    assert len(first) == len(second) == 3
    _, summary, third = track(rows, settings, tmp_path)
    assert summary.finished_before == 6 and third == []
    table = sink.read()
    assert same_rows(table.filter(pc.is_in(table["key"], before["key"].combine_chunks())), before)
    # Other settings, another tracker and another range are other work.
    for changed in (
        replace(settings, queries={"grid": 3}),
        replace(settings, tracker="static"),
        replace(settings, stride=2),
    ):
        assert track(rows[:1], changed, tmp_path)[1].tracked == 1
    assert track([replace(rows[0], stop=3)], settings, tmp_path)[1].tracked == 1
    assert track([replace(rows[0], uri="/moved.mp4")], settings, tmp_path)[1].finished_before == 1
    assert len(sink.finished()) == 10


def test_errors_are_tried_again_when_asked(
    clips: Path, tmp_path: Path, settings: BulkSettings
) -> None:
    rows = [VideoRow(str(clips / "broken.mp4"), "one")]
    assert track(rows, settings, tmp_path)[1].failed == 1
    mended = [replace(rows[0], uri=str(clips / "0.mp4"))]
    assert track(mended, settings, tmp_path)[1].finished_before == 1
    sink, summary, _ = track(mended, settings, tmp_path, retry_errors=True)
    assert (summary.tracked, summary.failed) == (1, 0)
    assert set(sink.read()["error"].to_pylist()) == {None}


def test_what_may_pass_is_tried_again(
    clips: Path, tmp_path: Path, settings: BulkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def load(*args: object) -> object:
        tries.append(args)
        if len(tries) < 3:
            raise ConnectionError("the network is down")
        return load_video(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker_module, "load_video", load)
    rows = find_videos([str(clips / "0.mp4")])
    assert track(rows, replace(settings, retries=1), tmp_path / "once")[1].failed == 1
    tries.clear()
    assert track(rows, replace(settings, retries=2), tmp_path / "twice")[1].tracked == 1


def test_own_queries_ranges_and_warnings(
    clips: Path, tmp_path: Path, settings: BulkSettings
) -> None:
    (tmp_path / "points.csv").write_text("t,x,y,name\n1,20.5,10.5,eye\n")
    uri = str(clips / "3.mp4")
    rows = [
        VideoRow(uri, "file", 2, 6, str(tmp_path / "points.csv")),
        VideoRow(uri, "inline", 0, None, '[{"t": 0, "x": 5, "y": 6, "name": "tail"}]'),
        VideoRow(uri, "late", 0, None, "[[99, 5, 6]]"),
    ]
    warned = replace(settings, choose=Warns())
    sink, _, _ = track(rows, warned, tmp_path / "out")
    table = sink.read()
    told = {row["id"]: row for row in table.to_pylist()}
    assert (told["file"]["start"], told["file"]["frames"], told["file"]["name"]) == (2, 4, "eye")
    assert (told["inline"]["name"], told["inline"]["query_x"]) == ("tail", 5)
    assert "but the video has frames 0..7" in told["late"]["error"]
    assert told["file"]["warning"] == "there is a point in file" and not log.handlers


class Warns:
    """Loads the queries, and warns of them."""

    def __call__(self, video: object, file: Path) -> Queries:
        for _ in range(2):
            log.warning("there is a point in %s", "file")
        return Queries.load(file)


def test_pictures_are_there_when_the_rows_are(
    clips: Path, tmp_path: Path, settings: BulkSettings
) -> None:
    pictured = replace(settings, previews=True, drawn=True)
    sink, _, (outcome,) = track(find_videos([str(clips / "0.mp4")]), pictured, tmp_path / "out")
    assert Path(sink.preview(outcome.key)).read_bytes()[1:4] == b"PNG"
    assert len(load_video(sink.drawn(outcome.key))) == 5


def test_a_sink_that_cannot_be_written_ends_the_run(
    clips: Path, tmp_path: Path, settings: BulkSettings
) -> None:
    (tmp_path / "videos").touch()
    sink = Sink(str(tmp_path), "points", 1)
    with pytest.raises(UserError, match="cannot"):
        list(Run(find_videos([str(clips)]), settings, sink, Engine()).track())


def test_a_run_leaves_the_shards_to_one_that_began_later(
    clips: Path, tmp_path: Path, settings: BulkSettings, caplog: pytest.LogCaptureFixture
) -> None:
    rows = find_videos([str(clips)])
    sink = Sink.open(str(tmp_path), "points", len(rows))
    first = Run(rows[:3], settings, sink, Engine())
    second = Run(rows[3:], settings, sink, Engine())
    list(first.track())
    with caplog.at_level(logging.WARNING, "tracker"):
        first.finish()
    assert "another run works on" in caplog.text and len(sink.files()) == 3
    list(second.track())
    second.finish()
    assert sink.files() == [] and len(sink.finished()) == 6


@pytest.mark.parametrize("layout", ["points", "videos"])
def test_rows_of_a_worker_that_died_after_them_count(
    clips: Path,
    tmp_path: Path,
    settings: BulkSettings,
    layout: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its result is lost, and its rows are not."""

    def run(self: Engine, make_worker, items):
        worker = make_worker()
        for number, item in enumerate(items):
            result = worker(item)
            yield item, None if number % 2 else result

    rows = find_videos([str(clips)])
    _, expected, outcomes = track(rows, settings, tmp_path / "quiet", layout)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "run", run)
        dying = Run(rows, settings, Sink.open(str(tmp_path / "lost"), layout, 6), Engine())
        found = list(dying.track())
    assert [replace(o, seconds=0) for o in found] == [replace(o, seconds=0) for o in outcomes]
    assert replace(dying.finish(), seconds=0) == replace(expected, seconds=0)


def test_a_video_that_costs_its_workers_is_one_row(
    clips: Path, tmp_path: Path, settings: BulkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "run", lambda self, make, items: ((item, None) for item in items))
    sink, summary, _ = track(find_videos([str(clips / "0.mp4")]), settings, tmp_path)
    (row,) = sink.read().to_pylist()
    assert "its worker died 3 times" in row["error"] and summary.failed == 1


def test_a_cluster_does_the_same(
    clips: Path, tmp_path: Path, settings: BulkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real Ray, two actors: the same rows; what kills a worker costs nothing but itself."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, [ROOT, ROOT / "tests", *sys.path])))
    rows = find_videos([str(clips)])
    expected = track(rows, settings, tmp_path / "alone")[0].read()
    engine = Engine(workers=2, deaths=2)
    with engine.running():
        sink, summary, _ = track(rows, settings, tmp_path / "ray", engine=engine)
        assert same_rows(sink.read(), expected)
        assert (summary.tracked, summary.failed, sink.files()) == (4, 2, [])
        assert track(rows, settings, tmp_path / "ray", engine=engine)[1].finished_before == 6
        items = [{"number": n, "marks": str(tmp_path)} for n in range(6)]
        results = {item["number"]: result for item, result in engine.run(Mortal, items)}
        assert results == {n: {"number": n} for n in range(6)} | {3: None}
        assert (tmp_path / "2").is_file()
        with pytest.raises(UserError, match="there is no worker"):
            next(engine.run(unmade, items))


def test_workers_and_clusters_that_cannot_be(settings: BulkSettings) -> None:
    with pytest.raises(UserError, match="0 workers"):
        Engine(workers=0)
    with pytest.raises(UserError, match="needs more than 0 CPUs"):
        Engine(cpus=0)


def test_an_object_store(s3: str, clips: Path, tmp_path: Path, settings: BulkSettings) -> None:
    import s3fs

    store = s3fs.S3FileSystem()
    store.put(str(clips), "bucket/clips", recursive=True)
    store.pipe("bucket/all.csv", b"uri,id\nclips/0.mp4,zero\nclips/1.mp4,one\n")
    rows = find_videos([f"{s3}/clips"])
    assert [row.uri for row in rows][:2] == [f"{s3}/clips/0.mp4", f"{s3}/clips/1.mp4"]
    sink, summary, _ = track(rows, settings, f"{s3}/out")
    assert (summary.tracked, summary.failed) == (4, 2)
    assert track(rows, settings, f"{s3}/out")[1].finished_before == 6
    names = sorted(name.removeprefix("bucket/out/") for name in store.find("bucket/out"))
    assert names == ["run.json", "shards/shard-0-of-1.parquet", "track-many.json"]
    alone, _, _ = track(find_videos([str(clips)]), settings, tmp_path / "alone")
    columns = ["x", "y", "visible", "confidence", "error"]
    assert sorted(map(str, sink.read().select(columns[:4]).to_pylist())) == sorted(
        map(str, alone.read().select(columns[:4]).to_pylist())
    )
    rows = find_videos([f"{s3}/all.csv"])
    assert [(row.id, row.uri) for row in rows] == [
        ("zero", f"{s3}/clips/0.mp4"),
        ("one", f"{s3}/clips/1.mp4"),
    ]
    assert track(rows, settings, f"{s3}/out")[1].tracked == 2
    with pytest.raises(UserError, match="cannot write s3://no-bucket/out"):
        track(rows, settings, "s3://no-bucket/out")
    assert track([VideoRow(f"{s3}/none.mp4", "none")], settings, f"{s3}/out")[1].failed == 1
