"""The apps of an order while a person edits them: which version each gets, and which waits for which.

Pure: each edit gives other apps. A dependency that would close a circle is told, with the circle, before it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from engine.domain.orders import AppAsked


def circle(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The first way from an app back to itself, along what each needs; empty when there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))
    return ()


@dataclass(frozen=True, slots=True)
class AskedApps:
    """In the order in which they are listed."""

    apps: tuple[AppAsked, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(app.app for app in self.apps)

    def of(self, name: str) -> AppAsked:
        return next(app for app in self.apps if app.app == name)

    def with_app(self, name: str, version: str) -> AskedApps:
        """One that is there already gets this version."""
        if name in self.names:
            return AskedApps(tuple(replace(app, version=version) if app.app == name else app for app in self.apps))
        return AskedApps((*self.apps, AppAsked(name, version)))

    def without(self, name: str) -> AskedApps:
        """Nobody waits for it any more. The last one stays."""
        rest = tuple(
            replace(app, needs=tuple(need for need in app.needs if need != name))
            for app in self.apps
            if app.app != name
        )
        return AskedApps(rest) if rest else self

    def circle_with(self, name: str, need: str) -> tuple[str, ...]:
        """The circle there would be if `name` needed `need` too; empty when there would be none."""
        return circle({app.app: (*app.needs, *((need,) if app.app == name else ())) for app in self.apps})

    def with_need(self, name: str, need: str) -> AskedApps:
        """`name` waits for `need`, or no more if it did. Raises ValueError for one that would close a circle."""
        if need not in self.of(name).needs and self.circle_with(name, need):
            raise ValueError(f"{name} can't need {need}")
        return AskedApps(tuple(_toggled(app, need) if app.app == name else app for app in self.apps))


def _toggled(app: AppAsked, need: str) -> AppAsked:
    if need in app.needs:
        return replace(app, needs=tuple(each for each in app.needs if each != need))
    return replace(app, needs=(*app.needs, need))
