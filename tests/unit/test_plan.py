"""Planning: groups, Beta, capacity and the shape of the flowchart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.fleet import Facts, Host, Mount, MountWeight, ServerGroup
from engine.domain.message import message
from engine.domain.orders import AppAsked, Grouping, HostIs, HostPlan, OrderSpec, PlanNode
from engine.domain.states import Health, HostState, NodeKind, Strategy, TrafficMode
from engine.kinds.asked import pack
from engine.kinds.registry import kind_of, plan_of
from engine.kinds.release import STEPS, Release, release_spec
from engine.plan.capacity import capacity
from engine.plan.faults import PlanFault
from engine.plan.grouping import default_floor, pick_beta, split_evenly, split_into_groups
from tests.support.facts import facts_of

GROUP = ServerGroup("cn-hangzhou", "lb-1", "rsp-1")


def host(name: str, centre: str = "hz-a", cell: str = "c1", state: HostState = HostState.DEPLOYED) -> Host:
    return Host(name, "127.0.0.1", 22, "admin", centre, cell, f"i-{name}", state=state, version="1.0.0")


def fleet(hosts: list[Host], weight: int = 100, floor_percent: int = 50, objects: str = "") -> Facts:
    weights = tuple(MountWeight(Mount(h.name, h.server_id, GROUP, 80), weight) for h in hosts)
    return facts_of(hosts, weights, floor_percent=floor_percent, objects=objects)


def node(key: str, needs: tuple[str, ...], *hosts: str) -> PlanNode:
    """A group whose hosts are cut and get back what they had."""
    is_ = HostIs("1.0.0", HostState.DEPLOYED)
    runs = (
        HostPlan(h, "shop", STEPS, (), (), is_, is_, HostState.DEPLOYED, HostState.DEPLOY_FAILED, (), ()) for h in hosts
    )
    return PlanNode(key, NodeKind.GROUP, needs, message("{key}", key=key), tuple(runs))


def eight_hosts() -> list[Host]:
    return [host(f"{c}-{n}", c, f"{c}-cell{n % 2}") for c in ("hz-a", "hz-b") for n in range(4)]


@given(st.lists(st.integers(), unique=True, min_size=1, max_size=60), st.integers(1, 70))
def test_even_groups_hold_every_host_once_and_differ_by_at_most_one(numbers: list[int], groups: int) -> None:
    names = [str(number) for number in numbers]
    parts = split_evenly(names, groups)
    assert [name for part in parts for name in part] == names
    sizes = [len(part) for part in parts]
    assert len(parts) == min(groups, len(names))
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(st.sampled_from(Strategy), st.integers(1, 12), st.integers(0, 30), st.integers(1, 8))
def test_every_strategy_places_each_host_exactly_once(strategy: Strategy, cells: int, count: int, groups: int) -> None:
    hosts = [host(f"h{n:02}", f"dc{n % 2}", f"cell{n % cells}") for n in range(count)]
    placed = [name for group in split_into_groups(hosts, strategy, groups) for name in group]
    assert sorted(placed) == sorted(h.name for h in hosts)


def test_by_cell_makes_one_group_a_cell() -> None:
    assert [len(group) for group in split_into_groups(eight_hosts(), Strategy.BY_CELL, 2)] == [2, 2, 2, 2]


@given(st.integers(0, 2**32))
def test_beta_takes_one_healthy_host_of_each_data_centre(seed: int) -> None:
    hosts = [*eight_hosts(), host("hz-a-bad", "hz-a", state=HostState.DEPLOY_FAILED)]
    picked = pick_beta(hosts, seed)
    assert [name[:4] for name in picked] == ["hz-a", "hz-b"]
    assert "hz-a-bad" not in picked
    assert pick_beta(hosts, seed) == picked


def test_beta_goes_first_and_its_gate_stands_before_every_group() -> None:
    plan = plan_of(release_spec("shop", "2.0.0", beta=True, seed=1), fleet(eight_hosts()))
    assert [node.key for node in plan.nodes] == ["initialise", "beta", "beta-confirm", "group-1", "group-2", "finish"]
    assert plan.node("group-1").needs == ("beta-confirm",)
    beta = set(plan.node("beta").hosts)
    assert not beta & {name for node in plan.nodes if node.kind is NodeKind.GROUP for name in node.hosts}


def test_release_ends_with_beta_when_beta_takes_all_hosts() -> None:
    plan = plan_of(release_spec("shop", "2.0.0", beta=True), fleet([host("a", "hz-a"), host("b", "hz-b")]))
    assert [node.key for node in plan.nodes] == ["initialise", "beta", "beta-confirm", "finish"]


def test_gray_gives_nothing_back_by_itself_and_gates_every_group() -> None:
    spec = release_spec("shop", "2.0.0", traffic=TrafficMode.GRAY)
    plan = plan_of(spec, fleet(eight_hosts()))
    gates = [node for node in plan.nodes if node.kind is NodeKind.GATE]
    assert [gate.key for gate in gates] == ["group-1-confirm", "group-2-confirm"]
    assert all(gate.sliders for gate in gates)
    assert all(host_plan.restore_to == () for host_plan in plan.run_of.values())


def test_preset_weights_replace_the_recorded_ones() -> None:
    hosts = eight_hosts()
    spec = release_spec("shop", "2.0.0", traffic=TrafficMode.PRESET, preset_weights={h.name: 30 for h in hosts})
    plan = plan_of(spec, fleet(hosts, weight=50))
    assert {line.weight for host_plan in plan.run_of.values() for line in host_plan.restore_to} == {30}
    assert {line.weight for host_plan in plan.run_of.values() for line in host_plan.recorded} == {50}


def test_one_group_breaks_the_production_floor_and_quick_groups_do_not() -> None:
    one = plan_of(release_spec("shop", "2.0.0", strategy=Strategy.ONE_GROUP), fleet(eight_hosts()))
    assert (one.floor, one.lowest_in_service, one.breaks_floor) == (4, 0, True)
    quick = plan_of(release_spec("shop", "2.0.0", groups=2), fleet(eight_hosts()))
    assert (quick.floor, quick.lowest_in_service, quick.breaks_floor) == (4, 4, False)


def test_hosts_that_a_preset_brings_into_service_count_for_the_groups_after_them() -> None:
    hosts = eight_hosts()
    weights = tuple(
        MountWeight(Mount(h.name, h.server_id, GROUP, 80), 0 if h.data_centre == "hz-a" else 100) for h in hosts
    )
    fleet_of = facts_of(hosts, weights)
    spec = release_spec("shop", "2.0.0", traffic=TrafficMode.PRESET, preset_weights={h.name: 80 for h in hosts})
    plan = plan_of(spec, fleet_of)
    assert (plan.in_service, plan.floor, plan.lowest_in_service) == (4, 2, 4)
    as_recorded = plan_of(release_spec("shop", "2.0.0"), fleet_of)
    assert as_recorded.lowest_in_service == 0


def test_capacity_counts_the_server_group_with_the_least_to_spare() -> None:
    hosts = eight_hosts()
    other = ServerGroup("cn-hangzhou", "lb-2")
    weights = [*fleet(hosts).weights, *(MountWeight(Mount(h.name, h.server_id, other), 10) for h in hosts[:2])]
    nodes = [node("group-1", (), *(h.name for h in hosts[:2]))]
    found = capacity(weights, nodes, floor=None, floor_percent=50)
    assert (found.in_service, found.lowest, found.floor) == (2, 0, 1)


@given(st.integers(1, 500), st.integers(1, 100))
def test_floor_is_rounded_up_and_at_least_one(in_service: int, percent: int) -> None:
    floor = default_floor(in_service, percent)
    assert 1 <= floor <= in_service
    assert floor >= in_service * percent / 100


@given(st.integers(0, 99))
def test_a_changed_weight_changes_the_hash(weight: int) -> None:
    spec = release_spec("shop", "2.0.0")
    before, after = plan_of(spec, fleet(eight_hosts())), plan_of(spec, fleet(eight_hosts(), weight=weight))
    assert before.fleet_hash != after.fleet_hash
    assert before.fleet_hash == plan_of(spec, fleet(eight_hosts())).fleet_hash
    assert before.fleet_hash != plan_of(spec, fleet(eight_hosts(), objects="another package")).fleet_hash


def test_what_does_not_answer_is_in_service_neither_before_nor_while_others_are_out() -> None:
    hosts = eight_hosts()
    fresh = fleet(hosts)
    down = {line.mount: Health.UNHEALTHY for line in fresh.weights if line.mount.host.startswith("hz-b")}
    unsure = {line.mount: Health.UNKNOWN for line in fresh.weights if line.mount.host == "hz-a-0"}
    plan = plan_of(release_spec("shop", "2.0.0", groups=2), replace(fresh, health=down | unsure))
    assert (plan.in_service, plan.floor, plan.lowest_in_service) == (3, 2, 0)
    assert plan_of(release_spec("shop", "2.0.0", groups=2), fresh).lowest_in_service == 4


def test_beta_takes_a_host_that_answers() -> None:
    assert pick_beta(eight_hosts(), 1, ill={"hz-a-0", "hz-a-1", "hz-a-2"})[0] == "hz-a-3"


def two_apps(*asked: AppAsked) -> tuple[OrderSpec, Facts]:
    """A release of shop (hosts h1, h2) and pay (h3, h4), one group each; till has no host."""
    shop, pay, till = (facts_of([host(name) for name in names], app=app) for app, names in APPS.items())
    apps = (*shop.apps, *pay.apps, *till.apps)
    facts = Facts(apps, {**shop.packages, **pay.packages, **till.packages})
    grouping = Grouping(Strategy.ONE_GROUP)
    return OrderSpec(pack("release", Release(asked)), grouping=grouping), facts


APPS = {"shop": ("h1", "h2"), "pay": ("h3", "h4"), "till": ()}


def asked(app: str, *needs: str) -> AppAsked:
    return AppAsked(app, "2.0.0", needs)


def needs_of(*apps: AppAsked) -> dict[str, tuple[str, ...]]:
    return {node.key: node.needs for node in plan_of(*two_apps(*apps)).nodes}


def test_an_app_begins_when_those_it_needs_are_done_wherever_they_are_listed() -> None:
    assert needs_of(asked("pay", "shop"), asked("shop")) == {
        "initialise": (),
        "shop-group-1": ("initialise",),
        "pay-group-1": ("shop-group-1",),
        "finish": ("pay-group-1",),
    }


def test_apps_that_do_not_need_each_other_run_side_by_side() -> None:
    needs = needs_of(asked("pay"), asked("shop"))
    assert needs["pay-group-1"] == needs["shop-group-1"] == ("initialise",)
    assert needs["finish"] == ("pay-group-1", "shop-group-1")


def test_an_app_without_a_host_hands_on_what_it_waits_for() -> None:
    """Not the end of whatever stands before it in the list."""
    needs = needs_of(asked("shop"), asked("till"), asked("pay", "till"))
    assert needs["pay-group-1"] == ("initialise",)
    needs = needs_of(asked("shop"), asked("till", "shop"), asked("pay", "till"))
    assert needs["pay-group-1"] == ("shop-group-1",)


@pytest.mark.parametrize(
    ("apps", "code", "says"),
    [
        ((asked("pay", "shop"), asked("shop", "pay")), "needs_circle", "pay"),
        ((asked("pay", "pay"), asked("shop")), "needs_circle", "pay → pay"),
        ((asked("pay", "cart"), asked("shop")), "need_not_in_order", "cart"),
        ((asked("pay"), asked("pay")), "app_twice", "pay"),
    ],
)
def test_needs_that_can_not_be_met_forbid_the_order_and_the_plan_names_its_place(
    apps: tuple[AppAsked, ...], code: str, says: str
) -> None:
    spec, facts = two_apps(*apps)
    (problem,) = (each for each in kind_of("release").forbids(spec, facts) if each.code == code)
    assert says in str(problem.what)
    with pytest.raises(PlanFault):
        plan_of(spec, facts)
