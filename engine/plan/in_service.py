"""How many hosts of a balancer take traffic, now and after an act: the arithmetic behind every capacity sentence. Pure.

It counts with what was last read back of a weight (`WeightLine.believed`), never with what was merely asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engine.domain.fleet import ServerGroup
from engine.domain.health import answers
from engine.domain.progress import OrderProgress, WeightLine
from engine.domain.states import Health


@dataclass(frozen=True, slots=True)
class Traffic:
    """A server group before and after an act, in hosts: `mounted` in it, `before` taking traffic now, `leaving` because of the
    act, `staying` at the lowest point. `mounted` 0: no host of the order stands behind a balancer."""

    mounted: int
    before: int
    leaving: int
    staying: int
    floor: int

    @property
    def breaks_floor(self) -> bool:
        """The act itself goes below the floor; raising a weight is never to blame for what something else has broken."""
        return self.leaving > 0 and self.staying < self.floor


def server_groups(progress: OrderProgress) -> Mapping[ServerGroup, tuple[WeightLine, ...]]:
    """The order's weights by server group, in the order they are stored."""
    groups: dict[ServerGroup, list[WeightLine]] = {}
    group, its_lines = None, list[WeightLine]()
    for line in progress.weights:
        if line.mount.server_group is not group:  # most lines follow one of the same group
            group = line.mount.server_group
            its_lines = groups.setdefault(group, [])
        its_lines.append(line)
    return {group: tuple(lines) for group, lines in groups.items()}


def serving(lines: Collection[WeightLine]) -> set[str]:
    """Hosts of one server group that have a weight and answer."""
    return {line.mount.host for line in lines if line.serves}


def in_service(lines: Collection[WeightLine]) -> int:
    """How many hosts of one server group are in service (a host with two ports counts once)."""
    return len(serving(lines))


def part_of_due(lines: Collection[WeightLine]) -> tuple[str, ...]:
    """Hosts of one server group in service with less than what they are due: they count, and carry less than a host does."""
    return tuple(dict.fromkeys(line.mount.host for line in lines if line.serves and line.believed < line.due))


def share_of(lines: Collection[WeightLine], hosts: Collection[str]) -> float:
    """What part of a server group's traffic goes to these hosts, 0–1, by the weights."""
    whole = sum(line.believed for line in lines)
    return sum(line.believed for line in lines if line.mount.host in hosts) / whole if whole else 0.0


def with_health(lines: Collection[WeightLine], health: Health) -> tuple[str, ...]:
    """Hosts of one server group that have a weight, and of which just this is known."""
    return tuple(sorted({line.mount.host for line in lines if line.believed > 0 and line.health is health}))


def floor_of(progress: OrderProgress, group: ServerGroup) -> int:
    """The hosts of this server group that must stay in service while the order runs."""
    plan = progress.current_plan or progress.plan
    return 0 if plan is None else plan.floors.get(str(group), plan.floor)


def floors_of(progress: OrderProgress) -> Mapping[str, int]:
    """By server group, the hosts that must stay in service: what the ledger holds every cut to. None when they are overridden."""
    if progress.spec.override_reason:
        return {}
    return {str(group): floor_of(progress, group) for group in server_groups(progress)}


def crossing(
    progress: OrderProgress, *, leaving: Collection[str] = (), weights: Mapping[str, int] | None = None
) -> Traffic:
    """The tightest server group while `leaving` have weight 0 all at once, or after `weights` (host → weight) are set."""
    wanted = {**dict.fromkeys(leaving, 0), **(weights or {})}
    crossings = [
        _crossing(lines, wanted, floor_of(progress, group)) for group, lines in server_groups(progress).items()
    ]
    if not crossings:
        return Traffic(0, 0, 0, 0, 0)
    return min(crossings, key=lambda one: (one.leaving == 0, one.staying - one.floor))


def _crossing(lines: Collection[WeightLine], wanted: Mapping[str, int], floor: int) -> Traffic:
    hosts = {line.mount.host for line in lines}
    before = serving(lines)
    after = {
        line.mount.host for line in lines if wanted.get(line.mount.host, line.believed) > 0 and answers(line.health)
    }
    # While weights change one after another the hosts that leave may be gone before others come.
    staying = len(before & after)
    return Traffic(len(hosts), len(before), len(before - after), max(staying, 0), floor)
