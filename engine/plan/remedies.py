"""Which remedies an order's failures offer now, and what asking for one means. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from engine.diagnose.remedies import LONGER_DEADLINE, LONGEST_DEADLINE_S, REMEDIES, Remedy, remedy_of
from engine.domain import acts
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import OrderState, RunState
from engine.plan.what_if_words import named


@dataclass(frozen=True, slots=True)
class Offer:
    """`code` is that of the host's problem. `run` is the one that failed, at `step`; None: the check of the order found it."""

    host: str
    code: str
    remedy: Remedy
    run: RunProgress | None = None

    @property
    def step(self) -> str:
        return self.run.failed_at if self.run is not None else ""


def offered(progress: OrderProgress) -> tuple[Offer, ...]:
    """In plan order; before the start in the order in which the check told them. A host has one at most."""
    told: list[tuple[str, str, RunProgress | None]]
    if progress.state is OrderState.INIT_FAILED:
        told = [(host, problem.code, None) for host, problem in progress.problems if host]
    elif progress.state.complete or progress.state is OrderState.CANCELLING:
        return ()
    else:
        failed = [run for run in progress.current_runs if run.state is RunState.FAILED and run.problem is not None]
        told = [(run.host, run.problem.code, run) for run in failed if run.problem is not None]
    found: dict[str, Offer] = {}
    for host, code, run in told:
        remedy = remedy_of(code)
        if remedy is not None and (run is None or remedy.step or run.failed_at):
            found.setdefault(host, Offer(host, code, remedy, run))
    return tuple(found.values())


def asked_for(progress: OrderProgress, act: acts.Remedy) -> tuple[Offer, ...] | Problem:
    """The offers that the act takes; or why it can't be asked for now."""
    chosen = chosen_by(progress, act)
    others = [each.act for each in progress.at_work if isinstance(each.act, acts.Remedy)]
    if isinstance(chosen, Problem) or not others:
        return chosen
    everywhere = any(not other.hosts for other in others)
    taken = {host for other in others for host in other.hosts}
    return _at_work() if everywhere or any(offer.host in taken for offer in chosen) else chosen


def chosen_by(progress: OrderProgress, act: acts.Remedy) -> tuple[Offer, ...] | Problem:
    """The same, whatever is at work: for the act that is."""
    if act.remedy and act.remedy not in REMEDIES:
        return _unknown(act.remedy)
    if not 0 <= act.deadline_s <= LONGEST_DEADLINE_S:
        return _deadline_impossible(act.deadline_s)
    offers = offered(progress)
    mine = [offer for offer in offers if not act.hosts or offer.host in act.hosts]
    without = [host for host in act.hosts if host not in {offer.host for offer in mine}]
    chosen = tuple(offer for offer in mine if act.remedy in ("", offer.remedy.name))
    return _nothing_offered(without, offers) if without or not chosen else chosen


def summary(offers: Sequence[Offer]) -> Message:
    hosts = named([offer.host for offer in offers])
    if not offers:
        return message("applies a remedy")
    if len(_by_remedy(offers)) > 1:
        return message("does what the cards offer, then tries again: {hosts}", hosts=hosts)
    return message("{remedy}, then tries again: {hosts}", remedy=offers[0].remedy.word, hosts=hosts)


def at_work_on(offers: Sequence[Offer]) -> Message:
    """What is waited for."""
    parts = [
        message("{remedy}: {hosts}", remedy=remedy.word, hosts=named(hosts)) for remedy, hosts in _by_remedy(offers)
    ]
    return reduce(lambda first, others: message("{first}; {others}", first=first, others=others), parts)


def lines(offers: Sequence[Offer], deadline_s: int, *, checked: bool) -> list[Message]:
    said, remedies = [], _by_remedy(offers)
    for remedy, hosts in remedies:
        said.append(message(remedy.means.text, hosts=named(hosts)))
        if remedy.name == LONGER_DEADLINE:
            said.append(_deadline(deadline_s))
    if not any(remedy.step for remedy, _hosts in remedies):
        return said
    if checked:
        return [
            *said,
            message("what it prints is kept (cockpit order log); where it succeeds the order is checked again"),
        ]
    return [
        *said,
        message("what it prints is kept in the host's log; a host on which it does not succeed is not retried"),
    ]


def _deadline(deadline_s: int) -> Message:
    if deadline_s:
        return message("the deadline: {deadline} s", deadline=deadline_s)
    return message("the deadline: twice the present one, at most {most} h", most=LONGEST_DEADLINE_S // 3600)


def _by_remedy(offers: Sequence[Offer]) -> list[tuple[Remedy, list[str]]]:
    """Each remedy once, with its hosts, in the order in which they are offered."""
    found: dict[str, tuple[Remedy, list[str]]] = {}
    for offer in offers:
        found.setdefault(offer.remedy.name, (offer.remedy, []))[1].append(offer.host)
    return list(found.values())


def _unknown(name: str) -> Problem:
    return Problem(
        "no_such_remedy",
        message("There is no remedy called {name}.", name=name),
        message("There are: {names}.", names=", ".join(REMEDIES)),
    )


def _deadline_impossible(deadline_s: int) -> Problem:
    return Problem(
        "deadline_impossible",
        message("A deadline of {deadline} s is not possible.", deadline=deadline_s),
        message("Give 1 to {most} seconds.", most=LONGEST_DEADLINE_S),
    )


def _nothing_offered(without: Sequence[str], offers: Sequence[Offer]) -> Problem:
    hosts = named([offer.host for offer in offers])
    what = message("The failure of {hosts} has no remedy that is a step.", hosts=named(without))
    if not without:
        what = message("No failure here has a remedy that is a step.")
    remedy = message("It is offered for: {hosts}.", hosts=hosts)
    return Problem(
        "no_remedy", what, remedy if offers else message("Do what the problem's text says, then retry the host.")
    )


def _at_work() -> Problem:
    return Problem(
        "remedy_at_work",
        message("A remedy is at work on these hosts already."),
        message("Wait until it has ended; the order's history tells how."),
    )
