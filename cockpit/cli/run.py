"""The boundary of the command line: whatever a command raises leaves here as a sentence and an exit code, never as a traceback."""

from __future__ import annotations

import os
import traceback
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.cli.exit_codes import FAILED, UNANSWERED, WRONG_USE, of_problem
from cockpit.cli.output import note, prepare_streams, print_problem
from cockpit.cli.wrong_use import Unanswered, WrongUse, help_of
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.private_files import append_to_private

if TYPE_CHECKING:
    import typer


COMPLETION = "_COCKPIT_COMPLETE"  # set by the shell's completion, which asks for words without giving arguments


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code."""
    prepare_streams()
    as_json = "--json" in arguments
    try:
        arguments = [_as_text(argument) for argument in arguments]
        return _command(arguments, as_json) if arguments or COMPLETION in os.environ else _screens()
    except WrongUse as error:
        print_problem(error.problem, as_json=as_json)
        return WRONG_USE
    except Unanswered as error:
        print_problem(error.problem, as_json=as_json, order=error.order_id)
        return UNANSWERED
    except ProblemError as error:
        print_problem(error.problem, as_json=as_json)
        return of_problem(error.problem)
    except Exception as error:  # noqa: BLE001
        # The boundary to the operator: the traceback goes where a developer finds it, one line says where that is.
        print_problem(_unexpected(error), as_json=as_json)
        return FAILED


def _as_text(argument: str) -> str:
    """What was typed in another encoding than the locale names, read as UTF-8. Raises WrongUse."""
    try:
        return (
            os.fsencode(argument).decode("utf-8")
            if any("\udc80" <= char <= "\udcff" for char in argument)
            else argument
        )
    except UnicodeDecodeError as error:
        shown = argument.encode("ascii", "replace").decode()
        raise WrongUse(
            Problem(
                "wrong_use",
                message("This is not text in the terminal's encoding: {argument}.", argument=shown),
                message("Type it in UTF-8, or set LC_ALL to the encoding that the terminal uses."),
            )
        ) from error


def _screens() -> int:
    """Nothing to parse, so no parser is loaded: it would take a third of the time to the first frame."""
    from cockpit.cli.screens import open_app
    from cockpit.cli.session import GlobalOptions, Session

    return open_app(Session(GlobalOptions()))


def _command(arguments: list[str], as_json: bool) -> int:
    import typer

    from cockpit.cli.root import app

    try:
        code = app(arguments, prog_name="cockpit", standalone_mode=False)
    except typer.TyperException as error:
        return _wrong_use(error, as_json)
    except typer.Abort:
        return FAILED
    return code if isinstance(code, int) else 0


def _wrong_use(error: typer.TyperException, as_json: bool) -> int:
    what = getattr(error, "format_message", lambda: str(error))()
    if type(error).__name__ == "NoArgsIsHelpError":
        note(what)
        return WRONG_USE
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "cockpit"
    print_problem(Problem("wrong_use", message("{what}", what=what), help_of(command)), as_json=as_json)
    return WRONG_USE


def _unexpected(error: Exception) -> Problem:
    what = message("Something unexpected happened ({kind}).", kind=type(error).__name__)
    log = _write_traceback(error)
    if log is None:
        return Problem("unexpected", what, message("Its log could not be written."), str(error))
    return Problem("unexpected", what, message("The details are in {file}.", file=str(log)))


def _write_traceback(error: Exception) -> Path | None:
    """In the data folder whatever the settings say: they may be what broke."""
    import platformdirs

    path = Path(platformdirs.user_log_dir("cockpit")) / "cockpit.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with TextIOWrapper(append_to_private(path), encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return path
