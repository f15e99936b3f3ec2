"""Hosts of an order by what has become of them: the filter of its list of hosts. It never hides silently what failed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from engine.domain.states import RunState
from engine.views.orders import HostRunView
from screens.translate import N_, _, ngettext


class HostFilter(StrEnum):
    ALL = "all"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"

    def takes(self, host: HostRunView) -> bool:
        return self is HostFilter.ALL or kind_of(host) is self


_WORDS = {
    HostFilter.FAILED: N_("only failed"),
    HostFilter.RUNNING: N_("only running"),
    HostFilter.WAITING: N_("only waiting"),
    HostFilter.DONE: N_("only done"),
}


def kind_of(host: HostRunView) -> HostFilter:
    """A host that waits for its turn, for a balancer or for a person to give it traffic waits; so each is of one kind."""
    if host.state is RunState.FAILED:
        return HostFilter.FAILED
    if host.state is RunState.PENDING or host.waits_for is not None or host.no_traffic:
        return HostFilter.WAITING
    return HostFilter.RUNNING if host.state is RunState.RUNNING else HostFilter.DONE


def next_filter(chosen: HostFilter, hosts: Sequence[HostRunView]) -> HostFilter:
    """The next kind of which there is a host, and round again; all of them between the last and the first."""
    every = list(HostFilter)
    behind = every[every.index(chosen) + 1 :]
    return next((each for each in behind if any(map(each.takes, hosts))), HostFilter.ALL)


def heading(chosen: HostFilter, hosts: Sequence[HostRunView]) -> str:
    """`only running: 2 of 8 · 1 failed not shown · f: another`; nothing while every host is shown."""
    if chosen is HostFilter.ALL:
        return ""
    shown = sum(chosen.takes(host) for host in hosts)
    counted = _("{what}: {shown} of {all}").format(what=_(_WORDS[chosen]), shown=shown, all=len(hosts))
    failed = sum(kind_of(host) is HostFilter.FAILED for host in hosts)
    hidden = ngettext("{count} failed is not shown", "{count} failed are not shown", failed).format(count=failed)
    parts = [counted, *([hidden] if failed and chosen is not HostFilter.FAILED else []), _("f: another")]
    return " · ".join(parts)
