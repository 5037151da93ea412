"""How commands report what the user can mend."""

from __future__ import annotations

import logging
import warnings

import pytest

from tracker.errors import UserError, exit_on_user_error, log


def test_user_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    @exit_on_user_error
    def main() -> None:
        raise UserError("video x.mp4 does not exist")

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: video x.mp4 does not exist\n"


def test_interrupt_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    @exit_on_user_error
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_programming_errors_are_not_hidden() -> None:
    @exit_on_user_error
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()


def test_result_and_arguments_pass_through() -> None:
    @exit_on_user_error
    def main(a: int, *, b: int) -> int:
        return a + b

    assert main(1, b=2) == 3


def test_a_user_error_is_a_value_error() -> None:
    assert issubclass(UserError, ValueError)


def test_warnings_are_lines_on_stderr_once_and_while_a_command_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @exit_on_user_error
    def inner() -> None:
        log.warning("clip %s is short", "a.mp4")
        logging.getLogger("tracker.video").warning("from below")
        log.info("not shown")
        warnings.warn("a library warns", stacklevel=1)

    @exit_on_user_error
    def outer() -> None:
        inner()

    outer()
    expected = ["clip a.mp4 is short", "from below", "a library warns"]
    assert capsys.readouterr().err.splitlines() == [f"warning: {line}" for line in expected]
    assert not log.handlers
