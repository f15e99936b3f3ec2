"""Groups while a person edits them: every host of every app in exactly one place, and no group empty, whatever the edits.

Pure: each edit gives new groups. Whether the order can be with them is not asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.orders import Grouping

Hosts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppGroups:
    """One app's hosts: Beta, the groups in their order, and those that are left alone."""

    app: str
    beta: Hosts = ()
    groups: tuple[Hosts, ...] = ()
    excluded: Hosts = ()

    @property
    def hosts(self) -> Hosts:
        return (*self.beta, *(host for group in self.groups for host in group), *self.excluded)

    def without(self, hosts: Collection[str]) -> AppGroups:
        """Groups that lose their last host go."""
        groups = (tuple(host for host in group if host not in hosts) for group in self.groups)
        return replace(
            self,
            beta=tuple(host for host in self.beta if host not in hosts),
            groups=tuple(filter(None, groups)),
            excluded=tuple(host for host in self.excluded if host not in hosts),
        )


@dataclass(frozen=True, slots=True)
class HandGroups:
    """Of every app of an order. Groups count from 0."""

    apps: tuple[AppGroups, ...]

    @property
    def hosts(self) -> Hosts:
        return tuple(host for app in self.apps for host in app.hosts)

    @property
    def excluded(self) -> Hosts:
        return tuple(host for app in self.apps for host in app.excluded)

    def of(self, name: str) -> AppGroups:
        return next(app for app in self.apps if app.app == name)

    # ---- edits; hosts that are named may be of several apps, each stays with its own

    def to_beta(self, hosts: Collection[str]) -> HandGroups:
        return self._moved(hosts, lambda app, its: replace(app, beta=(*app.beta, *its)))

    def exclude(self, hosts: Collection[str]) -> HandGroups:
        return self._moved(hosts, lambda app, its: replace(app, excluded=(*app.excluded, *its)))

    def to_group(self, hosts: Collection[str], number: int) -> HandGroups:
        """Into this group of their app; into a new last one where it has fewer."""
        return HandGroups(tuple(_to_group(app, hosts, number) for app in self.apps))

    def to_new_group(self, hosts: Collection[str]) -> HandGroups:
        """Behind the last group of their app."""
        return self._moved(hosts, lambda app, its: replace(app, groups=(*app.groups, its)))

    def split(self, name: str, number: int) -> HandGroups:
        """Two halves, the first the larger one; a group of one host stays as it is."""

        def halves(groups: list[Hosts]) -> list[Hosts]:
            group = groups[number]
            cut = (len(group) + 1) // 2
            return [*groups[:number], *filter(None, (group[:cut], group[cut:])), *groups[number + 1 :]]

        return self._regrouped(name, number, halves)

    def merge(self, name: str, number: int) -> HandGroups:
        """With the group behind it; the last one stays as it is."""

        def merged(groups: list[Hosts]) -> list[Hosts]:
            together = tuple(host for group in groups[number : number + 2] for host in group)
            return [*groups[:number], together, *groups[number + 2 :]]

        return self._regrouped(name, number, merged)

    def shift(self, name: str, number: int, by: int) -> HandGroups:
        """The whole group earlier (by -1) or later (by 1)."""

        def shifted(groups: list[Hosts]) -> list[Hosts]:
            at = max(0, min(len(groups) - 1, number + by))
            rest = [*groups[:number], *groups[number + 1 :]]
            return [*rest[:at], groups[number], *rest[at:]]

        return self._regrouped(name, number, shifted)

    def with_new(self, hosts_of: Mapping[str, Sequence[str]]) -> HandGroups:
        """As the apps' hosts are now: those that are gone leave, those that came are a last group of their own."""
        found = []
        for name, hosts in hosts_of.items():
            app = next((app for app in self.apps if app.app == name), AppGroups(name))
            app = app.without(set(app.hosts) - set(hosts))
            came = tuple(host for host in hosts if host not in app.hosts)
            found.append(replace(app, groups=(*app.groups, came)) if came else app)
        return HandGroups(tuple(found))

    def grouping(self, base: Grouping) -> Grouping:
        """As an order asks for it."""
        beta = tuple(host for app in self.apps for host in app.beta)
        return replace(
            base,
            count=None,
            beta=bool(beta),
            beta_hosts=beta,
            by_hand=tuple(group for app in self.apps for group in app.groups),
            excluded=self.excluded,
        )

    def _moved(self, hosts: Collection[str], put: Callable[[AppGroups, Hosts], AppGroups]) -> HandGroups:
        def one(app: AppGroups) -> AppGroups:
            its = tuple(host for host in app.hosts if host in hosts)
            return put(app.without(its), its) if its else app

        return HandGroups(tuple(map(one, self.apps)))

    def _regrouped(self, name: str, number: int, change: Callable[[list[Hosts]], list[Hosts]]) -> HandGroups:
        return HandGroups(
            tuple(
                replace(app, groups=tuple(change(list(app.groups))))
                if app.app == name and 0 <= number < len(app.groups)
                else app
                for app in self.apps
            )
        )


def _to_group(app: AppGroups, hosts: Collection[str], number: int) -> AppGroups:
    """Those that are in it already stay where they stand in it."""
    there = app.groups[number] if 0 <= number < len(app.groups) else ()
    its = tuple(host for host in app.hosts if host in hosts and host not in there)
    if not its:
        return app
    groups = [tuple(host for host in group if host not in its) for group in app.groups]
    if there:
        groups[number] = (*there, *its)
    else:
        groups.append(its)
    kept = replace(app, groups=()).without(its)
    return replace(kept, groups=tuple(filter(None, groups)))
