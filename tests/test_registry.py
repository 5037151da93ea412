"""Trackers by name."""

from __future__ import annotations

import pytest

from tracker import registry
from tracker.baselines import LucasKanadeTracker, StaticTracker
from tracker.errors import UserError
from tracker.registry import make_tracker, tracker_names


class WithArgument:
    """Stands for a tracker that is loaded from a path."""

    def __init__(self, argument: str) -> None:
        self.argument = argument

    from_argument = classmethod(lambda cls, argument: cls(argument))


def test_names_make_their_trackers() -> None:
    assert {"lk", "static"} <= set(tracker_names())
    assert isinstance(make_tracker("lk"), LucasKanadeTracker)
    assert isinstance(make_tracker("static"), StaticTracker)


def test_argument_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"{__name__}:WithArgument"
    monkeypatch.setitem(registry._FACTORIES, "toy", place)
    assert make_tracker("toy@runs/a@b").argument == "runs/a@b"


@pytest.mark.parametrize(
    ("name", "words"), [("nope", "choose from .*lk"), ("", "choose from"), ("lk@x", "no argument")]
)
def test_wrong_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_tracker(name)


@pytest.mark.parametrize("name", ["lk", "static"])
def test_baselines_have_no_settings(name: str) -> None:
    with pytest.raises(UserError, match=f"tracker '{name}' has no settings .* inference is given"):
        make_tracker(name, {"inference": {"iterations": 6}})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inferrence": {"iterations": 6}}, "no setting inferrence; the nearest is inference"),
        ({"inference": {"iteration": 6}}, "the nearest is inference.iterations"),
        ({"block": 24}, "no setting block; the nearest is inference.block"),
        ({"inference": {"block": "few"}}, "inference.block=few must be a whole number"),
        ({"inference": 3}, "inference=3 must be settings"),
        ({"head": {"use_rgb": "flase"}}, "head.use_rgb=flase must be true or false"),
        ({"backbone": {"frame_mode": "twice"}}, "must be tubelet or offset or duplicate"),
    ],
)
def test_wrong_settings_of_a_tracker_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_tracker("vjepa", changes, device="cpu")


def test_a_learned_tracker_goes_where_it_is_told() -> None:
    assert make_tracker("vjepa", device="cpu").device.type == "cpu"
    with pytest.raises(UserError, match="device cuda:99 cannot be used"):
        make_tracker("vjepa", device="cuda:99")
