"""The commands of one order, answered: at once where an act needs the store alone, else by a task that waits on the world.

So a weight call that takes minutes holds nothing up: pause, cancel and every decision go on meanwhile. A command that is at work
says so in its row (`working`) together with what is being waited for. One whose engine was lost is begun anew by the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from engine.domain.acts import ACTS, AnyAct, UnreadableAct, decode
from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, CommandState, Direction
from engine.kinds.registry import not_understood, way_back_of
from engine.plan.what_if import consequence
from engine.run.acts import DOING, By, Doing, World
from engine.run.journal import StaleEpoch
from engine.run.ports import Ports
from engine.store import commands
from engine.store.commands import Command
from engine.store.fleets import deployable_versions, is_production
from engine.store.gate import no_longer_allowed
from engine.store.progress import load_progress
from engine.store.store import StoreError, Transaction

log = logging.getLogger(__name__)
STORE_PAUSE_S = 1.0


class Answering:
    """Of one order at one epoch. `moved_on` is called in the transaction of an accepted answer, so that what follows is written
    with it; `wake` when something may have changed later on."""

    def __init__(
        self,
        order_id: int,
        epoch: int,
        ports: Ports,
        *,
        moved_on: Callable[[Transaction], object] = lambda conn: None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._order_id = order_id
        self._epoch = epoch
        self._ports = ports
        self._moved_on = moved_on
        self._wake = wake
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._saying: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        return bool(self._at_work)

    async def answer_all(self) -> None:
        """Answer what was asked, one after another; begin with what takes its time. Raises StaleEpoch and StoreError."""
        for command in await self._ports.background.call(self._unanswered):
            if command.id not in self._at_work:
                await self._answer(command)

    async def close(self) -> None:
        """What is at work stays unanswered; whoever has the order next begins it anew."""
        tasks = [*self._at_work.values(), *self._saying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _unanswered(self) -> list[Command]:
        with self._ports.store.reading() as conn:
            return commands.unanswered_of(conn, self._order_id)

    async def _answer(self, command: Command) -> None:
        try:
            act = decode(command.act, command.params)
        except UnreadableAct as error:
            unreadable = error.problem
            await self._write(lambda conn: self._refuse(conn, command, unreadable))
            return
        doing = DOING[type(act)]
        if doing.withdraws and self.busy and not await self._withdrawn(command, act):
            return
        if doing.effect is None:
            await self._write(lambda conn: self._close(conn, command, act, doing, None))
            if doing.ends_waits:
                self._ports.ledger.withdraw(self._order_id, if_away=True)
        elif await self._write(lambda conn: self._begin(conn, command, act, doing)):
            task = asyncio.create_task(self._carry_out(command, act, doing), name=f"command {command.id}: {act.name}")
            self._at_work[command.id] = task
            task.add_done_callback(partial(self._ended, command))

    # ------------------------------------------------------------------------------------------- what waits on the world

    async def _carry_out(self, command: Command, act: AnyAct, doing: Doing) -> None:
        assert doing.effect is not None, "an act without an effect waits for nothing"
        world = World(self._order_id, self._epoch, self._ports, partial(self._say, command), command.id)
        try:
            problem = await doing.effect(world, act)
        except (StaleEpoch, StoreError):
            raise
        except ProblemError as error:
            problem = error.problem
        except Exception as error:
            # The boundary of one act: whatever broke it must not stop the order, and whoever asked gets an answer.
            log.exception("command %s: %s broke", command.id, act.name)
            problem = _broke(act.name, error)
        await self._write(lambda conn: self._close(conn, command, act, doing, problem))

    def _ended(self, command: Command, task: asyncio.Task[None]) -> None:
        """Answered; or its engine or its store was lost, and it is begun anew."""
        del self._at_work[command.id]
        if task.cancelled():
            return
        error = task.exception()
        if error is None or isinstance(error, StaleEpoch):
            self._wake()
            return
        log.warning("command %s: %s", command.id, error)
        asyncio.get_running_loop().call_later(STORE_PAUSE_S, self._wake)

    def _say(self, command: Command, said: Message) -> None:
        task = asyncio.create_task(self._write(lambda conn: commands.set_working(conn, command.id, said)))
        self._saying.add(task)
        task.add_done_callback(self._said)

    def _said(self, task: asyncio.Task[None]) -> None:
        self._saying.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("what is being waited for could not be written: %s", task.exception())

    async def _withdrawn(self, command: Command, act: AnyAct) -> bool:
        """Give up weights that are still being set, if the act is acceptable. False: it is answered when they have ended, because
        it ends the order as it stands."""
        refusal, direction = await self._write(lambda conn: self._judged(conn, command, act))
        if refusal is not None:
            return True
        self._ports.ledger.withdraw(self._order_id)
        if direction is Direction.FORWARD:
            return True
        waits_for = message("weights that are being set are finished first")
        await self._write(lambda conn: self._set_working(conn, command, waits_for))
        return False

    # --------------------------------------------------------------------------------------------------------------- rows

    def _judged(self, conn: Transaction, command: Command, act: AnyAct) -> tuple[Problem | None, Direction]:
        progress = load_progress(conn, self._order_id)
        return self._refusal(conn, progress, command, act), progress.direction

    def _refusal(self, conn: Transaction, progress: OrderProgress, command: Command, act: AnyAct) -> Problem | None:
        if progress.state.complete and act.name is not Act.GIVE_BACK:  # an act before this one has ended it
            return commands.order_ended(self._order_id, progress.state)
        strange = not_understood(progress) or no_longer_allowed(
            conn, command.operator, str(act.name), ACTS[act.name].least, progress.workspace_id
        )
        if strange is not None:
            return strange
        meaning = consequence(
            progress.without(command.id),
            act,
            succeeded_versions=deployable_versions(conn, progress.apps),
            production=is_production(conn, progress.workspace_id),
            now=self._now(),
            way_back=way_back_of(progress.kind),
        )
        return None if meaning.allowed else meaning.refusal

    def _begin(self, conn: Transaction, command: Command, act: AnyAct, doing: Doing) -> bool:
        """Whether the act is acceptable; it is `working` then, and answered otherwise."""
        if not commands.is_unanswered(conn, command.id):
            return False  # written before, and the answer to that was lost
        progress = load_progress(conn, self._order_id)
        refusal = self._refusal(conn, progress, command, act)
        if refusal is not None:
            self._refuse(conn, command, refusal)
            return False
        assert doing.waits_for is not None, "whoever waits says for what"
        self._set_working(conn, command, doing.waits_for(progress, act))
        if doing.begins is not None:
            doing.begins(conn, progress, act, By(command.operator, command.reason, command.id), self._now())
        return True

    def _close(self, conn: Transaction, command: Command, act: AnyAct, doing: Doing, problem: Problem | None) -> None:
        if not commands.is_unanswered(conn, command.id):
            return  # written before, and the answer to that was lost
        progress = load_progress(conn, self._order_id)
        if problem is None and (doing.effect is None or doing.asked_again):
            problem = self._refusal(conn, progress, command, act)
        if problem is not None:
            self._refuse(conn, command, doing.refused(progress, problem))
            return
        doing.write(conn, progress, act, By(command.operator, command.reason, command.id), self._now())
        commands.answer(conn, command, CommandState.ACCEPTED, self._now())
        # What follows is written with the answer: whoever looks after it must not find the order waiting for this very act.
        self._moved_on(conn)

    def _refuse(self, conn: Transaction, command: Command, problem: Problem) -> None:
        if commands.is_unanswered(conn, command.id):
            commands.answer(conn, command, CommandState.REFUSED, self._now(), problem)

    def _set_working(self, conn: Transaction, command: Command, waits_for: Message) -> None:
        commands.begin(conn, command, waits_for, self._now())

    async def _write(self, change: Callable[[Transaction], Any]) -> Any:
        return await self._ports.journal.write(self._order_id, self._epoch, change)

    def _now(self) -> float:
        return self._ports.clock.now()


def _broke(act: Act, error: BaseException) -> Problem:
    return Problem(
        "act_broke",
        message("The engine could not carry out {act}: it hit an internal error.", act=str(act)),
        message("Read the engine's log, solve what it names (a full disk?), then ask again."),
        f"{type(error).__name__}: {error}",
    )
