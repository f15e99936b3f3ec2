"""From the command line to the screens: what `cockpit` without a command does. Loads no parser."""

from __future__ import annotations

import gc
import sys

from cockpit.cli.session import Session
from cockpit.cli.wrong_use import WrongUse
from engine.domain.message import message
from engine.domain.problem import Problem


def open_app(session: Session) -> int:
    """The screens, on the session's store."""
    if session.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise WrongUse(
            Problem(
                "no_terminal",
                message("The screens need a terminal."),
                message("Open one, or use a command: `cockpit order list`, `cockpit order watch ORDER`; see --help."),
            )
        )
    gc.disable()  # until the first frame: it is made of objects that stay
    from cockpit.opening import open_screens
    from cockpit.terminal import TerminalWatch

    settings = session.settings
    tenant = session.options.tenant or settings.tenant
    workspace = session.options.workspace or settings.workspace
    with TerminalWatch() as watch:
        return open_screens(
            settings, watch, tenant=tenant or None, workspace=workspace or None, practice=session.practice
        )
