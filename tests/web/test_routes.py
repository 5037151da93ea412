"""What the routes serve to whom, and what they refuse."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="needs the extra web")

from starlette.applications import Starlette
from starlette.testclient import TestClient

from tracker.web.routes import visit_routes
from tracker.web.visits import Visit, Visits


@pytest.fixture
def client(lk_visits: Visits) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=visit_routes(lk_visits))) as client:
        yield client


@pytest.fixture
def visit(lk_visits: Visits, clip: Path) -> Visit:
    """A visitor with 40 frames of the clip."""
    from tracker.video.loading import load_video

    visit = lk_visits.begin("one")
    path = visit.upload_path("clip.npy")
    path.parent.mkdir()
    np.save(path, load_video(clip, stop=40).read())
    visit.open(path)
    return visit


def url(visit: Visit, path: str) -> str:
    return f"/visits/{visit.token}/{path}"


def test_frames_are_those_of_the_video(client: TestClient, visit: Visit) -> None:
    frames = visit.work.reopened().read()
    for t in (0, 1, 39, 7):
        answer = client.get(url(visit, f"videos/1/frames/{t}.jpg"))
        assert answer.headers["content-type"] == "image/jpeg"
        assert "private" in answer.headers["cache-control"]
        picture = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert np.abs(picture.astype(int) - frames[t]).mean() < 4
    assert client.get(url(visit, "videos/1/frames/40.jpg")).status_code == 422
    assert client.get(url(visit, "videos/2/frames/0.jpg")).status_code == 404


def test_tracks_come_as_numbers_of_one_version(client: TestClient, visit: Visit) -> None:
    acts = [{"do": "add", "t": t, "x": 20.5, "y": 20.5} for t in (0, 4)]
    for request in acts:
        scene = client.post(url(visit, "act"), json=request).json()
    assert scene["rows"] == [] and not scene["points"][0]["isTracked"]
    assert visit.work.track(lambda done, total: None) == 2
    assert visit.work.track(lambda done, total: None) == 0
    scene = client.get(url(visit, "scene")).json()
    assert scene["rows"] == [1, 2]
    answer = client.get(url(visit, f"videos/1/tracks/{scene['tracks']}"))
    paths = np.frombuffer(answer.content, "<f4").reshape(2, 40, 3)
    tracks = visit.work.tracks()
    np.testing.assert_array_equal(paths[..., :2], tracks.xy)
    np.testing.assert_array_equal(paths[..., 2], tracks.confidence)
    # A point that is put elsewhere shows its old track until it is followed anew.
    place = {"do": "place", "number": 1, "t": 0, "x": 30, "y": 20}
    moved = client.post(url(visit, "act"), json=place).json()
    assert moved["rows"] == [1, 2] and not moved["points"][0]["isTracked"]
    undone = client.post(url(visit, "act"), json={"do": "undo"}).json()
    assert undone["points"][0]["isTracked"] and undone["tracks"] == scene["tracks"]
    assert client.get(url(visit, "videos/1/tracks/0")).json()["error"]


def test_nobody_gets_in_without_a_token(client: TestClient, visit: Visit) -> None:
    for path in ("scene", "videos/1/frames/0.jpg", "files/a/b"):
        for token in ("", "x", visit.token[:-1], visit.token.lower()):
            assert client.get(f"/visits/{token}/{path}").status_code == 404
    assert client.post("/visits/x/video?name=a.mp4", content=b"a").status_code == 404


def test_files_are_those_of_the_visitor(client: TestClient, visit: Visit, tmp_path: Path) -> None:
    folder = visit.folder / "download-1"
    folder.mkdir()
    (folder / "tracks.csv").write_text("a,b\n")
    (tmp_path / "visits" / "secret.txt").write_text("secret")
    answer = client.get(url(visit, "files/download-1/tracks.csv"))
    assert answer.text == "a,b\n" and "tracks.csv" in answer.headers["content-disposition"]
    for path in ("files/download-1/other.csv", "files/%2e%2e/secret.txt", "files/../secret.txt"):
        assert client.get(url(visit, path)).status_code == 404


def post(client: TestClient, visit: Visit, name: str, data: bytes | Iterator[bytes]) -> str:
    """Upload, and return the line of the refusal, empty where there is none."""
    answer = client.post(url(visit, "video"), params={"name": name}, content=data)
    assert answer.status_code == (422 if "error" in answer.json() else 200)
    return answer.json().get("error", "")


def npy(frames: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, frames)
    return data.getvalue()


def test_an_upload_takes_the_place_of_the_one_before(
    client: TestClient, visit: Visit, make_frames: Callable
) -> None:
    for name in ("../../first.npy", "C:\\videos\\second one.npy"):
        assert post(client, visit, name, npy(make_frames(5))) == ""
        (held,) = [path for path in visit.folder.rglob("*") if path.is_file()]
        assert held.parent.parent == visit.folder
        assert visit.work.name == held.name and held.name.endswith(name[-9:])
    assert visit.work.num_frames == 5 and visit.work.board.points == ()


def test_uploads_are_bounded_and_leave_nothing(client: TestClient, visit: Visit) -> None:
    before, held = visit.work, sorted(visit.folder.rglob("*"))
    mebibyte = 2**20
    parts = (bytes(mebibyte) for _ in range(3))  # of a length that nobody told
    refused = {
        "larger than the 1 MB": ("large.npy", bytes(mebibyte + 1)),
        "larger than the 1 MB that": ("unknown.npy", parts),
        "41 frames": ("long.npy", npy(np.zeros((41, 4, 4, 3), np.uint8))),
        "is empty": ("empty.mp4", b""),
        "list.mp4 is text": ("list.mp4", b"#EXTM3U\n/etc/passwd\n"),
        "list.avi is text": ("list.avi", "ffconcat version 1.0\nfile 'ä".encode()[:-1]),
        "cut.npy is not": ("cut.npy", npy(np.zeros((4, 4, 4, 3), np.uint8))[:-9]),
        "noise.mp4 is not a video": ("noise.mp4", np.random.default_rng(0).bytes(3000)),
    }
    for words, (name, data) in refused.items():
        line = post(client, visit, name, data)
        assert words in line and str(visit.folder) not in line and "\n" not in line
    assert visit.work is before and sorted(visit.folder.rglob("*")) == held


def test_what_is_no_act_is_refused(client: TestClient, visit: Visit) -> None:
    for data in (b"", b"{", b"[]", b"7", b'{"do": "open"}', bytes(9 * 2**20)):
        answer = client.post(url(visit, "act"), content=data)
        assert answer.status_code == 422 and answer.json()["error"]


def test_who_has_no_video_is_told_so(client: TestClient, lk_visits: Visits) -> None:
    visit = lk_visits.begin("new")
    assert client.get(url(visit, "scene")).json()["video"] is None
    answer = client.post(url(visit, "act"), json={"do": "clear"})
    assert "no video yet" in answer.json()["error"]
