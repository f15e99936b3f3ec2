"""What forbids groups, Beta hosts and exclusions that were named host by host: one sentence each, whatever the kind. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from engine.domain.message import Message, message
from engine.domain.orders import Grouping
from engine.domain.problem import Problem
from engine.plan.grouping import is_by_hand
from engine.plan.what_if_words import named

HostsOf = Mapping[str, Sequence[str]]


def forbids(grouping: Grouping, hosts_of: HostsOf) -> Iterator[Problem]:
    """`hosts_of` are each app's hosts that the order could take, excluded ones among them."""
    app_of = {host: app for app, hosts in hosts_of.items() for host in hosts}
    yield from _empty(grouping)
    yield from _twice(grouping)
    yield from _unknown(grouping, app_of)
    yield from _of_several_apps(grouping, app_of)
    yield from _missing(grouping, hosts_of)
    yield from _all_excluded(grouping, hosts_of)


def fewest(grouping: Grouping, hosts_of: HostsOf) -> int:
    """Hosts of the smallest app that the strategy groups; of the smallest one if it groups none."""
    left = [[host for host in hosts if host not in grouping.excluded] for hosts in hosts_of.values()]
    left = [hosts for hosts in left if hosts]
    by_strategy = [hosts for hosts in left if not is_by_hand(hosts, grouping)]
    return min(map(len, by_strategy or left), default=0)


def _empty(grouping: Grouping) -> Iterator[Problem]:
    for number, group in enumerate(grouping.by_hand, 1):
        if not group:
            yield Problem(
                "group_empty",
                message("Group {number} has no host.", number=number),
                message("Name its hosts, or leave the group out."),
            )


def _twice(grouping: Grouping) -> Iterator[Problem]:
    first: dict[str, Message] = {}
    said: set[str] = set()
    for host, place in _places(grouping):
        if host in first and host not in said:
            said.add(host)
            yield Problem(
                "host_named_twice",
                message("{host} is named twice: {one} and {other}.", host=host, one=first[host], other=place),
                message("Name it once: in one group, as a Beta host, or as excluded."),
            )
        first.setdefault(host, place)


def _places(grouping: Grouping) -> Iterator[tuple[str, Message]]:
    """Each host as often as it is named, and where."""
    for host in grouping.beta_hosts if grouping.beta else ():
        yield host, message("Beta group")
    for number, group in enumerate(grouping.by_hand, 1):
        for host in group:
            yield host, message("group {number}", number=number)
    for host in grouping.excluded:
        yield host, message("excluded")


def _unknown(grouping: Grouping, app_of: Collection[str]) -> Iterator[Problem]:
    strange = [
        host for host in (*(h for group in grouping.by_hand for h in group), *grouping.excluded) if host not in app_of
    ]
    if strange:
        yield Problem(
            "group_host_unknown",
            message("Not hosts that this order could act on: {hosts}.", hosts=named(list(dict.fromkeys(strange)))),
            message("Leave them out, or add their app to the order; offline hosts are brought online first."),
        )


def _of_several_apps(grouping: Grouping, app_of: Mapping[str, str]) -> Iterator[Problem]:
    for number, group in enumerate(grouping.by_hand, 1):
        apps = list(dict.fromkeys(app_of[host] for host in group if host in app_of))
        if len(apps) > 1:
            yield Problem(
                "group_of_several_apps",
                message("Group {number} has hosts of several apps: {apps}.", number=number, apps=named(apps)),
                message("Give each app groups of its own."),
            )


def _missing(grouping: Grouping, hosts_of: HostsOf) -> Iterator[Problem]:
    """Where groups are named by hand, every host of the app has a place."""
    placed = {host for host, _place in _places(grouping)}
    missing = [
        host for hosts in hosts_of.values() if is_by_hand(hosts, grouping) for host in hosts if host not in placed
    ]
    if missing:
        yield Problem(
            "host_in_no_group",
            message("In no group: {hosts}.", hosts=named(missing)),
            message("Put each of them into a group, or exclude it."),
        )


def _all_excluded(grouping: Grouping, hosts_of: HostsOf) -> Iterator[Problem]:
    for app, hosts in hosts_of.items():
        if hosts and all(host in grouping.excluded for host in hosts):
            yield Problem(
                "all_hosts_excluded",
                message("All hosts of {app} are excluded.", app=app),
                message("Take at least one of them back, or leave {app} out of the order.", app=app),
            )
