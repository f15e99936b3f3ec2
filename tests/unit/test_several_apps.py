"""Several apps in one order: which goes when, what can't be asked for, and how it is asked on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.cli.release import apps_of
from cockpit.cli.run import run
from cockpit.cli.wrong_use import WrongUse
from engine.domain.fleet import Facts, Host, Mount, MountWeight, ServerGroup
from engine.domain.orders import AppAsked, OrderSpec, Plan
from engine.domain.states import HostState, NodeKind
from engine.kinds.registry import kind_of, plan_of
from engine.kinds.release import release_spec
from engine.plan.faults import checked
from engine.store.store import Store
from tests.support import seeds
from tests.support.facts import facts_of

Out = pytest.CaptureFixture[str]
VERSION = "2.0.0"


def facts(**hosts: int) -> Facts:
    """Of apps with so many hosts each, each app behind a server group of its own."""
    each = [_facts_of(app, count) for app, count in hosts.items()]
    whole = each[0]
    for one in each[1:]:
        whole = replace(
            whole, apps=whole.apps + one.apps, packages={**whole.packages, **one.packages},
            weights=whole.weights + one.weights,
        )  # fmt: skip
    return whole


def _facts_of(app: str, count: int) -> Facts:
    hosts = [
        Host(f"{app}-{n}", "127.0.0.1", 22, "admin", f"hz-{'ab'[n % 2]}", "c1", f"i-{app}-{n}",
             state=HostState.DEPLOYED, version="1.0.0")
        for n in range(count)
    ]  # fmt: skip
    group = ServerGroup("cn-hangzhou", "lb-1", f"rsp-{app}")
    return facts_of(hosts, [MountWeight(Mount(h.name, h.server_id, group, 80), 100) for h in hosts], app=app)


def spec(*apps: AppAsked, **more: object) -> OrderSpec:
    first, *others = apps
    return release_spec(first.app, first.version, needs=first.needs, also=tuple(others), **more)  # type: ignore[arg-type]


def app(name: str, *needs: str, version: str = VERSION) -> AppAsked:
    return AppAsked(name, version, needs)


def refused(asked: OrderSpec, known: Facts) -> list[str]:
    return [problem.code for problem in kind_of("release").forbids(asked, known)]


def nodes_before(plan: Plan, key: str) -> set[str]:
    direct = plan.node(key).needs
    return set(direct).union(*(nodes_before(plan, need) for need in direct))


# ---------------------------------------------------------------------------------------------------------- which goes when


def test_an_app_that_needs_two_waits_for_both() -> None:
    plan = plan_of(spec(app("web", "ledger", "mail"), app("ledger"), app("mail")), facts(web=2, ledger=2, mail=2))
    assert set(plan.node("web-group-1").needs) == {"ledger-group-2", "mail-group-2"}
    assert plan.node("finish").needs == ("web-group-2",)


def test_each_app_has_its_own_beta_and_its_own_gate() -> None:
    plan = plan_of(spec(app("web", "ledger"), app("ledger"), beta=True), facts(web=4, ledger=4))
    gates = [node.key for node in plan.nodes if node.kind is NodeKind.GATE]
    assert gates == ["ledger-beta-confirm", "web-beta-confirm"]


@st.composite
def apps_without_cycles(draw: st.DrawFn) -> list[AppAsked]:
    names = [f"app{n}" for n in range(draw(st.integers(1, 7)))]
    asked = [
        app(name, *draw(st.lists(st.sampled_from(names[:at]), unique=True) if at else st.just([])))
        for at, name in enumerate(names)
    ]
    return draw(st.permutations(asked))


@given(apps_without_cycles(), st.booleans(), st.data())
def test_no_host_of_an_app_is_touched_before_all_that_it_needs_is_done(
    asked: list[AppAsked], beta: bool, data: st.DataObject
) -> None:
    counts = {each.app: data.draw(st.integers(0, 5), label=each.app) for each in asked}
    plan = plan_of(spec(*asked, beta=beta), facts(**counts))
    checked(plan)
    at = {run.host: node.key for node in plan.nodes for run in node.runs}
    assert len(at) == sum(counts.values())
    needs = {each.app: each.needs for each in asked}
    for host, key in at.items():
        done_before = {run.host for node in nodes_before(plan, key) for run in plan.node(node).runs}
        for need in needs[host.rpartition("-")[0]]:
            assert {f"{need}-{n}" for n in range(counts[need])} <= done_before
    assert {node.key for node in plan.nodes} - {"finish"} == nodes_before(plan, "finish")


# ------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (spec(app("web", "ledger"), app("ledger", "web")), "needs_circle"),
        (spec(app("web", "web"), app("ledger")), "needs_circle"),
        (spec(app("web", "mail"), app("ledger")), "need_not_in_order"),
        (spec(app("web"), app("web")), "app_twice"),
        (spec(app("web"), app("ledger", version="9.9")), "package_unknown"),
        (spec(app("web"), app("ledger"), groups=3), "groups_out_of_range"),
    ],
)
def test_what_can_not_be_is_refused_and_named(asked: OrderSpec, code: str) -> None:
    known = facts(web=4, ledger=2)
    assert code in refused(asked, known)


def test_a_host_of_two_apps_of_one_order_is_refused() -> None:
    known = facts(web=2, ledger=2)
    web, ledger = known.apps
    known = replace(known, apps=(web, replace(ledger, hosts=(*ledger.hosts, web.hosts[0]))))
    assert "host_of_several_apps" in refused(spec(app("web"), app("ledger")), known)
    assert "host_of_several_apps" not in refused(spec(app("web")), replace(known, apps=(web,)))


# ------------------------------------------------------------------------------------------------------- command line


def test_apps_with_their_versions_and_needs() -> None:
    assert apps_of(["a=2.1", "b"], "3.0", ["b:a"]) == [app("a", version="2.1"), app("b", "a", version="3.0")]


@pytest.mark.parametrize(
    ("given_apps", "version", "needs", "said"),
    [
        (["a"], "", [], "No version for a"),
        (["a=1", "a=2"], "", [], "a is named more than once"),
        (["a="], "1", [], "a= is neither an app"),
        (["a=1"], "2", [], "--version 2 applies to no app"),
        (["a=1"], "", ["b:a"], "b is not in the order"),
        (["a=1"], "", ["a"], "a is not a pair of apps"),
    ],
)
def test_what_makes_no_sense_is_wrong_use(given_apps: list[str], version: str, needs: list[str], said: str) -> None:
    with pytest.raises(WrongUse) as caught:
        apps_of(given_apps, version, needs)
    assert said in str(caught.value.problem.what)


def test_the_preview_of_two_apps_shows_both_and_which_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    (tmp_path / "config.toml").write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = Store.open(f"sqlite:///{tmp_path}/store.db", create=True)
    seeds.seed_fleet(store)
    place = ["--store", store.url, "--tenant", "acme", "--workspace", "prod"]
    asked = ["release", "preview", "--app", "trade-core=2.0.0", "--app", "ledger=1.0.0", "--needs", "trade-core:ledger"]
    assert run([*asked, *place, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["app"], each["to_version"]) for each in found["apps"]] == [
        ("trade-core", "2.0.0"),
        ("ledger", "1.0.0"),
    ]
    needs = {node["key"]: node["needs"] for node in found["nodes"]}
    assert needs["trade-core-group-1"] == ["ledger-group-1"]
    assert run([*asked, "--needs", "ledger:trade-core", *place]) == 1
    assert "trade-core → ledger → trade-core" in capsys.readouterr().err


def test_an_order_of_two_apps_is_shown_and_reported_with_the_app_of_each_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    (tmp_path / "config.toml").write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = Store.open(f"sqlite:///{tmp_path}/store.db", create=True)
    seeds.seed_fleet(store)
    asked = release_spec(
        "trade-core", "2.0.0", needs=("ledger",), also=(AppAsked("ledger", "1.0.0"),), excluded=("hz-08",),
        by_hand=(("hz-01", "hz-02", "hz-03"), ("hz-04", "hz-05"), ("hz-06", "hz-07")),
    )  # fmt: skip
    number = str(seeds.seed_order(store, "ready", asked))
    place = ["--store", store.url, "--tenant", "acme", "--workspace", "prod"]
    assert run(["order", "show", number, *place]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["trade-core", "hz-01"] in [line[:2] for line in lines]
    assert ["ledger", "hz-9999"] in [line[:2] for line in lines]
    assert run(["order", "report", number, *place]) == 0
    told = capsys.readouterr().out
    assert "waits for ledger" in told
    assert "hz-01 (trade-core)" in told
    assert "by hand" in told
    assert "hz-08" in told
