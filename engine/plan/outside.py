"""What follows from the weights that are really there, just before an order changes some of them. Pure.

Somebody else may change a weight while an order runs. The rule: it is noticed and shown, and never overwritten in silence. What
somebody else has set counts for more than what was recorded before the order: it is what the host gets back. An order still takes
a host out for its own work (that is the safe side), and takes it out once more, once, when somebody puts it in during that work; it
never fights in a loop. A person who sets weights by hand is told first when they are no longer what that person saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.fleet import Mount
from engine.domain.health import answers
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.progress import WeightLine
from engine.domain.states import Health, Verified

Seen = Mapping[tuple[str, int], int]  # (server id, port) → weight, as a server group was read


@dataclass(frozen=True, slots=True)
class Wish:
    """A weight that is asked for. `owned`: the order keeps it in its hands, else it gives the weight back. `by_hand`: a person
    chose it. `floor`: hosts of the server group that must keep a weight above 0."""

    mount: Mount
    weight: int
    owned: bool
    by_hand: bool = False
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a wish: `weight` is what the mount is to have, `call` whether the balancer must be asked for it. With a
    `problem` nothing is asked. `kept`: the weight is not the one that was wished, but the one somebody else has set."""

    weight: int
    call: bool
    problem: Problem | None = None
    kept: bool = False


def notice(lines: Sequence[WeightLine], seen: Seen, now: float) -> tuple[WeightLine, ...]:
    """The lines whose weight somebody else has changed, as they are to be written: the order now believes what it saw."""
    found = []
    for line in lines:
        weight = seen.get(_key(line.mount))
        if weight is None or weight == line.believed or (line.in_doubt and weight == line.asked):
            continue
        if weight == 0 and line.asked is not None:
            continue  # may be a cut of our own that arrived late (its engine is gone): nobody's decision to keep the host out
        found.append(
            replace(line, outside=weight, outside_at=now, confirmed=weight, confirmed_at=now, verified=Verified.YES)
        )
    return tuple(found)


def to_cut_again(noticed: Sequence[WeightLine], working: Collection[str]) -> tuple[WeightLine, ...]:
    """Those that somebody put in although the order holds them at 0 for its work on the host (`working`: the hosts it works on),
    for the first time."""
    return tuple(
        line
        for line in noticed
        if line.owned and line.asked == 0 < line.believed and line.mount.host in working and not line.cut_again
    )


def with_health(lines: Sequence[WeightLine], found: Mapping[tuple[str, int], Health] | None) -> tuple[WeightLine, ...]:
    """The lines of one server group with what the balancer's health check has just said; None: it could not be asked, and what
    it said before counts no longer."""
    told = found or {}
    return tuple(replace(line, balancer_health=told.get(_key(line.mount), Health.UNKNOWN)) for line in lines)


def judge(wishes: Sequence[Wish], lines: Sequence[WeightLine], noticed: Collection[Mount], seen: Seen) -> list[Verdict]:
    """One verdict a wish. `lines` are the order's of this server group, those just `noticed` among them as they are now."""
    by_mount = {line.mount: line for line in lines}
    stale = [wish for wish in wishes if wish.by_hand and wish.weight > 0 and wish.mount in noticed]
    below_floor = _below_floor(wishes, lines, seen)
    return [_verdict(wish, by_mount.get(wish.mount), seen, stale, below_floor) for wish in wishes]


def _verdict(
    wish: Wish, line: WeightLine | None, seen: Seen, stale: Sequence[Wish], below_floor: Mapping[str, Problem]
) -> Verdict:
    now = seen.get(_key(wish.mount))
    if now is None:
        return Verdict(wish.weight, False, mount_missing(wish.mount))
    if stale and wish.by_hand:
        return Verdict(wish.weight, False, _changed(stale[0].mount, seen[_key(stale[0].mount)]))
    if wish.weight == 0 and wish.mount.host in below_floor:
        return Verdict(0, False, below_floor[wish.mount.host])
    weight = wish.weight
    if not wish.owned and line is not None and line.outside is not None:
        weight = line.outside
    in_doubt = line is not None and line.in_doubt
    return Verdict(weight, now != weight or in_doubt, kept=weight != wish.weight)


def _below_floor(wishes: Sequence[Wish], lines: Sequence[WeightLine], seen: Seen) -> Mapping[str, Problem]:
    """Hosts that may not be cut now because too few others really take traffic. One that does not answer is lost to nobody."""
    up = {line.mount for line in lines if answers(line.health)}
    ports = Counter(line.mount.host for line in lines if line.mount in up and seen.get(_key(line.mount), 0) > 0)
    silent = sorted({line.mount.host for line in lines if line.mount not in up and seen.get(_key(line.mount), 0) > 0})
    refused: dict[str, Problem] = {}
    for host in dict.fromkeys(wish.mount.host for wish in wishes if wish.weight == 0):
        cut = [
            w
            for w in wishes
            if w.mount.host == host and w.weight == 0 and seen.get(_key(w.mount), 0) > 0 and w.mount in up
        ]
        if not cut or len(cut) < ports[host]:
            continue
        floor = max(wish.floor for wish in cut)
        if len(ports) - 1 < floor:
            refused[host] = _floor_reached(cut[0].mount, len(ports) - 1, floor, silent)
        else:
            del ports[host]
    return refused


def _key(mount: Mount) -> tuple[str, int]:
    return mount.server_id, mount.port


def mount_missing(mount: Mount) -> Problem:
    return Problem(
        "mount_missing",
        message("{host} is not in server group {group}.", host=mount.host, group=str(mount.server_group)),
        message("Correct the mount in the catalogue or add the server to the group, then retry the host."),
    )


def _floor_reached(mount: Mount, staying: int, floor: int, silent: Sequence[str]) -> Problem:
    if silent:
        return Problem(
            "floor_reached",
            message(
                "Cutting {host} now would leave {staying} hosts of {group} in service, below the floor of {floor}; "
                "these have a weight but do not answer: {silent}.",
                host=mount.host, staying=staying, group=str(mount.server_group), floor=floor, silent=", ".join(silent),
            ),
            message("Repair those hosts or release them first, then retry the host; it was not touched."),
        )  # fmt: skip
    return Problem(
        "floor_reached",
        message("Cutting {host} now would leave {staying} hosts of {group} in service, below the floor of {floor}.",
                host=mount.host, staying=staying, group=str(mount.server_group), floor=floor),
        message("Somebody else took hosts out. Bring hosts back into service, then retry the host; it was not touched."),
    )  # fmt: skip


def _changed(mount: Mount, weight: int) -> Problem:
    return Problem(
        "weight_changed_outside",
        message("Somebody else has just set the weight of {host} in {group} to {weight}.",
                host=mount.host, group=str(mount.server_group), weight=weight),
        message("Nothing was changed by this order. Look at it, and set the weights again if you still want them."),
    )  # fmt: skip
