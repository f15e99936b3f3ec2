"""What a failure card is: how a failure is known, what it means, what to do. Data; the cards are in `engine/diagnose/deck`."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain import step_names
from engine.domain.message import Message

# Every step but the health check, whose log holds old lines of the app's own logs.
ANY: frozenset[str] | None = None
DOWNLOADS = frozenset({step_names.DOWNLOAD_SCRIPTS, step_names.DOWNLOAD_PACKAGE})
SCRIPTS = frozenset(
    {step_names.INSTALL_SOFTWARE, step_names.CONFIGURE_ENVIRONMENT, step_names.DEPLOY, "restart", "offline"}
)
LAST_WORDS = 8  # lines: what a program says before it gives up


@dataclass(frozen=True, slots=True)
class Card:
    """`steps` are those it explains, by what they do (None: any). It fits when `pattern`, a regular expression, is found in a line
    of the step's log, or when the step ended with one of `statuses`. `what` takes {step}, {host} and {app}.

    `last`: only so many of the last lines count, where the words alone also stand in logs of what goes well (a script that waits
    for a port says *connection refused* until it is there); 0: all. `remedy_step`: what of `engine.diagnose.remedies` can be
    done about it by a step.
    """

    code: str
    steps: frozenset[str] | None
    pattern: str
    what: Message
    remedy: Message
    when_late: bool = False  # also explains a step that ran into its deadline
    statuses: frozenset[int] = frozenset()
    last: int = 0
    remedy_step: str = ""
