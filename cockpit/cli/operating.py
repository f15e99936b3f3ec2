"""Commands that create or preview an order on chosen hosts of apps, whatever its kind: what restart, online and offline share."""

from __future__ import annotations

import random
from typing import Annotated

import typer

from cockpit.cli.command import command, group
from cockpit.cli.order_file import OrderFile, with_file
from cockpit.cli.release import (
    Beta,
    BetaHosts,
    Excluded,
    Groups,
    HandGroups,
    MaxFailures,
    Override,
    Parallelism,
    StrategyOption,
    Title,
    by_hand,
    create_order,
    preview_order,
)
from cockpit.cli.session import Session
from cockpit.cli.wrong_use import WrongUse
from engine.domain.message import message
from engine.domain.orders import OrderSpec
from engine.domain.problem import Problem
from engine.domain.states import Strategy
from engine.kinds import chosen_hosts

Apps = Annotated[list[str] | None, typer.Option("--app", metavar="NAME", help="An app; repeat for several.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", metavar="HOST", help="Only this host; repeat for several.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has been checked.")]


def commands_of(kind: str, help: str, create_help: str, preview_help: str) -> typer.Typer:
    """`cockpit <kind> create` and `cockpit <kind> preview`."""
    app = group(kind, help)

    def create(
        session: Session,
        file: OrderFile = None,
        app: Apps = None,
        host: Hosts = None,
        strategy: StrategyOption = Strategy.QUICK,
        groups: Groups = None,
        beta: Beta = False,
        beta_host: BetaHosts = None,
        group: HandGroups = None,
        exclude: Excluded = None,
        parallelism: Parallelism = 50,
        max_failures: MaxFailures = 0,
        override_reason: Override = "",
        reason: Reason = "",
        title: Title = "",
        wait: Wait = False,
    ) -> int:
        if file is not None:
            given = {
                "app": app, "host": host, "strategy": strategy is not Strategy.QUICK, "groups": groups, "beta": beta,
                "beta_host": beta_host, "group": group, "exclude": exclude, "parallelism": parallelism != 50,
                "max_failures": max_failures, "override_reason": override_reason, "reason": reason, "title": title,
            }  # fmt: skip
            beside = [name for name, value in given.items() if value]
            return with_file(session, file, (kind,), beside, lambda spec: create_order(session, spec, wait=wait))
        apps = _apps_of(session, app or [], host or [])
        spec = chosen_hosts.spec_of(
            kind, apps, hosts=host or (), strategy=strategy, groups=groups, beta=beta or bool(beta_host),
            beta_hosts=tuple(beta_host or ()), by_hand=by_hand(group, groups, several=len(apps) > 1),
            excluded=tuple(exclude or ()), parallelism=parallelism, max_failures=max_failures,
            override_reason=override_reason, reason=reason, title=title, seed=_seed(),
        )  # fmt: skip
        return create_order(session, spec, wait=wait)

    def preview(
        session: Session,
        app: Apps = None,
        host: Hosts = None,
        strategy: StrategyOption = Strategy.QUICK,
        groups: Groups = None,
        beta: Beta = False,
        beta_host: BetaHosts = None,
        group: HandGroups = None,
        exclude: Excluded = None,
        override_reason: Override = "",
    ) -> int:
        apps = _apps_of(session, app or [], host or [])
        spec: OrderSpec = chosen_hosts.spec_of(
            kind, apps, hosts=host or (), strategy=strategy, groups=groups, beta=beta or bool(beta_host),
            beta_hosts=tuple(beta_host or ()), by_hand=by_hand(group, groups, several=len(apps) > 1),
            excluded=tuple(exclude or ()), override_reason=override_reason, seed=_seed(),
        )  # fmt: skip
        return preview_order(session, spec)

    create.__doc__, preview.__doc__ = create_help, preview_help
    command(app, "create", example=f"cockpit {kind} create --app trade-core --groups 4 --wait")(create)
    command(app, "preview", example=f"cockpit {kind} preview --host hz-a-01")(preview)
    return app


def _seed() -> int:
    return random.SystemRandom().getrandbits(31)


def _apps_of(session: Session, apps: list[str], hosts: list[str]) -> list[str]:
    """The apps that were named, else those of the hosts. Raises WrongUse."""
    if apps:
        return apps
    if not hosts:
        raise WrongUse(
            Problem(
                "wrong_use",
                message("Neither an app nor a host was named."),
                message("Name an app (--app) for all of its hosts, or hosts (--host)."),
            )
        )
    with session.api() as api:
        place = session.place(api)
        here = {host.name: host.apps for host in api.hosts(*place)}
    strange = [host for host in hosts if not here.get(host)]
    if strange:
        raise WrongUse(
            Problem(
                "no_such_host",
                message("No app of this workspace runs on {hosts}.", hosts=", ".join(strange)),
                message("`cockpit host list` shows the hosts and their apps."),
            )
        )
    return sorted({app for host in hosts for app in here[host]})
