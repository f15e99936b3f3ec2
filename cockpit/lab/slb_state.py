"""What the lab's load balancers know: groups, servers and weights, as plain data that the API endpoint changes and the HTTP
forwarder reads.

It checks nothing an API would check and never forwards a request; see `cockpit.lab.slb` for the wire.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Server = tuple[str, int]  # (server id, port); the port is 0 in a default group
DEFAULT_GROUP = ""  # the vserver_group_id of a balancer's default group


@dataclass(frozen=True, slots=True)
class WeightChange:
    """One applied change of one group: every server's weight before and after, at `at` (epoch seconds)."""

    balancer_id: str
    vserver_group_id: str
    before: Mapping[Server, int]
    after: Mapping[Server, int]
    at: float


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener sends what arrives at `port` to a VServer group, or to the default group when that is empty; servers of the
    default group are then reached at `backend_port`. `checked`: its health check is on; with `check_path` it is an HTTP one."""

    port: int
    protocol: str = "http"
    vserver_group_id: str = DEFAULT_GROUP
    backend_port: int = 0
    checked: bool = True
    check_path: str = ""


@dataclass(slots=True)
class LabBalancer:
    """One balancer: `groups` maps a VServer group id ("" = the default group) to its servers' weights."""

    balancer_id: str
    region: str
    name: str = ""
    address: str = "127.0.0.1"
    groups: dict[str, dict[Server, int]] = field(default_factory=dict)
    group_names: dict[str, str] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)


class SlbState:
    """All balancers of the lab. Every method is atomic and safe from any thread; what is returned is a copy.

    `on_change` is called after each change that altered something, outside the lock, in the caller's thread.
    `history` holds the last 10,000 such changes, oldest first.
    """

    HISTORY_LIMIT = 10_000

    def __init__(self, *, on_change: Callable[[WeightChange], None] | None = None) -> None:
        self.on_change = on_change
        self._lock = threading.Lock()
        self._balancers: dict[str, LabBalancer] = {}
        self._health: dict[Server, str] = {}
        self._history: list[WeightChange] = []

    # ---- building

    def add_balancer(
        self, balancer_id: str, region: str, *, name: str = "", servers: Mapping[str, int] | None = None
    ) -> None:
        """Add a balancer; `servers` are its default group's (server id → weight)."""
        default = {(server_id, 0): weight for server_id, weight in (servers or {}).items()}
        with self._lock:
            self._balancers[balancer_id] = LabBalancer(balancer_id, region, name, groups={DEFAULT_GROUP: default})

    def add_vserver_group(
        self, balancer_id: str, vserver_group_id: str, servers: Mapping[Server, int], *, name: str = ""
    ) -> None:
        """Add a VServer group of a balancer that was added before (KeyError otherwise)."""
        with self._lock:
            balancer = self._balancers[balancer_id]
            balancer.groups[vserver_group_id] = dict(servers)
            balancer.group_names[vserver_group_id] = name or vserver_group_id

    def add_listener(self, balancer_id: str, listener: Listener) -> None:
        with self._lock:
            self._balancers[balancer_id].listeners.append(listener)

    # ---- reading

    def balancers(self, region: str | None = None) -> tuple[LabBalancer, ...]:
        with self._lock:
            return tuple(_copy(b) for b in self._balancers.values() if region is None or b.region == region)

    def balancer(self, balancer_id: str) -> LabBalancer | None:
        with self._lock:
            found = self._balancers.get(balancer_id)
            return _copy(found) if found else None

    def balancer_of_group(self, vserver_group_id: str) -> LabBalancer | None:
        with self._lock:
            for balancer in self._balancers.values():
                if vserver_group_id and vserver_group_id in balancer.groups:
                    return _copy(balancer)
        return None

    def weights(self, balancer_id: str, vserver_group_id: str = DEFAULT_GROUP) -> dict[Server, int]:
        """(server id, port) → weight of one group; empty when there is no such group."""
        with self._lock:
            balancer = self._balancers.get(balancer_id)
            return dict(balancer.groups.get(vserver_group_id, {})) if balancer else {}

    def weight(self, balancer_id: str, vserver_group_id: str, server_id: str, port: int = 0) -> int | None:
        """None: the server is not in the group."""
        return self.weights(balancer_id, vserver_group_id).get((server_id, port))

    def history(self) -> tuple[WeightChange, ...]:
        with self._lock:
            return tuple(self._history)

    # ---- changing

    def set_weights(self, balancer_id: str, vserver_group_id: str, weights: Mapping[Server, int]) -> None:
        """Set the weights of these servers, adding those that are not in the group; the others keep theirs."""
        self._change(balancer_id, vserver_group_id, lambda servers: servers.update(weights))

    def remove_servers(self, balancer_id: str, vserver_group_id: str, servers: Iterable[Server]) -> None:
        def remove(group: dict[Server, int]) -> None:
            for server in servers:
                group.pop(server, None)

        self._change(balancer_id, vserver_group_id, remove)

    def _change(self, balancer_id: str, vserver_group_id: str, edit: Callable[[dict[Server, int]], None]) -> None:
        with self._lock:
            group = self._balancers[balancer_id].groups[vserver_group_id]
            before = dict(group)
            edit(group)
            change = WeightChange(balancer_id, vserver_group_id, before, dict(group), time.time())
            if change.after == before:
                return
            self._history.append(change)
            del self._history[: -self.HISTORY_LIMIT]
        if self.on_change is not None:
            self.on_change(change)

    # ---- health, as the checks see it

    def set_health(self, server_id: str, port: int, status: str) -> None:
        """`normal`, `abnormal` or `unavailable` (not checked yet, which is also where every server starts)."""
        with self._lock:
            self._health[server_id, port] = status

    def health(self, server_id: str, port: int) -> str:
        with self._lock:
            return self._health.get((server_id, port), "unavailable")


def _copy(balancer: LabBalancer) -> LabBalancer:
    return LabBalancer(
        balancer.balancer_id,
        balancer.region,
        balancer.name,
        balancer.address,
        {group_id: dict(servers) for group_id, servers in balancer.groups.items()},
        dict(balancer.group_names),
        list(balancer.listeners),
    )
