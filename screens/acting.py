"""From a key to the engine's answer: show the consequence, send the command, wait, say what became of it.

The waiting is done in worker threads; the screen goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.screen import Screen

from engine.api import Api
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Act, CommandState
from screens import words
from screens.asking import WRITE_DEADLINE_S, ask
from screens.cockpit import cockpit_of
from screens.consequence import ConsequenceScreen, Decided
from screens.translate import _
from screens.widgets.notice import Notice

ANSWER_WITHIN_S = 10.0
GIVEN_BACK_WITHIN_S = 60.0  # health is checked on the hosts before the engine answers


class Acting:
    """The acts of one order, asked for from the screen that shows it. `accepted` is called with the act and its params, `created`
    with the number of an order that does what was asked for."""

    def __init__(
        self,
        screen: Screen[Any],
        order_id: int,
        accepted: Callable[[Act, Mapping[str, Any]], None],
        created: Callable[[int], None] = lambda _order_id: None,
    ) -> None:
        self._screen = screen
        self._order_id = order_id
        self._accepted = accepted
        self._created = created

    def ask(self, act: Act, params: Mapping[str, Any] | None = None) -> None:
        """Show what it would do; do it when the operator says so."""
        given, opened_by = dict(params or {}), cockpit_of(self._screen).pressed
        self._notice.clear()

        def decided(found: Decided | None) -> None:
            if found is not None and found.makes_order:
                self._screen.run_worker(self._create(found), group="send")
            elif found is not None:
                self._screen.run_worker(self._send(act, found.params, found.reason), group="send")

        self._screen.app.push_screen(ConsequenceScreen(self._order_id, act, given, opened_by=opened_by), decided)

    @property
    def _notice(self) -> Notice:
        return self._screen.query_one(Notice)

    async def _create(self, decided: Decided) -> None:
        """The way back from an order that has ended: an order of its own, which its screen then shows."""
        here, params = cockpit_of(self._screen).here(), decided.params

        def create(api: Api) -> int:
            return api.create_rollback(
                *here,
                self._order_id,
                str(params.get("version", "")),
                reason=decided.reason,
                override_reason=str(params.get("override_reason", "")),
            )

        try:
            self._created(await ask(self._screen, create, WRITE_DEADLINE_S))
        except ProblemError as error:
            self._notice.refuse(error.problem)

    async def _send(self, act: Act, params: Mapping[str, Any], reason: str) -> None:
        here = cockpit_of(self._screen).here()
        within_s = GIVEN_BACK_WITHIN_S if act is Act.GIVE_BACK else ANSWER_WITHIN_S

        def send_and_wait(api: Api) -> tuple[CommandState, Problem | None]:
            command = api.send(*here, self._order_id, act, params, reason=reason)
            answer = api.wait_command(command, timeout_s=within_s)
            return answer.state, answer.problem

        word = words.act_word(act)
        self._notice.tell(_("{act}: sent, waiting for the engine").format(act=word))
        try:
            state, problem = await ask(self._screen, send_and_wait, WRITE_DEADLINE_S + within_s)
        except ProblemError as error:
            state, problem = CommandState.REFUSED, error.problem
        if state is CommandState.ACCEPTED:
            self._notice.tell(_("{act}: accepted").format(act=word))
            self._accepted(act, params)
        else:
            self._notice.refuse(problem or _no_reason(act))


def _no_reason(act: Act) -> Problem:
    return Problem(
        "refused",
        message("The engine refused to {act} and gave no reason.", act=str(act)),
        message("Look at the engine's log."),
    )
