"""The live tree of `cockpit order watch` on a terminal: kept up to date to the order's end, with the key of the gate.

`c` asks what confirming or starting would do now; Enter does it, any other key leaves it. A key typed before that could be read
does nothing. It ends with the order; Ctrl+C ends it sooner, and what runs goes on.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cockpit.cli.waiting import Place, answered
from engine.domain.acts import ACTS, AnyAct, Confirm
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Act, CommandState, NodeState
from screens import words
from screens.attention import Attention
from screens.filters import in_ascii, without_hostile_text
from screens.order_tree import tree
from screens.translate import _, tr

if TYPE_CHECKING:
    from cockpit.cli.session import Session
    from engine.api import Api
    from engine.views.acts import Consequence
    from engine.views.orders import OrderView

LOOK_S = 0.2
READ_AGAIN_S = 1.0
# so long a consequence stands before a key can mean it
READ_S = 0.5
_KEY_ACTS = (Act.START, Act.CONFIRM)


@dataclass(slots=True)
class _Asked:
    act: AnyAct
    meaning: Consequence
    shown_at: float


class LiveTree:
    def __init__(self, session: Session, api: Api, place: Place, order_id: int) -> None:
        self._session, self._api, self._place, self._order_id = session, api, place, order_id
        self._asked: _Asked | None = None
        self._said = Text()
        self._attention = Attention()
        self._console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)

    def follow(self) -> OrderView:
        """The order, once it has ended. Raises ApiError, KeyboardInterrupt."""
        view, token, read_at = self._read(), object(), 0.0
        with _keys(), Live(console=self._console, auto_refresh=False, transient=False) as live:
            while True:
                found = self._api.change_token()
                if found != token or time.monotonic() - read_at >= READ_AGAIN_S:
                    token, read_at, view = found, time.monotonic(), self._read()
                    if self._attention.rings(view) and self._session.settings.bell:
                        self._console.bell()
                    self._ask_again()
                live.update(self._drawn(view), refresh=True)
                if view.state.complete:
                    return view
                if not view.engine_alive:
                    self._session.ensure_engine()
                key = _key(LOOK_S)
                if key:
                    self._pressed(key, view)
                    read_at = 0.0

    def _read(self) -> OrderView:
        return self._api.order(*self._place, self._order_id)

    # ---- the gate's key

    def _pressed(self, key: str, view: OrderView) -> None:
        asked, self._said = self._asked, Text()
        if asked is None and key == "c":
            self._ask(view)
        elif asked is not None and time.monotonic() - asked.shown_at < READ_S:
            asked.shown_at = time.monotonic()
            self._said = Text(_("That key came before this could be read."), "yellow")
        elif asked is not None:
            self._asked = None
            if key in "\r\n" and asked.meaning.allowed:
                self._do(asked.act)

    def _ask(self, view: OrderView) -> None:
        expected = next((each.act for each in view.acts if each.act in _KEY_ACTS), None)
        if expected is None:
            self._said = Text(_("There is nothing to confirm now."), "yellow")
            return
        gate = next((node.key for node in view.nodes if node.state is NodeState.WAITING), "")
        act = Confirm(gate) if expected is Act.CONFIRM else ACTS[expected].type()
        self._asked = _Asked(act, self._meaning(act), time.monotonic())

    def _ask_again(self) -> None:
        """What it would do is said of the order as it is now."""
        if self._asked is not None:
            self._asked.meaning = self._meaning(self._asked.act)

    def _meaning(self, act: AnyAct) -> Consequence:
        return self._api.consequence(*self._place, self._order_id, act)

    def _do(self, act: AnyAct) -> None:
        try:
            command = self._api.send(*self._place, self._order_id, act)
            answer = answered(self._api, self._order_id, act.name, command, self._session.ensure_engine)
        except ProblemError as error:
            self._said = _problem(error.problem)
            return
        if answer.state is CommandState.ACCEPTED:
            self._said = Text(_("{act}: accepted").format(act=words.act_word(act.name)), "green")
        elif answer.problem is not None:
            self._said = _problem(answer.problem)

    # ---- drawing

    def _drawn(self, view: OrderView) -> Group:
        below = [self._said] if self._said else []
        below += _asked_lines(self._asked) if self._asked is not None else _next(view)
        width = self._console.width
        rows = self._console.height - sum(-(-line.cell_len // width) for line in below) - 1
        above = tree(view, time.time(), rows=rows)[: max(3, rows)]
        for line in above:
            line.no_wrap, line.overflow = True, "ellipsis"
        lines = [*above, *below]
        for line in lines:
            if self._session.settings.ascii:
                line.plain = in_ascii(line.plain)
        return Group(*lines)


def _next(view: OrderView) -> list[Text]:
    """What follows, and the keys."""
    keys = Text()
    if any(each.act in _KEY_ACTS and each.allowed for each in view.acts):
        keys.append("[c] ", "bold").append(_("confirm, start")).append("  ")
    keys.append("[Ctrl+C] ", "bold").append(_("leave"))
    return [Text(_("next: ")).append(without_hostile_text(tr(view.next))), keys]


def _asked_lines(asked: _Asked) -> list[Text]:
    meaning = asked.meaning
    lines = [Text(_("If you confirm it now:"), "bold"), Text(f"  {without_hostile_text(tr(meaning.summary))}")]
    lines += [Text(f"  {without_hostile_text(tr(line))}") for line in meaning.lines]
    if meaning.refusal is not None:
        return [*lines, _problem(meaning.refusal), Text(_("any key: back"), "dim")]
    does = Text("[⏎] ", "bold").append(words.act_word(asked.act.name)).append("  ")
    return [*lines, does.append(_("another key: back"), "dim")]


def _problem(problem: Problem) -> Text:
    return Text(without_hostile_text(f"{tr(problem.what)} {tr(problem.remedy)}"), "red")


@contextmanager
def _keys() -> Iterator[None]:
    """Each key as it is pressed, and none on the screen; Ctrl+C stays what it is."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _key(within_s: float) -> str:
    """The one that was pressed; of several at once (a paste, an arrow) none was meant."""
    ready, _writing, _errors = select.select([sys.stdin], [], [], within_s)
    if not ready:
        return ""
    pressed = os.read(sys.stdin.fileno(), 1024).decode("utf-8", "replace")
    return pressed if len(pressed) == 1 else ""
