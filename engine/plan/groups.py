"""The flowchart that most kinds share: the check, per app Beta with its gate and the groups, and the finish.

An app is a chain of its own; chains run side by side unless one needs another. What is done on a host comes from the kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.domain.fleet import Facts, Host
from engine.domain.message import Message, message
from engine.domain.orders import Gate, HostPlan, OrderSpec, Plan, PlanNode
from engine.domain.states import Direction, NodeKind
from engine.plan.capacity import capacity
from engine.plan.grouping import groups_of, is_by_hand, pick_beta


@dataclass(frozen=True, slots=True)
class Chain:
    """One app: its hosts in the order of the list, what is done on each, and the apps that must be done before. `by_hand`: each
    group waits for a person who gives the weights."""

    app: str
    hosts: tuple[Host, ...]
    plans: Mapping[str, HostPlan]
    needs: tuple[str, ...] = ()
    by_hand: bool = False


def grouped_plan(chains: Sequence[Chain], spec: OrderSpec, facts: Facts) -> Plan:
    """Pure: the same arguments give the same plan and the same hash. Needs that can't be met (of an app without a chain, of apps
    that wait for each other) stay in the plan: `engine.plan.faults` names them."""
    nodes = [PlanNode("initialise", NodeKind.INITIALISE, (), message("initialise"))]
    ends: dict[str, tuple[str, ...]] = {}
    ill = {mount.host for mount in facts.down}
    for chain in _needed_first(chains):
        needs = tuple(dict.fromkeys(end for app in chain.needs for end in ends.get(app, (app,)))) or ("initialise",)
        its_nodes = _nodes_of(chain, spec, needs, ill, several=len(chains) > 1)
        nodes += its_nodes
        ends[chain.app] = (its_nodes[-1].key,) if its_nodes else needs
    waited_for = {need for node in nodes for need in node.needs}
    last = tuple(node.key for node in nodes if node.key not in waited_for)
    nodes.append(PlanNode("finish", NodeKind.FINISH, last, message("finish")))
    room = capacity(facts.weights, nodes, floor=spec.floor, floor_percent=facts.floor_percent, down=facts.down)
    planned = {run.host for node in nodes for run in node.runs}
    return Plan(
        direction=Direction.FORWARD,
        nodes=tuple(nodes),
        fleet_hash=fleet_hash(facts),
        floor=room.floor,
        in_service=room.in_service,
        lowest_in_service=room.lowest,
        floors=room.floors,
        beside=tuple(line for line in facts.weights if line.mount.host not in planned),
    )


def _needed_first(chains: Sequence[Chain]) -> list[Chain]:
    """As they are listed, but each behind those that it needs."""
    rest, ordered = list(chains), list[Chain]()
    while rest:
        waiting = {chain.app for chain in rest}
        following = next((chain for chain in rest if not waiting.intersection(chain.needs)), rest[0])
        rest.remove(following)
        ordered.append(following)
    return ordered


def beta_of(chain_hosts: Sequence[Host], spec: OrderSpec, ill: Collection[str] = ()) -> tuple[str, ...]:
    """The Beta hosts among these: those chosen, else one of each data centre. Where groups and Beta hosts are both named by hand,
    none is picked beside them."""
    grouping = spec.grouping
    if not grouping.beta or not chain_hosts:
        return ()
    here = {host.name for host in chain_hosts}
    chosen = tuple(host for host in grouping.beta_hosts if host in here)
    if grouping.beta_hosts and is_by_hand(here, grouping):
        return chosen
    return chosen or pick_beta(chain_hosts, spec.seed, ill)


def fleet_hash(facts: Facts) -> str:
    """A hash of everything a plan is made from: hosts and what they run, weights, what is in OSS."""
    hosts: Iterable[Host] = (host for app in facts.apps for host in app.hosts)
    seen = {
        "hosts": sorted([h.name, h.address, h.ssh_port, h.server_id, h.version] for h in hosts),
        "weights": sorted([w.mount.host, str(w.mount.server_group), w.mount.port, w.weight] for w in facts.weights),
        "package": facts.objects,
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


def _nodes_of(
    chain: Chain, spec: OrderSpec, needs: tuple[str, ...], ill: Collection[str], *, several: bool
) -> list[PlanNode]:
    beta = beta_of(chain.hosts, spec, ill)
    rest = [host for host in chain.hosts if host.name not in beta]
    groups = groups_of(rest, spec.grouping) if rest else ()
    nodes: list[PlanNode] = []

    def add(key: str, kind: NodeKind, label: Message, hosts: tuple[str, ...]) -> None:
        key = f"{chain.app}-{key}" if several else key
        label = message("{app}: {node}", app=chain.app, node=label) if several else label
        before = (nodes[-1].key,) if nodes else needs
        runs = tuple(chain.plans[host] for host in hosts) if kind.runs_hosts else ()
        gate = Gate(hosts, chain.by_hand) if kind is NodeKind.GATE else None
        nodes.append(PlanNode(key, kind, before, label, runs, gate))

    if beta:
        add("beta", NodeKind.BETA, message("Beta group"), beta)
        add("beta-confirm", NodeKind.GATE, message("Beta confirm"), beta)
    for number, hosts in enumerate(groups, 1):
        add(f"group-{number}", NodeKind.GROUP, message("group {number}", number=number), hosts)
        if chain.by_hand:
            label = message("confirm group {number}", number=number)
            add(f"group-{number}-confirm", NodeKind.GATE, label, hosts)
    return nodes
