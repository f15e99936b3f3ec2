"""Groups, Beta hosts and exclusions named host by host: where each host goes, what is refused, and how it is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.cli.release import by_hand, weights_of
from cockpit.cli.run import run
from cockpit.cli.wrong_use import WrongUse
from engine.domain.fleet import Facts
from engine.domain.orders import AppAsked, Grouping, OrderSpec, Plan
from engine.domain.states import HostState, NodeKind, Strategy, TrafficMode
from engine.kinds import restart
from engine.kinds.chosen_hosts import spec_of
from engine.kinds.registry import kind_of, plan_of
from engine.kinds.release import release_spec
from engine.plan.grouping import default_floor
from engine.store.store import Store
from tests.support import seeds
from tests.unit.test_several_apps import facts

Out = pytest.CaptureFixture[str]
VERSION = "2.0.0"
WEB = tuple(f"web-{n}" for n in range(4))


def spec(**more: object) -> OrderSpec:
    """Of web and ledger with four hosts each."""
    return release_spec("web", VERSION, also=(AppAsked("ledger", VERSION),), **more)  # type: ignore[arg-type]


def alone(**more: object) -> OrderSpec:
    return release_spec("web", VERSION, **more)  # type: ignore[arg-type]


def refused(asked: OrderSpec, known: Facts) -> dict[str, str]:
    return {problem.code: str(problem.what) for problem in kind_of(asked.kind).forbids(asked, known)}


def groups(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(node.key, node.hosts) for node in plan.nodes if node.runs]


# ------------------------------------------------------------------------------------------------------ where each host goes


def test_groups_by_hand_run_in_their_order_with_their_hosts() -> None:
    asked = alone(by_hand=(("web-3",), ("web-0", "web-2"), ("web-1",)))
    assert groups(plan_of(asked, facts(web=4))) == [
        ("group-1", ("web-3",)),
        ("group-2", ("web-0", "web-2")),
        ("group-3", ("web-1",)),
    ]
    assert not refused(asked, facts(web=4))


def test_an_app_of_which_no_host_is_named_is_grouped_by_the_strategy() -> None:
    asked = spec(by_hand=(("web-0", "web-1"), ("web-2", "web-3")), strategy=Strategy.ONE_PER_GROUP)
    found = groups(plan_of(asked, facts(web=4, ledger=2)))
    assert [hosts for key, hosts in found if key.startswith("web")] == [("web-0", "web-1"), ("web-2", "web-3")]
    assert [hosts for key, hosts in found if key.startswith("ledger")] == [("ledger-0",), ("ledger-1",)]


def test_beta_hosts_that_are_picked_leave_the_groups_they_were_named_in() -> None:
    plan = plan_of(alone(beta=True, by_hand=(WEB[:2], WEB[2:])), facts(web=4))
    beta = plan.node("beta").hosts
    assert len(beta) == 2
    assert sorted(host for _key, hosts in groups(plan) for host in hosts) == sorted(WEB)


def test_with_groups_and_beta_by_hand_an_app_without_a_named_beta_host_has_none() -> None:
    asked = spec(
        beta=True, beta_hosts=("web-0",), by_hand=(WEB[1:], ("ledger-0",), ("ledger-1",))
    )  # fmt: skip
    assert [node.key for node in plan_of(asked, facts(web=4, ledger=2)).nodes if node.kind is NodeKind.BETA] == [
        "web-beta"
    ]


def test_an_excluded_host_is_in_no_group_stays_in_service_and_is_said_to_keep_its_version() -> None:
    known, asked = facts(web=4), alone(excluded=("web-1",))
    plan = plan_of(asked, known)
    assert "web-1" not in plan.hosts
    assert kind_of("release").hosts(asked, known) == ("web-0", "web-2", "web-3")
    assert {line.mount.host for line in plan.beside} == {"web-1"}
    assert "excluded, keep what they run: web-1 (1.0.0)" in map(str, kind_of("release").notes(asked, known, plan))
    assert "web-1" not in kind_of("release").checks(asked, known).hosts


def test_beta_that_takes_every_host_of_one_of_two_apps_ends_the_release_for_it() -> None:
    known, asked = facts(web=2, ledger=4), spec(beta=True)
    notes = list(map(str, kind_of("release").notes(asked, known, plan_of(asked, known))))
    assert "Beta takes all hosts of web: for them the release ends with it" in notes


def test_hosts_of_a_restart_are_grouped_and_excluded_by_hand_as_well() -> None:
    asked = spec_of(restart.NAME, ["web"], by_hand=(("web-3",), ("web-0", "web-1")), excluded=("web-2",))
    assert groups(plan_of(asked, facts(web=4))) == [("group-1", ("web-3",)), ("group-2", ("web-0", "web-1"))]
    assert not refused(asked, facts(web=4))


@st.composite
def placed_by_hand(draw: st.DrawFn) -> tuple[dict[str, int], Grouping]:
    """Each host of up to three apps in Beta, in a group of its app, or excluded; of an app not all are excluded."""
    counts = {app: draw(st.integers(1, 6)) for app in ("web", "ledger", "mail")[: draw(st.integers(1, 3))]}
    beta: list[str] = []
    excluded: list[str] = []
    by_hand: list[list[str]] = []
    for app, count in counts.items():
        places: dict[int, list[str]] = {}
        for number, host in enumerate(draw(st.permutations([f"{app}-{n}" for n in range(count)]))):
            place = draw(st.integers(-2 if number else -1, 3))
            (excluded if place == -2 else beta if place == -1 else places.setdefault(place, [])).append(host)
        by_hand += places.values()
    grouping = Grouping(
        beta=bool(beta), beta_hosts=tuple(beta), by_hand=tuple(map(tuple, by_hand)), excluded=tuple(excluded)
    )
    return counts, grouping


@given(placed_by_hand(), st.integers(0, 100))
def test_every_host_is_in_exactly_one_place_and_capacity_is_that_of_the_plan(
    placed: tuple[dict[str, int], Grouping], floor_percent: int
) -> None:
    counts, grouping = placed
    known = facts(**counts)
    known = replace(known, apps=tuple(replace(app, floor_percent=floor_percent) for app in known.apps))
    apps = [AppAsked(app, VERSION) for app in counts]
    asked = replace(release_spec(apps[0].app, VERSION, also=tuple(apps[1:])), grouping=grouping)
    plan = plan_of(asked, known)
    places = [host for _key, hosts in groups(plan) for host in hosts] + list(grouping.excluded)
    if any(grouping.by_hand) or len(grouping.beta_hosts) == len(places):
        assert set(refused(asked, known)) <= {"floor_broken"}
    assert sorted(places) == sorted(f"{app}-{n}" for app, count in counts.items() for n in range(count))
    # each app is behind a server group of its own: what leaves it at once is its largest group
    most = {app: max((len(h) for _k, h in groups(plan) if h[0].startswith(app)), default=0) for app in counts}
    spare = min(counts[app] - most[app] - default_floor(counts[app], floor_percent) for app in counts)
    assert plan.lowest_in_service - plan.floor == spare
    assert plan.breaks_floor is ("floor_broken" in refused(asked, known))


# -------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("grouping", "code", "said"),
    [
        ({"by_hand": (WEB, ())}, "group_empty", "Group 2 has no host."),
        ({"by_hand": (WEB, WEB[:1])}, "host_named_twice", "web-0 is named twice: group 1 and group 2."),
        ({"by_hand": (("web-0", *WEB),)}, "host_named_twice", "web-0 is named twice: group 1 and group 1."),
        (
            {"by_hand": (WEB,), "excluded": ("web-3",)},
            "host_named_twice",
            "web-3 is named twice: group 1 and excluded.",
        ),
        (
            {"by_hand": (WEB,), "beta": True, "beta_hosts": ("web-1",)},
            "host_named_twice",
            "web-1 is named twice: Beta group and group 1.",
        ),
        (
            {"by_hand": ((*WEB, "ledger-0"), ("ledger-1", "ledger-2", "ledger-3"))},
            "group_of_several_apps",
            "Group 1 has hosts of several apps: web, ledger.",
        ),
        ({"by_hand": ((*WEB, "nobody"),)}, "group_host_unknown", "Not hosts that this order could act on: nobody."),
        ({"excluded": ("nobody",)}, "group_host_unknown", "Not hosts that this order could act on: nobody."),
        ({"by_hand": (WEB[:3],)}, "host_in_no_group", "In no group: web-3."),
        ({"excluded": WEB}, "all_hosts_excluded", "All hosts of web are excluded."),
        (
            {"beta": True, "beta_hosts": ("nobody",)},
            "beta_host_unknown",
            "Not hosts of web, ledger in this workspace: nobody.",
        ),
    ],
)
def test_a_wrong_group_is_one_clear_problem(grouping: dict[str, object], code: str, said: str) -> None:
    found = refused(spec(**grouping), facts(web=4, ledger=4))
    found.pop("floor_broken", None)
    assert found == {code: said}


def test_a_host_of_an_app_that_is_not_in_the_order_is_unknown_to_it() -> None:
    found = refused(alone(by_hand=((*WEB, "ledger-0"),)), facts(web=4))
    assert "group_host_unknown" in found


def test_a_host_that_went_offline_after_it_was_named_is_refused() -> None:
    known = facts(web=4)
    (web,) = known.apps
    offline = replace(web.hosts[0], state=HostState.OFFLINE)
    known = replace(known, apps=(replace(web, hosts=(offline, *web.hosts[1:])),))
    assert "group_host_unknown" in refused(alone(by_hand=(WEB[:2], WEB[2:])), known)


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        (dict.fromkeys(WEB, 0), "preset_weight_out_of_range"),
        (dict.fromkeys(WEB, 101), "preset_weight_out_of_range"),
        (dict.fromkeys(WEB[:3], 50), "preset_weight_missing"),
        (dict.fromkeys((*WEB, "nobody"), 50), "preset_host_unknown"),
    ],
)
def test_preset_weights_that_can_not_be_are_refused(weights: dict[str, int], code: str) -> None:
    asked = alone(traffic=TrafficMode.PRESET, preset_weights=weights)
    assert set(refused(asked, facts(web=4))) - {"floor_broken"} == {code}


def test_an_excluded_host_needs_no_preset_weight() -> None:
    asked = alone(traffic=TrafficMode.PRESET, preset_weights=dict.fromkeys(WEB[:3], 50), excluded=("web-3",))
    assert "preset_weight_missing" not in refused(asked, facts(web=4))


# ----------------------------------------------------------------------------------------------------------- command line


def test_groups_and_weights_as_they_are_typed() -> None:
    assert by_hand(["hz-01, hz-02", "sh-01"], None) == (("hz-01", "hz-02"), ("sh-01",))
    assert weights_of(["hz-01=50", "hz-02=1"]) == {"hz-01": 50, "hz-02": 1}
    with pytest.raises(WrongUse, match="says nothing beside --group"):
        by_hand(["hz-01"], 3)
    with pytest.raises(WrongUse, match="given a weight more than once"):
        weights_of(["hz-01=50", "hz-01=60"])
    with pytest.raises(WrongUse, match="not a host and a weight"):
        weights_of(["hz-01=101"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "config.toml").write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = Store.open(f"sqlite:///{tmp_path}/store.db", create=True)
    seeds.seed_fleet(store)
    return ["--store", store.url, "--tenant", "acme", "--workspace", "prod"]


def test_the_preview_has_the_groups_the_beta_hosts_and_what_is_excluded(place: list[str], capsys: Out) -> None:
    asked = ["release", "preview", "--app", "trade-core=2.0.0", "--beta-host", "hz-01", "--exclude", "hz-08"]
    named = ["--group", "hz-04,hz-02", "--group", "hz-03", "--group", "hz-05,hz-06,hz-07"]
    assert run([*asked, *named, *place, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    nodes = {node["key"]: node["hosts"] for node in found["nodes"]}
    assert (nodes["beta"], nodes["group-1"], nodes["group-2"]) == (["hz-01"], ["hz-04", "hz-02"], ["hz-03"])
    assert "hz-08" not in found["hosts"]
    assert run([*asked, *named, *place]) == 0
    assert "excluded, keep what they run: hz-08 (1.0.0)" in capsys.readouterr().out
    assert run([*asked, *named, "--group", "hz-03", *place]) == 1
    assert "hz-03 is named twice: group 2 and group 4." in capsys.readouterr().err


def test_a_host_nobody_knows_is_wrong_use(place: list[str], capsys: Out) -> None:
    assert run(["release", "preview", "--app", "trade-core=2.0.0", "--exclude", "hz-99", *place]) == 2
    assert "hz-99" in capsys.readouterr().err
