"""An order as a file: what `cockpit order show --spec` prints is what `cockpit release create --file` reads.

The form is the order as it was asked for, with what is as it is by default left out. It is read as strictly as a catalogue: every
problem at once, each with its line. Whether the order can be is not asked here (`Kind.forbids`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.catalogue.problems import CatalogueProblem
from engine.catalogue.read import sentence_of
from engine.catalogue.source import Source, parse_source, read_source
from engine.domain.message import message
from engine.domain.orders import AppAsked, Grouping, OrderSpec
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Strategy, TrafficMode
from engine.kinds import offline, online, release, restart, rollback
from engine.kinds.asked import pack, unpack
from engine.kinds.chosen_hosts import ChosenHosts

ON_APPS, ON_HOSTS = (release.NAME, rollback.NAME), (restart.NAME, online.NAME, offline.NAME)
Text = Annotated[str, Field(min_length=1)]
AtLeastOne = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """Strict: nothing is converted silently, and an unknown key is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _App(_Part):
    app: Text
    version: str = ""
    needs: list[Text] = []


class _Grouping(_Part):
    strategy: Annotated[Strategy, Field(strict=False)] = Strategy.QUICK
    count: AtLeastOne | None = None
    beta: bool | None = None
    beta_hosts: list[Text] = []
    by_hand: list[list[Text]] = []
    excluded: list[Text] = []


class _Order(_Part):
    title: str = ""
    grouping: _Grouping = _Grouping()
    parallelism: AtLeastOne = 50
    max_failures: NotNegative = 0
    floor: NotNegative | None = None
    override_reason: str = ""
    reason: str = ""
    seed: NotNegative | None = None


class _OnApps(_Order):
    kind: Literal["release", "rollback"] = "release"
    apps: Annotated[list[_App], Field(min_length=1)]
    traffic: Annotated[TrafficMode, Field(strict=False)] = TrafficMode.SNAPSHOT
    preset_weights: dict[str, Annotated[int, Field(ge=1, le=100)]] = {}


class _OnHosts(_Order):
    kind: Literal["restart", "online", "offline"]
    apps: Annotated[list[Text], Field(min_length=1)]
    hosts: list[Text] = []


class OrderFileRefused(ProblemError):
    """`order_file_refused`; `problems` name everything that is wrong with the file, in its order."""

    def __init__(self, source: Source) -> None:
        self.problems = tuple(sorted(source.problems, key=lambda problem: (problem.line, problem.path)))
        super().__init__(
            Problem(
                "order_file_refused",
                message("The file of the order has {count} problem(s); nothing was created.", count=len(self.problems)),
                message("Correct each of these lines, then try again."),
                "\n".join(map(str, self.problems[:20])),
            )
        )


class NoFileForm(ProblemError):
    """`no_file_form`: a kind of order that no file names."""


def read_file(path: Path, *, seed: int) -> OrderSpec:
    """`seed` decides what the file leaves to chance, unless it has its own. Raises OrderFileRefused."""
    return _read(read_source(path), seed)


def read_text(text: str, *, seed: int, file: str = "order.yaml") -> OrderSpec:
    """As `read_file`, of YAML at hand. Raises OrderFileRefused."""
    return _read(parse_source(file, text), seed)


def _read(source: Source, seed: int) -> OrderSpec:
    order = None if source.data is None else _checked(source)
    if order is None or source.problems:
        raise OrderFileRefused(source)
    grouping = order.grouping
    beta = bool(grouping.beta_hosts) if grouping.beta is None else grouping.beta
    return OrderSpec(
        what=pack(order.kind, _data(order)),
        title=order.title,
        grouping=Grouping(
            strategy=grouping.strategy,
            count=grouping.count,
            beta=beta,
            beta_hosts=tuple(grouping.beta_hosts),
            by_hand=tuple(map(tuple, grouping.by_hand)),
            excluded=tuple(grouping.excluded),
        ),
        parallelism=order.parallelism,
        max_failures=order.max_failures,
        floor=order.floor,
        override_reason=order.override_reason,
        reason=order.reason,
        seed=seed if order.seed is None else order.seed,
    )


