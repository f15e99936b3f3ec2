"""Remedy: what a failure card offers as a step is done on its hosts, then they begin a new attempt, or the order is checked again.

It goes over the login a job would take, but is no job: on a full disk none could be set up. What it prints goes to the end of the
failed attempt's log; of a host that the check told of, into a log of its own. A row is committed before anything is done and when
it has ended, so an engine that takes over does not do again what had ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from engine.diagnose.remedies import LONGER_DEADLINE, LONGEST_DEADLINE_S, SHOW_FOLDERS
from engine.domain.acts import Remedy
from engine.domain.clean import clean_text
from engine.domain.fleet import Facts, Host, InstanceFacts
from engine.domain.log_path import log_path, remedy_log
from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState, RunState
from engine.kinds.registry import kind_of
from engine.plan.remedies import Offer, at_work_on, chosen_by
from engine.run.acts.doing import By, World
from engine.run.logs import HostLog
from engine.run.trial_build import unsigned_context
from engine.steps.registry import remote_step, step
from engine.store.facts import load_facts
from engine.store.host_runs import retry_run
from engine.store.orders import set_order_state
from engine.store.progress import load_progress
from engine.store.remedies import begin_remedies, end_remedy, lengthen_deadlines, remedies_of_command
from engine.store.store import Transaction

T = TypeVar("T")
HOSTS_AT_ONCE = 50
EVIDENCE_LINES = 9


def waits_for(progress: OrderProgress, act: Remedy) -> Message:
    offers = chosen_by(progress, act)
    assert not isinstance(offers, Problem), "what_if accepted it"
    return at_work_on(offers)


async def effect(world: World, act: Remedy) -> Problem | None:
    """None: it was done on one host at least. Raises StaleEpoch and StoreError."""
    return await _Remedying(world, act).go()


def write(conn: Transaction, progress: OrderProgress, act: Remedy, by: By, now: float) -> None:
    """Hosts on which it was done are tried again; the others stay as they are."""
    done = {each.host: each for each in remedies_of_command(conn, by.command_id) if each.state is RunState.SUCCEEDED}
    if progress.state is OrderState.INIT_FAILED:
        set_order_state(conn, progress, OrderState.INITIALISING, now)
        return
    offers = chosen_by(progress, act)
    mine = [] if isinstance(offers, Problem) else [offer for offer in offers if offer.host in done]
    longer = [(offer, done[offer.host].deadline_s) for offer in mine if done[offer.host].deadline_s]
    if longer:
        lengthen_deadlines(conn, progress, longer, now)
    for offer in mine:
        if offer.run is not None:
            retry_run(conn, progress.id, offer.run, now)


class _Remedying:
    """One command."""

    def __init__(self, world: World, act: Remedy) -> None:
        self._world = world
        self._act = act
        self._ports = world.ports
        self._slots = asyncio.Semaphore(HOSTS_AT_ONCE)

    async def go(self) -> Problem | None:
        world = self._world
        progress, facts = await self._ports.background.call(self._read)
        offers = chosen_by(progress, self._act)
        if isinstance(offers, Problem):
            return offers
        apps = {host.name: (app, host) for app in facts.apps for host in app.hosts}
        now = self._ports.clock.now()
        ended = await self._write(lambda conn: begin_remedies(conn, world.order_id, world.command_id, offers, now))
        self._ports.remote.log_in_anew([apps[offer.host][1] for offer in offers if offer.host in apps])
        todo = [offer for offer in offers if offer.host not in ended]
        await asyncio.gather(*(self._host(progress, facts, apps, offer) for offer in todo))
        return await self._ports.background.call(self._outcome)

    def _read(self) -> tuple[OrderProgress, Facts]:
        with self._ports.store.reading() as conn:
            progress = load_progress(conn, self._world.order_id)
            asked = kind_of(progress.kind).apps(progress.spec)
            return progress, load_facts(conn, progress.workspace_id, asked, besides=progress.id)

    def _outcome(self) -> Problem | None:
        with self._ports.store.reading() as conn:
            done = remedies_of_command(conn, self._world.command_id)
        if any(each.state is RunState.SUCCEEDED for each in done):
            return None
        return next(each.problem for each in done if each.problem is not None)

    async def _host(
        self, progress: OrderProgress, facts: Facts, apps: Mapping[str, tuple[InstanceFacts, Host]], offer: Offer
    ) -> None:
        world, problem, deadline_s = self._world, None, 0.0
        async with self._slots:
            try:
                if offer.host not in apps:
                    problem = _left_the_app(offer.host, progress.named)
                elif offer.remedy.name == LONGER_DEADLINE:
                    deadline_s = self._longer(progress, facts, *apps[offer.host], offer)
                else:
                    problem = await self._run(progress, facts, *apps[offer.host], offer)
            except ProblemError as error:
                problem = error.problem
        shown = problem is not None and problem.code == "disk_still_full"
        state = RunState.SUCCEEDED if problem is None else RunState.SKIPPED if shown else RunState.FAILED
        now = self._ports.clock.now()
        await self._write(
            lambda conn: end_remedy(
                conn, world.order_id, world.command_id, offer, state, now, problem=problem, deadline_s=deadline_s
            )
        )

    async def _run(
        self, progress: OrderProgress, facts: Facts, app: InstanceFacts, host: Host, offer: Offer
    ) -> Problem | None:
        """Raises ProblemError."""
        built = remote_step(step(offer.remedy.step), unsigned_context(host, app, host.version, facts.packages))
        log = self._open_log(offer)
        try:
            log.heading(message("remedy: {remedy}", remedy=offer.remedy.word), self._ports.clock.now())
            result = await self._ports.remote.run(host, built.body, deadline_s=built.deadline_s)
            log.output(result.output, log.offset)
            said = clean_text(result.output).strip().splitlines()[-EVIDENCE_LINES:]
            problem = None if result.exit_status == 0 else _failed(offer, app, "\n".join(said))
            log.heading(message("done") if problem is None else problem.what, self._ports.clock.now())
        finally:
            log.close()
        return problem

    def _longer(self, progress: OrderProgress, facts: Facts, app: InstanceFacts, host: Host, offer: Offer) -> float:
        """The failed step's deadline from now on. Raises ProblemError."""
        assert offer.run is not None, "only a step runs out of time"
        planned = progress.host_plan(offer.run)
        failed = next(each for each in planned.steps if each.key == offer.step)
        context = unsigned_context(host, app, planned.after.version, facts.packages)
        present_s = failed.deadline_s or remote_step(failed, context).deadline_s
        wanted_s = float(self._act.deadline_s or min(2 * present_s, LONGEST_DEADLINE_S))
        if wanted_s <= present_s:
            raise ProblemError(_not_longer(offer, present_s))
        return wanted_s

    def _open_log(self, offer: Offer) -> HostLog:
        log_dir, order_id, run = self._ports.log_dir, self._world.order_id, offer.run
        if run is None:
            return HostLog(remedy_log(log_dir, order_id, offer.host, self._world.command_id))
        return HostLog(log_path(log_dir, order_id, offer.host, run.job, run.attempt))

    async def _write(self, change: Callable[[Transaction], T]) -> T:
        return await self._ports.journal.write(self._world.order_id, self._world.epoch, change)


def _failed(offer: Offer, app: InstanceFacts, said: str) -> Problem:
    if offer.remedy.name == SHOW_FOLDERS:
        return Problem(
            "disk_still_full",
            message("The disk of {host} is full: these are its biggest folders.", host=offer.host),
            message("Free space on the host, then ask again: it is retried once there is room."),
            said,
        )
    return Problem(
        "agent_still_down",
        message("StarAgent on {host} was restarted and does not come back.", host=offer.host),
        message(
            "Read its log on the host (log/staragent_core.log in its home) and look at its server, then ask again."
        ),
        said,
    )


def _not_longer(offer: Offer, present_s: float) -> Problem:
    return Problem(
        "deadline_not_longer",
        message(
            "{step} on {host} has {present} s already.", step=offer.step, host=offer.host, present=round(present_s)
        ),
        message("Give a longer deadline, {most} s at most, or find out why it takes so long.", most=LONGEST_DEADLINE_S),
    )


def _left_the_app(host: str, app: str) -> Problem:
    return Problem(
        "host_left_instance",
        message("{host} is no longer a host of {app}.", host=host, app=app),
        message("Add it to the service instance again, or cancel the order."),
    )
