"""From a key to the engine's answer: show the consequence, send the command, wait, say what became of it.

The waiting is done in worker threads; the screen goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.screen import Screen

from engine.api import DONE_WITHIN_S, Api
from engine.domain.acts import AnyAct, RollBack, SetWeights
from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import CommandState
from engine.views.acts import CommandView
from screens import words
from screens.asking import WRITE_DEADLINE_S, ask, in_worker
from screens.cockpit import cockpit_of
from screens.consequence import ConsequenceScreen, Decided
from screens.translate import _, tr
from screens.widgets.notice import Notice


class Acting:
    """The acts of one order, asked for from the screen that shows it. `accepted` is called with the act, `created` with the number
    of an order that does what was asked for."""

    def __init__(
        self,
        screen: Screen[Any],
        order_id: int,
        accepted: Callable[[AnyAct], None],
        created: Callable[[int], None] = lambda _order_id: None,
    ) -> None:
        self._screen = screen
        self._order_id = order_id
        self._accepted = accepted
        self._created = created

    def ask(self, act: AnyAct, *, first: SetWeights | None = None) -> None:
        """Show what it would do; do it when the operator says so. `first`: weights that are set before it."""
        opened_by = cockpit_of(self._screen).pressed
        self._notice.clear()

        def decided(found: Decided | None) -> None:
            if found is None:
                return
            if found.makes_order and isinstance(found.act, RollBack):
                in_worker(self._screen, self._create, found.act, found.reason, group="send")
            else:
                in_turn = (found.act,) if found.first is None else (found.first, found.act)
                in_worker(self._screen, self._send_in_turn, in_turn, found.reason, group="send")

        dialog = ConsequenceScreen(self._order_id, act, opened_by=opened_by, first=first)
        self._screen.app.push_screen(dialog, decided)

    @property
    def _notice(self) -> Notice:
        return self._screen.query_one(Notice)

    async def _create(self, act: RollBack, reason: str) -> None:
        """The way back from an order that has ended: an order of its own, which its screen then shows."""
        here = cockpit_of(self._screen).here()
        try:
            order_id = await ask(
                self._screen,
                lambda api: api.create_rollback(*here, self._order_id, act, reason=reason),
                WRITE_DEADLINE_S,
            )
        except ProblemError as error:
            self._notice.refuse(error.problem)
        else:
            self._created(order_id)

    async def _send_in_turn(self, acts: Sequence[AnyAct], reason: str) -> None:
        """One after another, as long as each is accepted."""
        for act in acts:
            if not await self._send(act, reason):
                return

    async def _send(self, act: AnyAct, reason: str) -> bool:
        """Whether it was accepted. An act that waits on the world says so here; whatever else is asked for goes on meanwhile."""
        here, app, word = cockpit_of(self._screen).here(), self._screen.app, words.act_word(act.name)

        def working(view: CommandView) -> None:
            if view.waits_for is not None:
                app.call_from_thread(self._tell_working, word, view.waits_for)

        def send_and_wait(api: Api) -> CommandView:
            return api.wait_command(api.send(*here, self._order_id, act, reason=reason), working=working)

        self._notice.tell_under_way(_("{act}: sent, waiting for the engine").format(act=word))
        try:
            answer = await ask(self._screen, send_and_wait, WRITE_DEADLINE_S + DONE_WITHIN_S)
        except ProblemError as error:
            self._notice.refuse(error.problem)
            return False
        if answer.state is CommandState.ACCEPTED:
            self._notice.tell(
                _weights_given(act) if isinstance(act, SetWeights) else _("{act}: accepted").format(act=word)
            )
            self._accepted(act)
            return True
        self._notice.refuse(answer.problem or _no_reason(act))
        return False

    def _tell_working(self, word: str, waits_for: Message) -> None:
        if self._screen.is_running:
            self._notice.tell_under_way(_("{act}: {waits_for}").format(act=word, waits_for=tr(waits_for)))


def _weights_given(act: SetWeights) -> str:
    """The balancer was read back before the engine accepted it."""
    weights = set(act.weights.values())
    if len(weights) == 1:
        return _("weight {weight} is set: the balancer shows it").format(weight=weights.pop())
    return _("the weights are set: the balancer shows them")


def _no_reason(act: AnyAct) -> Problem:
    return Problem(
        "refused",
        message("The engine refused to {act} and gave no reason.", act=str(act.name)),
        message("Look at the engine's log."),
    )
