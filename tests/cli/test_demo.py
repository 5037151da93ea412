"""Where the demo writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.cli.demo import choose_folder
from tracker.errors import UserError


def test_an_earlier_demo_is_kept_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = Path("outputs/demo")
    assert choose_folder(None, overwrite=False) == first
    first.mkdir(parents=True)
    (first / "rendered.mp4").write_bytes(b"")
    assert choose_folder(None, overwrite=False) == Path("outputs/demo-2")
    assert choose_folder(None, overwrite=True) == choose_folder("outputs/demo", True) == first
    with pytest.raises(UserError, match="--overwrite"):
        choose_folder("outputs/demo", overwrite=False)
