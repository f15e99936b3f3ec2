"""The plan of a release or a rollback order: initialise, Beta, gates, groups, finish."""

from __future__ import annotations

import hashlib
import json

from engine.domain.fleet import Fleet, MountWeight
from engine.domain.orders import HostPlan, Plan, PlanNode, ReleaseSpec
from engine.domain.states import RELEASE_STEPS, Direction, NodeKind, TrafficMode
from engine.plan.capacity import capacity
from engine.plan.grouping import pick_beta, split_into_groups


def plan_release(spec: ReleaseSpec, fleet: Fleet, package_facts: str = "") -> Plan:
    """What the release does to the fleet. Pure: the same arguments give the same plan and the same hash.

    `package_facts` (size and checksum as OSS tells them) enter the hash, so that a package changed after the check is noticed.
    """
    beta = beta_hosts(spec, fleet)
    rest = [host for host in fleet.hosts if host.name not in beta]
    groups = split_into_groups(rest, spec.strategy, spec.groups)
    nodes = _nodes(spec, beta, groups)
    stages = ([beta] if beta else []) + list(groups)
    hosts = {host.name: _host_plan(spec, fleet, host.name, host.version) for host in fleet.hosts}
    room = capacity(
        fleet.weights,
        stages,
        floor=spec.floor,
        floor_percent=fleet.default_floor_percent,
        after=[line for host in hosts.values() for line in host.restore_to],
        down=fleet.down,
    )
    return Plan(
        direction=Direction.FORWARD,
        nodes=nodes,
        hosts=hosts,
        fleet_hash=fleet_hash(fleet, package_facts),
        floor=room.floor,
        in_service=room.in_service,
        lowest_in_service=room.lowest,
        floors=room.floors,
    )


def beta_hosts(spec: ReleaseSpec, fleet: Fleet) -> tuple[str, ...]:
    if not spec.beta:
        return ()
    return spec.beta_hosts or pick_beta(fleet.hosts, spec.seed, ill={mount.host for mount in fleet.down})


def fleet_hash(fleet: Fleet, package_facts: str) -> str:
    """A hash of everything the plan was made from: hosts and what they run, weights, package."""
    facts = {
        "hosts": sorted([h.name, h.address, h.ssh_port, h.server_id, h.version] for h in fleet.hosts),
        "weights": sorted([w.mount.host, str(w.mount.server_group), w.mount.port, w.weight] for w in fleet.weights),
        "package": package_facts,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _nodes(spec: ReleaseSpec, beta: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> tuple[PlanNode, ...]:
    gray = spec.traffic is TrafficMode.GRAY
    nodes = [PlanNode("initialise", NodeKind.INITIALISE, ())]

    def add(key: str, kind: NodeKind, hosts: tuple[str, ...] = (), number: int = 0, sliders: bool = False) -> None:
        nodes.append(PlanNode(key, kind, (nodes[-1].key,), hosts, number, sliders))

    if beta:
        add("beta", NodeKind.BETA, beta)
        add("beta-confirm", NodeKind.GATE, beta, sliders=gray)
    for number, hosts in enumerate(groups, 1):
        add(f"group-{number}", NodeKind.GROUP, hosts, number)
        if gray:
            add(f"group-{number}-confirm", NodeKind.GATE, hosts, number, sliders=True)
    add("finish", NodeKind.FINISH)
    return tuple(nodes)


def _host_plan(spec: ReleaseSpec, fleet: Fleet, host: str, version: str) -> HostPlan:
    recorded = tuple(line for line in fleet.weights if line.mount.host == host)
    return HostPlan(
        host=host,
        from_version=version,
        to_version=spec.version,
        steps=RELEASE_STEPS,
        recorded=recorded,
        restore_to=_restore_to(spec, host, recorded),
    )


def _restore_to(spec: ReleaseSpec, host: str, recorded: tuple[MountWeight, ...]) -> tuple[MountWeight, ...]:
    if spec.traffic is TrafficMode.GRAY:
        return ()
    if spec.traffic is TrafficMode.PRESET:
        return tuple(MountWeight(line.mount, spec.preset_weights.get(host, line.weight)) for line in recorded)
    return recorded
