"""The lab's faults: what each name means, and how it is brought about. Every one can be taken back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from cockpit.lab.artefacts import STACK_KEY, package_key
from cockpit.lab.layout import BUCKET, TRADE_CORE

if TYPE_CHECKING:
    from cockpit.lab.fleet_host import FleetHost
    from cockpit.lab.lab import Lab

NEXT_VERSION = "2.0.0"
CUT_EVERY_S = 3.0
SLOW_START_S = 12  # as in sample_app/serve.py, which is shipped to the hosts by itself

FAULTS: dict[str, str] = {
    "disk_full": "Nothing more can be downloaded, unpacked or copied on the hosts: No space left on device.",
    "package_missing": f"The package of {TRADE_CORE} {NEXT_VERSION} is gone from OSS.",
    "package_corrupt": f"What hosts download of {TRADE_CORE} {NEXT_VERSION} has a wrong bit in it.",
    "stack_missing": "The tech stack's archive is gone from OSS.",
    "agent_down": "StarAgent does not run on the hosts.",
    "slow_start": f"The service takes {SLOW_START_S} s to listen.",
    "hung_start": "The service starts and never listens.",
    "service_dead": "The services of the hosts are killed now; off: they are started again.",
    "failing_health": "The health check of the services says passed:false.",
    "hung_health": "The health check of the services takes connections and never answers.",
    "dropped_links": f"All SSH connections are cut now and every {CUT_EVERY_S:.0f} s.",
    "jump_down": "The jump host refuses connections.",
    "host_unreachable": "The hosts refuse SSH connections.",
    "host_key_changed": "The hosts show another host key than the one that is known.",
    "jump_key_changed": "The jump host shows another host key than the one that is known.",
    "slb_away": "The balancer's API is away: 503 ServiceUnavailable to whatever it is asked.",
    "slb_busy": "The balancer says that an earlier change is still pending.",
    "slb_throttled": "The balancer says that there are too many calls.",
    "slb_5xx": "The balancer makes the change and answers with an internal error.",
    "slb_5xx_not_done": "The balancer answers with an internal error and changes nothing.",
    "slb_no_answer": "The balancer makes the change and closes the connection without an answer.",
    "slb_lie": "The balancer answers that all is well and changes nothing.",
    "oss_503": "OSS is not available.",
}
PER_HOST = frozenset(
    {
        "disk_full",
        "agent_down",
        "slow_start",
        "hung_start",
        "service_dead",
        "failing_health",
        "hung_health",
        "host_unreachable",
        "host_key_changed",
    }
)
_SLB_COUNTERS = {
    "slb_busy": "busy",
    "slb_throttled": "throttled",
    "slb_5xx": "error_done",
    "slb_5xx_not_done": "error_not_done",
    "slb_no_answer": "no_answer",
    "slb_lie": "lie",
}
_FULL_COMMANDS = Path(__file__).parent / "full_disk"


class UnknownFault(ValueError):
    """A fault or a host that the lab does not have."""


class Switches:
    """Which faults are on; `state` maps each to its hosts (empty: everywhere)."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._on: dict[str, set[str]] = {}
        self._cutting: asyncio.Task[None] | None = None
        self._ends: dict[tuple[str, str | None], asyncio.Task[None]] = {}

    def state(self) -> dict[str, list[str]]:
        every = set(self._lab.hosts)
        return {name: [] if hosts == every else sorted(hosts) for name, hosts in self._on.items()}

    async def set(self, name: str, on: bool, host: str | None = None, *, for_s: float | None = None) -> None:
        """`for_s`: it is switched off again by itself after so many seconds. Raises UnknownFault."""
        await self._switch(name, on, host)
        end = self._ends.pop((name, host), None)
        if end is not None:
            end.cancel()
        if on and for_s is not None:
            self._ends[name, host] = asyncio.create_task(self._end(name, host, for_s), name=f"end of {name}")

    async def _end(self, name: str, host: str | None, after_s: float) -> None:
        await asyncio.sleep(after_s)
        del self._ends[name, host]
        await self._switch(name, False, host)

    async def _switch(self, name: str, on: bool, host: str | None) -> None:
        if name not in FAULTS:
            raise UnknownFault(f"no fault is called {name}; there are {', '.join(FAULTS)}")
        if host is not None and host not in self._lab.hosts:
            raise UnknownFault(f"no host is called {host}; there are {', '.join(self._lab.hosts)}")
        if host is not None and name not in PER_HOST:
            raise UnknownFault(f"{name} is not a fault of one host")
        names = list(self._lab.hosts) if host is None else [host]
        if name in PER_HOST:
            await self._set_hosts(name, on, [self._lab.hosts[each] for each in names])
        self._note(name, on, names)
        if name not in PER_HOST:
            await self._set_shared(name, on)

    def _note(self, name: str, on: bool, names: Sequence[str]) -> None:
        hosts = self._on.get(name, set())
        hosts = hosts | set(names) if on else hosts - set(names)
        if hosts:
            self._on[name] = hosts
        else:
            self._on.pop(name, None)

    async def close(self) -> None:
        for end in self._ends.values():
            end.cancel()
        await asyncio.gather(*self._ends.values(), return_exceptions=True)
        await self._stop_cutting()

    async def _stop_cutting(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            await asyncio.gather(self._cutting, return_exceptions=True)
            self._cutting = None

    # ---- of hosts

    async def _set_hosts(self, name: str, on: bool, hosts: Sequence[FleetHost]) -> None:
        acts: dict[str, Callable[[FleetHost, bool], Awaitable[None]]] = {
            "disk_full": _disk_full,
            "agent_down": _agent_down,
            "service_dead": self._service_dead,
            "host_unreachable": _unreachable,
            "host_key_changed": _key_changed,
        }
        for host in hosts:
            if name in acts:
                await acts[name](host, on)
            elif on:
                host.faults.mkdir(parents=True, exist_ok=True)
                (host.faults / name).touch()
            else:
                (host.faults / name).unlink(missing_ok=True)

    async def _service_dead(self, host: FleetHost, on: bool) -> None:
        if on:
            host.kill_service()
        else:
            await self._lab.start_service(host)

    # ---- of what all hosts share

    async def _set_shared(self, name: str, on: bool) -> None:
        if name == "slb_away":
            self._lab.slb.faults.unavailable = self._lab.slb.read_faults.unavailable = -1 if on else 0
        elif name in _SLB_COUNTERS:
            setattr(self._lab.slb.faults, _SLB_COUNTERS[name], -1 if on else 0)
        elif name in ("package_missing", "stack_missing"):
            key = STACK_KEY if name == "stack_missing" else package_key(TRADE_CORE, NEXT_VERSION)
            if on:
                self._lab.oss.objects.delete(BUCKET, key)
            else:
                self._lab.put_artefacts(only=key)
        elif name in ("package_corrupt", "oss_503"):
            self._set_oss()
        elif name == "jump_down":
            await (self._lab.jump.close() if on else self._lab.jump.open(self._lab.layout.ports.jump))
        elif name == "jump_key_changed":
            await self._lab.jump.close()
            other = asyncssh.generate_private_key("ssh-ed25519") if on else None
            await self._lab.jump.open(self._lab.layout.ports.jump, host_key=other)
        elif name == "dropped_links":
            await self._stop_cutting()
            if on:
                self._cut()
                self._cutting = asyncio.create_task(self._keep_cutting())

    def _set_oss(self) -> None:
        faults, down = self._lab.oss.faults, "oss_503" in self._on
        corrupt = "package_corrupt" in self._on
        faults.unavailable = -1 if down else 0
        faults.flipped = -1 if corrupt and not down else 0
        faults.key = package_key(TRADE_CORE, NEXT_VERSION) if corrupt and not down else ""

    async def _keep_cutting(self) -> None:
        while True:
            await asyncio.sleep(CUT_EVERY_S)
            self._cut()

    def _cut(self) -> None:
        self._lab.jump.cut()
        for host in self._lab.hosts.values():
            host.server.cut()


async def _disk_full(host: FleetHost, on: bool) -> None:
    for command in _FULL_COMMANDS.iterdir():
        target = host.bin / command.name
        if on:
            # Under its name only when it is complete: somebody may be looking for the command right now.
            shutil.copyfile(command, target.with_suffix(".new"))
            target.with_suffix(".new").chmod(0o755)
            target.with_suffix(".new").replace(target)
        else:
            target.unlink(missing_ok=True)


async def _agent_down(host: FleetHost, on: bool) -> None:
    await host.agent("stop" if on else "start")


async def _unreachable(host: FleetHost, on: bool) -> None:
    await host.server.close()
    if not on:
        await host.server.open(host.plan.ssh_port)


async def _key_changed(host: FleetHost, on: bool) -> None:
    await host.server.close()
    other = asyncssh.generate_private_key("ssh-ed25519") if on else None
    await host.server.open(host.plan.ssh_port, host_key=other)
