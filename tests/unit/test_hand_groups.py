"""Groups while they are edited: whatever the edits, every host has exactly one place, and the order is planned so."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.hand_groups import AppGroups, HandGroups
from engine.domain.orders import AppAsked, Grouping
from engine.kinds.registry import plan_of
from engine.kinds.release import forbids, release_spec
from tests.unit.test_several_apps import facts

START = HandGroups(
    (
        AppGroups("web", ("web-0",), (("web-1", "web-2"), ("web-3", "web-4")), ()),
        AppGroups("ledger", (), (("ledger-0",), ("ledger-1", "ledger-2")), ()),
    )
)
HOSTS = START.hosts
some_hosts = st.sets(st.sampled_from(HOSTS), max_size=5)
apps, numbers = st.sampled_from(["web", "ledger"]), st.integers(0, 6)
edits = st.one_of(
    st.tuples(st.just("to_beta"), some_hosts),
    st.tuples(st.just("exclude"), some_hosts),
    st.tuples(st.just("to_new_group"), some_hosts),
    st.tuples(st.just("to_group"), some_hosts, numbers),
    st.tuples(st.just("split"), apps, numbers),
    st.tuples(st.just("merge"), apps, numbers),
    st.tuples(st.just("shift"), apps, numbers, st.sampled_from([-1, 1])),
)


@settings(max_examples=60)
@given(st.lists(edits, max_size=12))
def test_whatever_the_edits_every_host_has_one_place_and_is_planned_there(made: list[tuple[object, ...]]) -> None:
    groups = START
    for name, *arguments in made:
        groups = getattr(groups, str(name))(*arguments)
        assert Counter(groups.hosts) == Counter(HOSTS)
        assert all(group for app in groups.apps for group in app.groups)
        assert all(host.startswith(app.app) for app in groups.apps for host in app.hosts)
    known = facts(web=5, ledger=3)
    spec = release_spec("web", "2.0.0", also=(AppAsked("ledger", "2.0.0"),))
    asked = release_spec(
        "web", "2.0.0", also=(AppAsked("ledger", "2.0.0"),), override_reason="so",
        **_options(groups.grouping(spec.grouping)),  # type: ignore[arg-type]
    )  # fmt: skip
    nobody = {app.app for app in groups.apps if not app.beta and not app.groups}
    assert {problem.code for problem in forbids(asked, known)} <= ({"all_hosts_excluded"} if nobody else set())
    if not nobody:
        plan = plan_of(asked, known)
        assert {node.hosts for node in plan.nodes if node.runs} == {
            hosts for app in groups.apps for hosts in (app.beta, *app.groups) if hosts
        }


def _options(grouping: Grouping) -> dict[str, object]:
    return {
        "beta": grouping.beta, "beta_hosts": grouping.beta_hosts, "by_hand": grouping.by_hand,
        "excluded": grouping.excluded,
    }  # fmt: skip


def test_a_group_is_split_into_halves_merged_and_reordered() -> None:
    web = START.split("web", 0).of("web")
    assert web.groups == (("web-1",), ("web-2",), ("web-3", "web-4"))
    assert START.merge("web", 0).of("web").groups == (("web-1", "web-2", "web-3", "web-4"),)
    assert START.shift("web", 1, -1).of("web").groups == (("web-3", "web-4"), ("web-1", "web-2"))
    assert START.split("ledger", 0) == START
    assert START.merge("web", 1) == START


def test_hosts_that_are_moved_together_keep_their_order_and_their_app() -> None:
    moved = START.to_group({"web-4", "web-1", "ledger-0"}, 1)
    assert moved.of("web").groups == (("web-2",), ("web-3", "web-4", "web-1"))
    assert moved.of("ledger").groups == (("ledger-1", "ledger-2", "ledger-0"),)


def test_hosts_that_came_meanwhile_are_a_group_of_their_own_and_those_gone_leave() -> None:
    now = START.with_new({"web": ["web-1", "web-3", "web-9"]})
    assert now.apps == (AppGroups("web", (), (("web-1",), ("web-3",), ("web-9",)), ()),)
