"""What `DescribeHealthStatus` tells: a row per listener and server; a server group has those of its own listeners. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.states import Health

_SAYS = {"normal": Health.HEALTHY, "abnormal": Health.UNHEALTHY}
Listener = tuple[str, int]  # (protocol, port)


@dataclass(frozen=True, slots=True)
class Row:
    listener: Listener
    server_id: str
    port: int
    health: Health


def rows(answer: Mapping[str, Any]) -> list[Row]:
    """Raises KeyError, TypeError, ValueError for what can't be read. `unavailable` is a check that has not ended yet."""
    return [
        Row(
            (str(row.get("Protocol", "")).lower(), int(row["ListenerPort"])),
            str(row["ServerId"]),
            int(row.get("Port") or 0),
            _SAYS.get(str(row["ServerHealthStatus"]).lower(), Health.UNKNOWN),
        )
        for row in answer["BackendServers"]["BackendServer"]
    ]


def listeners(answer: Mapping[str, Any]) -> frozenset[Listener]:
    """Of `DescribeVServerGroups`: the listeners that send to a VServer group, and so not to the default group."""
    found = set()
    for group in answer["VServerGroups"]["VServerGroup"]:
        of_group = (group.get("AssociatedObjects") or {}).get("Listeners") or {}
        found |= {(str(row.get("Protocol", "")).lower(), int(row["Port"])) for row in of_group.get("Listener") or []}
    return frozenset(found)


def of_vserver_group(rows: Iterable[Row]) -> dict[tuple[str, int], Health]:
    return _by_server(((row.server_id, row.port), row.health) for row in rows)


def of_default_group(rows: Iterable[Row], of_other_groups: frozenset[Listener]) -> dict[tuple[str, int], Health]:
    return _by_server(((row.server_id, 0), row.health) for row in rows if row.listener not in of_other_groups)


def _by_server(found: Iterable[tuple[tuple[str, int], Health]]) -> dict[tuple[str, int], Health]:
    """A server behind several listeners is healthy when one of them finds it so and none finds the contrary."""
    health: dict[tuple[str, int], Health] = {}
    for key, says in found:
        before = health.get(key, Health.UNKNOWN)
        if before is not Health.UNHEALTHY and says is not Health.UNKNOWN:
            health[key] = says
        health.setdefault(key, says)
    return health
