"""What the options of an act name: hosts, gates, weights, versions of an order. A name that the order lacks is wrong use, and said
before anything is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cockpit.cli.release import weights_of
from cockpit.cli.wrong_use import WrongUse
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import NodeKind, NodeState

if TYPE_CHECKING:
    from engine.views.acts import Consequence
    from engine.views.orders import HostRunView, NodeView, OrderView


def gate_of(view: OrderView, key: str = "") -> NodeView:
    """The gate of that key; without one the only gate that waits. Raises WrongUse."""
    if key:
        return _gate_named(view, key)
    gates = [
        node
        for node in view.nodes
        if node.direction is view.direction and node.kind is NodeKind.GATE and node.state is NodeState.WAITING
    ]
    if len(gates) == 1:
        return gates[0]
    if gates:
        listed = ", ".join(gate.key for gate in gates)
        problem = message("More than one gate of order #{id} is waiting: {listed}.", id=view.id, listed=listed)
        raise WrongUse(Problem("which_gate", problem, message("Name one with --node.")))
    problem = message(
        "No gate of order #{id} is waiting for confirmation; it is {state}.", id=view.id, state=str(view.state)
    )
    raise WrongUse(Problem("no_gate_waits", problem, view.next))


def weights_for(view: OrderView, given: list[str], hosts: list[str]) -> dict[str, int]:
    """Raises WrongUse. A bare number goes to the named hosts, else to all of the gate that waits."""
    hosts_of(view, hosts)
    wanted: dict[str, int] = {}
    for each in given:
        if "=" in each:
            wanted |= weights_of([each])
        else:
            wanted |= weights_of([f"{host}={each}" for host in (hosts or gate_of(view).hosts)])
    hosts_of(view, list(wanted))
    return wanted


def check_choice(order: int, meaning: Consequence) -> None:
    """Raises WrongUse when a version must be chosen and was not, or can't be gone back to: with the option that chooses one."""
    versions = [version for version in meaning.choices if version]
    if meaning.refusal is None or not versions:
        return
    remedy = message(
        "Choose a version that succeeded here ({versions}): cockpit order rollback {id} --version {version}",
        versions=", ".join(versions),
        id=order,
        version=versions[0],
    )
    raise WrongUse(replace(meaning.refusal, remedy=remedy))


def hosts_of(view: OrderView, names: Sequence[str]) -> list[HostRunView]:
    """Those of the names, all for none. Raises WrongUse."""
    known = {run.name: run for run in view.hosts}
    for name in names:
        if name not in known:
            raise WrongUse(
                Problem(
                    "no_such_host",
                    message("Order #{id} has no host {host}.", id=view.id, host=name),
                    message("Its hosts are: {hosts}.", hosts=", ".join(known)),
                )
            )
    return [known[name] for name in names] if names else list(view.hosts)


def group_of(view: OrderView, key: str) -> NodeView:
    """The group of that key, on the order's present way. Raises WrongUse."""
    groups = {node.key: node for node in view.nodes if node.direction is view.direction and node.kind.runs_hosts}
    if key in groups:
        return groups[key]
    what = message("Order #{id} has no group {key}.", id=view.id, key=key)
    remedy = message("Its groups are: {groups}.", groups=", ".join(groups) or "-")
    raise WrongUse(Problem("no_such_group", what, remedy))


def _gate_named(view: OrderView, key: str) -> NodeView:
    gates = {node.key: node for node in view.nodes if node.direction is view.direction and node.kind is NodeKind.GATE}
    if key in gates:
        return gates[key]
    what = message("Order #{id} has no gate {key}.", id=view.id, key=key)
    listed = ", ".join(gates)
    remedy = message("Its gates are: {gates}.", gates=listed) if gates else message("It has no gates.")
    raise WrongUse(Problem("no_such_gate", what, remedy))
