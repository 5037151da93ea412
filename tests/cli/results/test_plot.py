"""The command that draws a run's curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker.cli.results.plot import main, smooth


def test_draws_losses_and_scores(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("step,loss,learning_rate\n1,5,1e-3\n2,4,1e-3\n")
    (tmp_path / "validation.csv").write_text("step,average_jaccard\n2,0.3\n")
    main([str(tmp_path), "--out", str(tmp_path / "figures" / "curve.png")])
    assert (tmp_path / "figures" / "curve.png").stat().st_size > 5_000


def test_running_mean() -> None:
    np.testing.assert_allclose(smooth(np.array([4.0, 2.0, 0.0, 10.0]), 2), [4, 3, 1, 5])


@pytest.mark.parametrize("content", [None, "", "step,loss\n1,x\n", "step,loss\n1,2,3\n"])
def test_not_a_run(content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "history.csv").write_text(content)
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path), "--out", str(tmp_path / "c.png")])
    assert stop.value.code == 2
    assert "is not the record of a training run" in capsys.readouterr().err
    assert not (tmp_path / "c.png").exists()
