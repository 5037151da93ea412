"""Every finished video is found, each row once, whatever was stopped in the middle."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.bulk import sink as sink_module
from tracker.bulk.schema import VideoFacts, rows_of
from tracker.bulk.sink import Sink, hash_of, read_rows
from tracker.errors import UserError
from tracker.points.tracks import Tracks


def rows(key: str, value: float = 0, error: str | None = None, layout: str = "points") -> pa.Table:
    facts = VideoFacts(key, f"id-{key}", "/clip.mp4", "s", "t", value, error=error)
    xy = [[[value, 1], [2, 3]], [[4, 5], [6, 7]]]
    tracks = Tracks(xy, [[True, False]] * 2, [[0, 1, 2]] * 2, (8, 6))
    return rows_of(facts, None if error else tracks, layout)


KEYS = [hash_of(number) for number in range(12)]


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    sink = Sink.open(str(tmp_path / "sink"), "points", videos=600)
    sink.settle()
    return sink


def merge(sink: Sink, number: int) -> int:
    return sink.merge(number, sink.files_by_shard().get(number, []))


def counted(table: pa.Table) -> Counter[tuple[str, int | None]]:
    return Counter(zip(table["key"].to_pylist(), table["point"].to_pylist(), strict=True))


def test_shards_hold_about_256_videos(sink: Sink, tmp_path: Path) -> None:
    assert sink.shards == 3
    assert {sink.shard_of(key) for key in KEYS} <= {0, 1, 2}
    assert Sink.open(sink.place, None, videos=5) == sink, "settled when it was made"


def test_rows_move_into_shards(sink: Sink) -> None:
    for key in KEYS:
        sink.write(key, rows(key))
    assert sink.finished() == set(KEYS) and len(sink.files()) == 12
    before = sink.read()
    assert [merge(sink, number) for number in range(3)] == [
        sum(sink.shard_of(key) == number for key in KEYS) for number in range(3)
    ]
    assert sink.files() == [] and sink.finished() == set(KEYS)
    assert counted(sink.read()) == counted(before)
    shard = read_rows(sink.shard(0))
    assert shard["key"].to_pylist() == sorted(shard["key"].to_pylist())


class StoppedError(Exception):
    pass


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(stop_after=st.integers(0, 12), again=st.booleans())
def test_a_merge_may_be_stopped_at_any_moment(
    stop_after: int, again: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any number of its writes and deletions, all videos are there, each once."""
    sink = Sink.open(str(tmp_path_factory.mktemp("sink")), "points", videos=1)
    for key in KEYS[:5]:
        sink.write(key, rows(key, value=1))
    if again:
        merge(sink, 0)
    for key in KEYS[3:9]:
        sink.write(key, rows(key, value=2))
    steps = 0

    def counting(act):
        def stepped(*args: object) -> object:
            nonlocal steps
            if steps == stop_after:
                raise StoppedError
            steps += 1
            return act(*args)

        return stepped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sink_module, "READERS", 1)
        patch.setattr(sink_module, "_write_rows", counting(sink_module._write_rows))
        patch.setattr(sink_module, "delete", counting(sink_module.delete))
        with suppress(StoppedError):
            merge(sink, 0)
    expected = Counter({(key, point): 1 for key in KEYS[:9] for point in range(2)})
    for _ in range(2):
        assert sink.finished() == set(KEYS[:9])
        assert counted(sink.read()) == expected
        values = dict(
            zip(*(sink.read()[name].to_pylist() for name in ("key", "seconds")), strict=True)
        )
        assert [values[key] for key in KEYS[:9]] == [1] * 3 + [2] * 6
        # Whoever lists the files before it is stopped may name some that are gone.
        sink.merge(0, KEYS[:9])
        assert sink.files() == []


def test_errors_can_be_tried_again(sink: Sink) -> None:
    sink.write(KEYS[0], rows(KEYS[0], error="no network"))
    sink.write(KEYS[1], rows(KEYS[1]))
    assert sink.finished() == set(KEYS[:2]) and sink.finished(with_errors=False) == {KEYS[1]}
    for number in range(3):
        merge(sink, number)
    assert sink.finished(with_errors=False) == {KEYS[1]}
    sink.write(KEYS[0], rows(KEYS[0]))
    assert sink.finished(with_errors=False) == set(KEYS[:2])
    merge(sink, sink.shard_of(KEYS[0]))
    assert sink.read()["error"].null_count == 4


def test_the_last_run_to_begin_makes_the_shards(sink: Sink) -> None:
    first = sink.begin_run()
    assert sink.is_last_run(first)
    second = sink.begin_run()
    assert not sink.is_last_run(first) and sink.is_last_run(second)


def test_of_two_runs_that_begin_at_once_one_gives_way(sink: Sink) -> None:
    sink.settle()
    with pytest.raises(UserError, match="another run has just begun"):
        Sink(sink.place, "points", 5).settle()
    assert Sink.find(sink.place) == sink


def test_what_holds_something_else_is_refused(tmp_path: Path, sink: Sink) -> None:
    with pytest.raises(UserError, match="row for each of its points, not videos"):
        Sink.open(sink.place, "videos", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bee.jpg").touch()
    with pytest.raises(UserError, match=r"holds something else \(bee.jpg\)"):
        Sink.open(str(tmp_path / "photos"), "points", 1)
    with pytest.raises(UserError, match="is a file"):
        Sink.open(str(tmp_path / "photos" / "bee.jpg"), "points", 1)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["bee.jpg"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"format": 1', '"format": 2', "another version"),
        ('"x: list<item: float>"', '"x: double"', "another version"),
        ('"shards": 3', '"shards": "many"', "damaged"),
        ("{", "", "damaged"),
    ],
)
def test_another_schema_is_refused(sink: Sink, old: str, new: str, words: str) -> None:
    file = Path(sink.place) / "track-many.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=words):
        Sink.open(sink.place, None, 1)
