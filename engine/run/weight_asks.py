"""What the ledger is asked for and the calls made of it: data, and what became of each weight. Asks nobody for anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.states import Verified
from engine.plan.outside import Seen, Verdict, Wish, mount_missing
from engine.ports import BalancerError
from engine.run.outages import Wait
from engine.store.weight_calls import MoveResult, Opened

SERVERS_A_CALL = 20

Told = Callable[[Message], None]


@dataclass(slots=True, eq=False)
class Ask:
    order_id: int
    epoch: int
    wish: Wish
    future: asyncio.Future[MoveResult]
    told: Told
    at: float

    def tell(self, said: Message) -> None:
        if not self.future.done():  # who has gone has closed what would be written to
            self.told(said)


@dataclass(slots=True, eq=False)
class Call:
    """One call in the making: its asks, all of one order; what was there before, what was decided, what came back."""

    asks: list[Ask]
    wait: Wait
    before: Seen = field(default_factory=dict)
    opened: Opened = field(default_factory=lambda: Opened((), ()))
    after: Seen | None = None
    request_id: str = ""
    error: BalancerError | None = None
    unread: BalancerError | None = None  # why it could not be read what is there now
    sets: int = 0  # how often the balancer was asked
    ours_at: tuple[float, float] | None = None  # when the order was last seen to be ours, by two clocks
    withdrawn: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # nobody wants it any more: it is not asked for again

    @property
    def order_id(self) -> int:
        return self.asks[0].order_id

    @property
    def epoch(self) -> int:
        return self.asks[0].epoch

    @property
    def group(self) -> ServerGroup:
        return self.asks[0].wish.mount.server_group

    @property
    def opened_yet(self) -> bool:
        """What is to be asked has been decided and written down."""
        return bool(self.opened.verdicts)

    @property
    def failure(self) -> BalancerError | None:
        """Why it is not done: what the last of its calls came back with, if that was an error."""
        return self.unread if self.after is None and self.unread is not None else self.error

    def tell_why_again(self) -> None:
        """The balancer has answered, and does not show what was asked for."""
        for ask, result in zip(self.asks, results_of(self), strict=True):
            if result.problem is not None:
                ask.tell(message("{what} It is asked again.", what=result.problem.what))

    @property
    def wishes(self) -> list[Wish]:
        return [ask.wish for ask in self.asks]

    @property
    def cuts(self) -> bool:
        """Hosts are taken out, down to a floor."""
        return any(wish.weight == 0 and wish.floor > 0 for wish in self.wishes)

    @property
    def wanted(self) -> list[MountWeight]:
        """What the balancer is asked for; empty when everything is as it should be, or may not be changed."""
        pairs = zip(self.wishes, self.opened.verdicts, strict=True)
        return [MountWeight(wish.mount, verdict.weight) for wish, verdict in pairs if verdict.call]


def next_batch(waiting: list[Ask]) -> list[Ask]:
    """Take up to 20 asks of one order off the list, at most one a mount, in order: two asks for one mount are two calls."""
    taken: list[Ask] = []
    mounts: set[Mount] = set()
    for ask in list(waiting):
        if len(taken) == SERVERS_A_CALL:
            break
        if ask.order_id == waiting[0].order_id and ask.wish.mount not in mounts:
            mounts.add(ask.wish.mount)
            taken.append(ask)
    for ask in taken:
        waiting.remove(ask)
    return taken


def key_of(mount: Mount) -> tuple[str, int]:
    return mount.server_id, mount.port


def all_there(wanted: Sequence[MountWeight], weights: Seen) -> bool:
    return all(weights.get(key_of(line.mount)) == line.weight for line in wanted)


def somebody_else(call: Call) -> bool:
    """Whether a weight is neither what it was nor what was asked for: somebody else is writing it. Nobody fights in a loop: only
    a host that is to be out is taken out once more."""
    after = call.after or {}
    strange = [
        line
        for line in call.wanted
        if after.get(key_of(line.mount)) not in (line.weight, call.before.get(key_of(line.mount)))
    ]
    return bool(strange) and (call.sets > 1 or any(line.weight > 0 for line in strange))


def results_of(call: Call) -> tuple[MoveResult, ...]:
    """What became of each of its asks, in their order."""
    if not call.opened_yet:  # the group could not be read: nothing was decided, written or asked
        return tuple(_unread(ask.wish, call) for ask in call.asks)
    return tuple(_result(wish, verdict, call) for wish, verdict in zip(call.wishes, call.opened.verdicts, strict=True))


def _result(wish: Wish, verdict: Verdict, call: Call) -> MoveResult:
    mount, asked = wish.mount, verdict.weight
    withdrawn = call.withdrawn.is_set()
    if verdict.problem is not None:
        return MoveResult(mount, asked, call.before.get(key_of(mount)), Verified.NO, verdict.problem)
    if call.after is None:
        problem = _waited(call, call.error.problem if call.error else _cannot_read(mount, asked))
        return MoveResult(mount, asked, None, Verified.CANNOT_TELL, problem, withdrawn=withdrawn)
    now = call.after.get(key_of(mount))
    if now == asked:
        return MoveResult(mount, asked, now, Verified.YES, kept=verdict.kept)
    problem = _waited(call, call.error.problem if call.error else _not_applied(mount, asked, now))
    return MoveResult(mount, asked, now, Verified.NO, problem, withdrawn=withdrawn)


def _unread(wish: Wish, call: Call) -> MoveResult:
    if call.withdrawn.is_set():
        return withdrawn(wish)
    assert call.error is not None, "a call that was not opened has an error"
    return MoveResult(wish.mount, wish.weight, None, Verified.CANNOT_TELL, _waited(call, call.error.problem))


def _waited(call: Call, problem: Problem) -> Problem:
    return problem if call.failure is None else call.wait.with_the_wait(problem)


def withdrawn(wish: Wish) -> MoveResult:
    problem = Problem(
        "weight_withdrawn",
        message("The weight of {host} was not set: the order was paused or turned back first.", host=wish.mount.host),
        message("Look at what the order does now."),
    )
    return MoveResult(wish.mount, wish.weight, None, Verified.NO, problem, withdrawn=True)


def _cannot_read(mount: Mount, asked: int) -> Problem:
    return Problem(
        "weight_cannot_tell",
        message("Weight {asked} was requested for {host} in {group}, but could not be read back.",
                host=mount.host, group=str(mount.server_group), asked=asked),
        message("Look at the balancer's console; retry the host when the balancer answers again."),
    )  # fmt: skip


def _not_applied(mount: Mount, asked: int, now: int | None) -> Problem:
    if now is None:
        return mount_missing(mount)
    return Problem(
        "weight_not_applied",
        message("The balancer accepted weight {asked} for {host} in {group} but shows {now}.",
                asked=asked, host=mount.host, group=str(mount.server_group), now=now),
        message("Somebody else may be changing this server group; look at it, then retry the host."),
    )  # fmt: skip
