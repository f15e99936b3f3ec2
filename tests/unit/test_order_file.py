"""An order as a file: it is read as it was written, and what is wrong in it is named with its line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.cli.run import run
from cockpit.identity import operating_system_user
from engine.api import Api
from engine.domain.orders import AppAsked, Grouping, OrderSpec
from engine.domain.states import Strategy, TrafficMode
from engine.kinds import offline, release, restart, rollback
from engine.kinds.chosen_hosts import spec_of
from engine.kinds.order_file import OrderFileRefused, read_text, written
from engine.kinds.release import release_spec
from tests.unit.test_groups_by_hand import place

__all__ = ["place"]  # a fixture
Out = pytest.CaptureFixture[str]

ORDER = """\
kind: release
title: "both, ledger first"
apps:
  - app: ledger
    version: "1.0.0"
  - app: trade-core
    version: "2.0.0"
    needs: [ledger]
traffic: preset
preset_weights: {hz-01: 50, hz-02: 50, hz-03: 50, hz-04: 50, hz-05: 50, hz-06: 50}
grouping:
  beta_hosts: [hz-01, hz-05]
  by_hand:
    - [hz-02, hz-03]
    - [hz-04, hz-06]
  excluded: [hz-07, hz-08]
"""

# ----------------------------------------------------------------------------------------------------------- round trip

words = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r"), min_size=1, max_size=12)
hosts = st.lists(words, max_size=4, unique=True).map(tuple)
groupings = st.builds(
    Grouping,
    strategy=st.sampled_from(Strategy),
    count=st.none() | st.integers(1, 99),
    beta=st.booleans(),
    by_hand=st.lists(hosts, max_size=3).map(tuple),
    excluded=hosts,
)
options = st.fixed_dictionaries(
    {
        "title": st.just("") | words,
        "parallelism": st.integers(1, 500),
        "max_failures": st.integers(0, 9),
        "floor": st.none() | st.integers(0, 9),
        "override_reason": st.just("") | words,
        "reason": st.just("") | words,
        "seed": st.integers(1, 2**31),
    }
)
releases = st.builds(
    release_spec,
    words,
    words,
    kind=st.sampled_from((release.NAME, rollback.NAME)),
    needs=hosts,
    also=st.lists(st.builds(AppAsked, words, st.just("") | words, hosts), max_size=3).map(tuple),
    traffic=st.just(TrafficMode.PRESET),
    preset_weights=st.dictionaries(words, st.integers(1, 100), max_size=4),
) | st.builds(release_spec, words, words, traffic=st.sampled_from(TrafficMode))
on_hosts = st.builds(
    lambda kind, apps, chosen: spec_of(kind, apps, hosts=chosen),
    st.sampled_from((restart.NAME, offline.NAME)),
    st.lists(words, min_size=1, max_size=3),
    hosts,
)


@given(releases | on_hosts, groupings, hosts, options)
def test_an_order_is_read_as_it_was_written(
    asked: OrderSpec, grouping: Grouping, beta_hosts: tuple[str, ...], given_options: dict[str, object]
) -> None:
    grouping = replace(grouping, beta_hosts=beta_hosts if grouping.beta else ())
    asked = replace(asked, grouping=grouping, **given_options)  # type: ignore[arg-type]
    assert read_text(written(asked), seed=0) == asked


def test_what_is_left_to_chance_is_decided_by_the_seed_that_is_given() -> None:
    assert read_text("apps: [{app: web, version: v2}]", seed=7).seed == 7
    assert read_text("{apps: [{app: web, version: v2}], seed: 3}", seed=7).seed == 3


def test_naming_beta_hosts_is_asking_for_beta() -> None:
    assert read_text("{apps: [{app: web, version: v2}], grouping: {beta_hosts: [hz-01]}}", seed=0).grouping.beta


# -------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "order.yaml: is empty"),
        ("title: nothing else", "order.yaml:1: apps: is missing"),
        ("apps: []", "order.yaml:1: apps: must not be empty"),
        ("apps:\n  - app: web\n    version: 2.0\n", "order.yaml:3: apps[0].version: must be text"),
        ("apps:\n  - app: web\n    needs: ledger\n", "order.yaml:3: apps[0].needs: must be a list"),
        ("apps: [{app: web}]\npreset_weight: 3", "order.yaml:2: preset_weight: is not a key of an order"),
        ("apps: [{app: web}]\nkind: reboot", "order.yaml:2: kind: must be one of: release, rollback, restart"),
        ("apps: [{app: web}]\ntraffic: grey", "order.yaml:2: traffic: must be one of"),
        ("apps: [{app: web}]\ngrouping:\n  strategy: fast", "order.yaml:3: grouping.strategy: must be one of"),
        ("apps: [{app: web}]\ngrouping:\n  count: 0", "order.yaml:3: grouping.count: must be at least 1"),
        ("apps: [{app: web}]\ngrouping:\n  by_hand: [hz-01]", "order.yaml:3: grouping.by_hand[0]: must be a list"),
        (
            "apps: [{app: web}]\ngrouping:\n  beta: false\n  beta_hosts: [hz-01]",
            "order.yaml:4: grouping.beta_hosts: names Beta hosts, but beta is false",
        ),
        (
            "apps: [{app: web}]\ntraffic: preset\npreset_weights:\n  hz-01: 101",
            "order.yaml:4: preset_weights.hz-01: must be at most 100",
        ),
        (
            "apps: [{app: web}]\ntraffic: preset\npreset_weights:\n  hz-01: 0",
            "order.yaml:4: preset_weights.hz-01: must be at least 1",
        ),
        (
            "apps: [{app: web}]\ntraffic: preset\npreset_weights:\n  hz-01: 1\n  hz-01: 2",
            "order.yaml:5: preset_weights.hz-01: is written twice here; the first is on line 4",
        ),
        ("apps: [{app: web}]\npreset_weights: {hz-01: 5}", "order.yaml:2: preset_weights: has weights, which only"),
        ("apps: [web", "order.yaml:1: is not YAML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(OrderFileRefused) as caught:
        read_text(text, seed=0)
    assert said in caught.value.problem.evidence


def test_every_problem_of_a_file_is_named_at_once() -> None:
    with pytest.raises(OrderFileRefused) as caught:
        read_text("apps: [{app: web}]\nparallelism: 0\nmax_failures: -1\nfloor: none\n", seed=0)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


# ----------------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "order.yaml"
    path.write_text(ORDER)
    return path


def test_an_order_from_a_file_is_shown_as_the_same_file(
    place: list[str], file: Path, tmp_path: Path, capsys: Out
) -> None:
    assert run(["release", "preview", "--file", str(file), *place, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [app["app"] for app in found["apps"]] == ["ledger", "trade-core"]
    asked = read_text(ORDER, seed=7)
    api = Api(place[1], operator=operating_system_user(), log_dir=tmp_path)
    api.open()
    number = api.create_order("acme", "prod", asked)
    api.close()
    assert run(["order", "show", str(number), "--spec", *place]) == 0
    assert read_text(capsys.readouterr().out, seed=0) == asked
    assert run(["order", "show", str(number), "--spec", *place, "--json"]) == 0
    assert read_text(capsys.readouterr().out, seed=0) == asked


def test_a_file_that_is_wrong_creates_nothing_and_says_where(place: list[str], file: Path, capsys: Out) -> None:
    file.write_text(ORDER.replace("hz-01: 50", "hz-01: 500"))
    assert run(["release", "create", "--file", str(file), *place]) == 1
    assert f"{file}:10: preset_weights.hz-01: must be at most 100" in capsys.readouterr().err
    assert run(["release", "create", "--file", str(file), *place, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["line"] == 10


def test_options_beside_a_file_and_files_of_another_kind_are_wrong_use(
    place: list[str], file: Path, capsys: Out
) -> None:
    assert run(["release", "preview", "--file", str(file), "--app", "ledger=1.0.0", *place]) == 2
    assert "--app can't be given beside it" in capsys.readouterr().err
    assert run(["release", "preview", *place]) == 2
    assert "--file order.yaml" in capsys.readouterr().err
    file.write_text("{kind: restart, apps: [trade-core]}")
    assert run(["release", "preview", "--file", str(file), *place]) == 2
    assert "`cockpit restart create`" in capsys.readouterr().err


def test_the_example_of_the_documentation_is_an_order() -> None:
    text = (Path(__file__).parents[2] / "docs" / "order-file.md").read_text(encoding="utf-8")
    asked = read_text(text.split("```yaml\n")[1].split("```")[0], seed=0)
    assert asked.grouping == Grouping(
        count=2, beta=True, beta_hosts=("hz-01",), by_hand=(("hz-02",), ("hz-03",)), excluded=("hz-04",)
    )
