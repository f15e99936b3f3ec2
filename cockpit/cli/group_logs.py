"""`cockpit order log --group`: the logs of a group's hosts as one, by time; followed by reading on, never re-read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from cockpit.cli.exit_codes import DONE
from cockpit.cli.named import hosts_of
from cockpit.cli.output import nobody_reads, print_json_line, say
from cockpit.cli.waiting import LOOK_EVERY_S, KeepAlive, Place
from cockpit.cli.wrong_use import WrongUse
from engine.domain.message import message
from engine.domain.problem import Problem
from screens.merged_log import TimedTail, merged, shown

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.orders import AttemptView, OrderView


def print_merged(
    api: Api,
    place: Place,
    order_id: int,
    groups: Sequence[str],
    hosts: Sequence[str],
    *,
    keep_alive: KeepAlive | None,
    as_json: bool,
) -> int:
    """With `keep_alive` go on until the order ends or waits. `hosts`: only these of the groups. Raises ApiError, WrongUse."""
    tails: dict[str, TimedTail] = {}
    while True:
        token = api.change_token()
        view = api.order(*place, order_id)
        names = _hosts_of_groups(view, groups)
        wanted = {run.name for run in hosts_of(view, hosts)} if hosts else names
        ends = keep_alive is None or view.state.complete or view.state.halts
        for attempt in _in(groups, api.attempts(*place, order_id)):
            if attempt.host in wanted:
                tails.setdefault(attempt.log_path, TimedTail(attempt))
        width = max((cell_len(tail.host) for tail in tails.values()), default=0)
        for line in merged(list(tails.values()), last=ends):
            if as_json:
                print_json_line({"at": line.at, "host": line.host, "line": line.text})
            else:
                say(shown(line, width))
        if ends or nobody_reads():
            return DONE
        if keep_alive is not None and not view.engine_alive:
            keep_alive()
        api.wait_change(token, timeout_s=LOOK_EVERY_S)


def _hosts_of_groups(view: OrderView, groups: Sequence[str]) -> set[str]:
    """Raises WrongUse."""
    of_node = {node.key: node.hosts for node in view.nodes if node.kind.runs_hosts}
    strange = [group for group in groups if group not in of_node]
    if strange:
        known = ", ".join(of_node) or "-"
        raise WrongUse(
            Problem(
                "no_such_group",
                message("Order #{id} has no group {groups}.", id=view.id, groups=", ".join(strange)),
                message("Its groups: {groups}.", groups=known),
            )
        )
    return {host for group in groups for host in of_node[group]}


def _in(groups: Sequence[str], attempts: Sequence[AttemptView]) -> list[AttemptView]:
    return [each for each in attempts if each.node in groups]