def _data(order: _OnApps | _OnHosts) -> release.Release | ChosenHosts:
    if isinstance(order, _OnHosts):
        return ChosenHosts(tuple(order.apps), tuple(order.hosts))
    apps = tuple(AppAsked(each.app, each.version, tuple(each.needs)) for each in order.apps)
    return release.Release(apps, order.traffic, order.preset_weights)


def _checked(source: Source) -> _OnApps | _OnHosts | None:
    """The order, or None with what is wrong among the source's problems."""
    kind = source.data.get("kind") if isinstance(source.data, dict) else None
    if kind is not None and kind not in (*ON_APPS, *ON_HOSTS):
        choices = ", ".join((*ON_APPS, *ON_HOSTS))
        source.problems.append(source.problem(("kind",), message("must be one of: {choices}", choices=choices)))
        return None
    try:
        order = (_OnHosts if kind in ON_HOSTS else _OnApps).model_validate(source.data)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            place = tuple(part for part in found["loc"] if part != "[key]")
            if place not in source.refused:
                said = _UNKNOWN_KEY if found["type"] == "extra_forbidden" else None
                source.problems.append(source.problem(place, said or sentence_of(found, source.words.get(place, ""))))
        return None
    source.problems += _contradictions(source, order)
    return order


_UNKNOWN_KEY = message("is not a key of an order; check its spelling")


def _contradictions(source: Source, order: _OnApps | _OnHosts) -> list[CatalogueProblem]:
    found = []
    if order.grouping.beta is False and order.grouping.beta_hosts:
        found.append(
            source.problem(
                ("grouping", "beta_hosts"), message("names Beta hosts, but beta is false: say true, or leave them out")
            )
        )
    if isinstance(order, _OnApps) and order.preset_weights and order.traffic is not TrafficMode.PRESET:
        found.append(source.problem(("preset_weights",), message("has weights, which only traffic: preset uses")))
    return found


# ---------------------------------------------------------------------------------------------------------------- writing


def as_data(spec: OrderSpec) -> dict[str, Any]:
    """The order as the file has it: kind, apps and whatever is not as it is by default. Raises NoFileForm."""
    if spec.kind in ON_APPS:
        asked = unpack(spec.what, release.Release)
        apps = [_without_defaults(asdict(app), asdict(AppAsked(""))) for app in asked.apps]
        data = {"traffic": str(asked.traffic), "preset_weights": dict(asked.preset_weights)}
        own = {"apps": apps, **_without_defaults(data, {"traffic": "snapshot", "preset_weights": {}})}
    elif spec.kind in ON_HOSTS:
        chosen = unpack(spec.what, ChosenHosts)
        own = {"apps": list(chosen.apps), **({"hosts": list(chosen.hosts)} if chosen.hosts else {})}
    else:
        raise NoFileForm(
            Problem(
                "no_file_form",
                message("Orders of kind {kind} have no form as a file.", kind=spec.kind),
                message("`cockpit order show --json` shows what there is."),
            )
        )
    title = {"title": spec.title} if spec.title else {}
    kept = spec.grouping if spec.grouping.beta else replace(spec.grouping, beta_hosts=())
    grouping = _without_defaults(asdict(kept), asdict(Grouping()))
    rest = {name: value for name in _NUMBERS_AND_REASONS if (value := getattr(spec, name)) != getattr(_NOTHING, name)}
    return {"kind": spec.kind, **title, **own, **({"grouping": grouping} if grouping else {}), **rest}


def written(spec: OrderSpec) -> str:
    """As YAML. Raises NoFileForm."""
    return yaml.dump(as_data(spec), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


_NUMBERS_AND_REASONS = ("parallelism", "max_failures", "floor", "override_reason", "reason", "seed")
_NOTHING = OrderSpec(pack(release.NAME, release.Release(())))


def _without_defaults(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [list(part) if isinstance(part, tuple) else part for part in value] if isinstance(value, tuple) else value
        for name, value in data.items()
        if name not in defaults or defaults[name] != value
    }


class _Dumper(yaml.SafeDumper):
    """Text in quotes unless it is a plain name, so that no reader takes a version for a number; hosts of a group on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*([-.][A-Za-z0-9_]+)*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    in_line = all(isinstance(item, str) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=in_line)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Strategy, lambda dumper, strategy: _text(dumper, str(strategy)))
_Dumper.add_representer(list, _list)
