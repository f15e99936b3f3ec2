"""`cockpit release create` and `cockpit release preview`: a release as the operator asks for it."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from cockpit.cli.command import command, group
from cockpit.cli.exit_codes import DONE, FAILED, of_problems
from cockpit.cli.order_file import OrderFile, with_file
from cockpit.cli.output import note, print_json, print_problem, print_table, said_of, say
from cockpit.cli.session import Session
from cockpit.cli.wrong_use import HELP_OF_THE_COMMAND, WrongUse
from engine.domain.message import Message, message
from engine.domain.orders import AppAsked, OrderSpec
from engine.domain.problem import Problem
from engine.domain.states import OrderState, Strategy, TrafficMode
from engine.kinds import release, rollback
from engine.kinds.release import release_spec
from screens import words
from screens.translate import N_, _, tr

app = group("release", "Create or preview a release.")

Apps = Annotated[
    list[str] | None,
    typer.Option("--app", metavar="NAME[=VERSION]", help="An app; with its version, repeat for several in one order."),
]
Version = Annotated[
    str, typer.Option("--version", metavar="V", help="The version of the apps that are named without one.")
]
Needs = Annotated[
    list[str] | None,
    typer.Option(
        "--needs", metavar="APP:APP", help="The first app begins when the second is done; repeat for several."
    ),
]
StrategyOption = Annotated[Strategy, typer.Option("--strategy", help="How the hosts are put into groups.")]
Groups = Annotated[
    int | None,
    typer.Option("--groups", min=1, help="How many groups (strategy quick); default: 2, or fewer with fewer hosts."),
]
Beta = Annotated[
    bool, typer.Option("--beta", help="One host of each data centre goes first and waits for a confirmation.")
]
BetaHosts = Annotated[
    list[str] | None, typer.Option("--beta-host", metavar="HOST", help="A Beta host; repeat for several.")
]
HandGroups = Annotated[
    list[str] | None,
    typer.Option(
        "--group", metavar="HOST,HOST…", help="A group, host by host, instead of a strategy; repeat in their order."
    ),
]
Excluded = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="HOST", help="A host that is left alone and keeps what it runs; repeat."),
]
Traffic = Annotated[TrafficMode, typer.Option("--traffic", help="What weights the hosts get after their health check.")]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="HOST=N", help="A weight of 1–100 (traffic preset); repeat for several."),
]
Parallelism = Annotated[int, typer.Option("--parallelism", min=1, help="At most this many hosts at the same time.")]
MaxFailures = Annotated[
    int, typer.Option("--max-failures", min=0, help="Failed hosts a group may have before it halts.")
]
Override = Annotated[str, typer.Option("--override-reason", help="Why the capacity floor may be broken this time.")]
Title = Annotated[str, typer.Option("--title", help="A title for people.")]


def spec_of(
    app: Apps = None,
    version: Version = "",
    needs: Needs = None,
    strategy: StrategyOption = Strategy.QUICK,
    groups: Groups = None,
    beta: Beta = False,
    beta_host: BetaHosts = None,
    group: HandGroups = None,
    exclude: Excluded = None,
    traffic: Traffic = TrafficMode.SNAPSHOT,
    weight: Weights = None,
    parallelism: Parallelism = 50,
    max_failures: MaxFailures = 0,
    override_reason: Override = "",
    title: Title = "",
) -> OrderSpec:
    """The options of a release. Raises WrongUse."""
    if weight and traffic is not TrafficMode.PRESET:
        raise _wrong(message("Weights can be given only with --traffic preset."))
    if not app:
        raise _wrong(message("Neither an app nor a file was named: --app NAME=VERSION, or --file order.yaml."))
    first, *others = apps_of(app, version, needs or [])
    return release_spec(
        first.app,
        first.version,
        needs=first.needs,
        also=tuple(others),
        title=title,
        strategy=strategy,
        groups=groups,
        beta=beta or bool(beta_host),
        beta_hosts=tuple(beta_host or ()),
        by_hand=by_hand(group, groups, several=bool(others)),
        excluded=tuple(exclude or ()),
        traffic=traffic,
        preset_weights=weights_of(weight or []),
        parallelism=parallelism,
        max_failures=max_failures,
        override_reason=override_reason,
        seed=random.SystemRandom().getrandbits(31),
    )


def apps_of(given: list[str], version: str, needs: list[str]) -> list[AppAsked]:
    """`["a=2.1", "b"]`, `"3.0"` and `["b:a"]` → a 2.1, and b 3.0 that needs a. Raises WrongUse."""
    wanted: dict[str, str] = {}
    for each in given:
        name, found, own = each.partition("=")
        if not name or (found and not own):
            raise _wrong(
                message("{given} is neither an app nor an app with its version, such as shop=2.1.", given=each)
            )
        if name in wanted:
            raise _wrong(message("{app} is named more than once.", app=name))
        wanted[name] = own or version
    if without := [name for name, own in wanted.items() if not own]:
        raise _wrong(message("No version for {apps}: give --version, or --app NAME=VERSION.", apps=", ".join(without)))
    if version and all("=" in each for each in given):
        raise _wrong(message("--version {version} applies to no app: each has its own.", version=version))
    needed = _needed(needs, wanted)
    return [AppAsked(name, own, tuple(needed.get(name, ()))) for name, own in wanted.items()]


def _needed(needs: list[str], wanted: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in needs:
        name, _colon, need = each.partition(":")
        if not (name and need):
            raise _wrong(message("{given} is not a pair of apps, such as shop:ledger.", given=each))
        if name not in wanted:
            raise _wrong(message("--needs {given}: {app} is not in the order.", given=each, app=name))
        found.setdefault(name, []).append(need)
    return found


def by_hand(given: list[str] | None, groups: int | None, *, several: bool = False) -> tuple[tuple[str, ...], ...]:
    """`["hz-01,hz-02", "sh-01"]` → (("hz-01", "hz-02"), ("sh-01",)). With `several` apps `groups` may be for those that are not
    named. Raises WrongUse."""
    if given and groups is not None and not several:
        raise _wrong(message("--groups {groups} says nothing beside --group: leave one of them out.", groups=groups))
    return tuple(tuple(filter(None, map(str.strip, each.split(",")))) for each in given or ())


def weights_of(given: list[str]) -> dict[str, int]:
    """`["hz-01=50"]` → {"hz-01": 50}. Raises WrongUse."""
    weights: dict[str, int] = {}
    for each in given:
        host, found, number = each.partition("=")
        if not (found and host and number.isascii() and number.isdigit() and int(number) <= 100):
            raise _wrong(message("{given} is not a host and a weight of 0–100, such as hz-01=50.", given=each))
        if host in weights:
            raise _wrong(message("{host} is given a weight more than once.", host=host))
        weights[host] = int(number)
    return weights


def _with_spec(function: Callable[..., int]) -> Callable[..., int]:
    """`function(session, spec, …)` as one that takes the options of a release, or a file, instead of the spec."""
    options = inspect.signature(spec_of).parameters
    rest = list(inspect.signature(function).parameters.values())[2:]

    def with_options(session: Session, file: Path | None, **given: object) -> int:
        asked = {name: given.pop(name) for name in options}
        if file is not None:
            beside = [name for name, value in asked.items() if value != options[name].default]
            return with_file(
                session, file, (release.NAME, rollback.NAME), beside, lambda spec: function(session, spec, **given)
            )
        return function(session, spec_of(**asked), **given)  # type: ignore[arg-type]

    session = inspect.Parameter("session", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Session")
    file = inspect.Parameter("file", inspect.Parameter.KEYWORD_ONLY, annotation=OrderFile, default=None)
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*options.values(), *rest)]
    own = [own[0], file, *own[1:]]
    with_options.__signature__ = inspect.Signature([session, *own])  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in (session, *own)}
    with_options.__doc__ = function.__doc__
    return with_options


@command(app, "create", example="cockpit release create --app trade-core --version 2.0.0 --beta --traffic gray --wait")
@_with_spec
def create(
    session: Session,
    spec: OrderSpec,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has been checked.")] = False,
) -> int:
    """Create a release order and print its number at once; nothing starts before `cockpit order start`.

    With --wait: 0 when it can be started, 1 when the check found problems, 4 when the check did not end in time."""
    return create_order(session, spec, wait=wait)


@command(app, "preview", example="cockpit release preview --app trade-core --version 2.0.0 --groups 3")
@_with_spec
def preview(session: Session, spec: OrderSpec) -> int:
    """Show what the release would be and create nothing. Exits with 1 when it would be refused."""
    return preview_order(session, spec)


def create_order(session: Session, spec: OrderSpec, *, wait: bool) -> int:
    """An order of any kind."""
    from cockpit.cli.waiting import checked_by_an_engine, wait_checked
    from engine.api_errors import OrderRefused

    with session.api() as api:
        place = session.place(api)
        try:
            session.say_standing(api, place)
            order_id = api.create_order(*place, spec)
        except OrderRefused as error:
            return _refused(session, error.problem, error.problems)
        if not session.json:
            say(str(order_id))
        wait_for = wait_checked if wait else checked_by_an_engine
        view = wait_for(api, place, order_id, session.ensure_engine)
    if session.json:
        print_json(
            {"order": order_id, "state": view.state, "problems": [{"host": h, "problem": p} for h, p in view.problems]}
        )
    else:
        for host, problem in view.problems:
            note(said_of(host, problem))
    return FAILED if view.state is OrderState.INIT_FAILED else DONE


def preview_order(session: Session, spec: OrderSpec) -> int:
    with session.api() as api:
        view = api.preview(*session.place(api), spec)
    if session.json:
        print_json(view)
        return of_problems(*view.problems) if view.problems else DONE
    for app in view.apps:
        asked = f"{app.from_version or '-'} → {app.to_version or '-'}"
        say(f"{app.app}  {words.versions_asked(view.kind, asked) or words.kind_word(view.kind)}")
    capacity = {point.node: point.in_service for point in view.capacity}
    rows = [(node.key, " ".join(node.hosts), capacity.get(node.key)) for node in view.nodes]
    print_table((N_("node"), N_("hosts"), N_("in service")), rows)
    say(
        _("in service now {now}, lowest {lowest}, floor {floor}").format(
            now=view.in_service, lowest=view.lowest_in_service, floor=view.floor
        )
    )
    for line in view.notes:
        say(tr(line))
    for problem in view.problems:
        print_problem(problem, as_json=False)
    return of_problems(*view.problems) if view.problems else DONE


def _refused(session: Session, whole: Problem, problems: tuple[Problem, ...]) -> int:
    if session.json:
        print_json({"error": whole, "problems": problems})
    else:
        for problem in problems or (whole,):
            print_problem(problem, as_json=False)
    return of_problems(*problems)


def _wrong(what: Message) -> WrongUse:
    return WrongUse(Problem("wrong_use", what, HELP_OF_THE_COMMAND))
