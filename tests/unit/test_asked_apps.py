"""The apps of an order while they are edited: no edit leaves a circle or a need that nobody meets."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.asked_apps import AskedApps, circle
from engine.domain.orders import AppAsked

NAMES = ("a", "b", "c", "d")
names = st.sampled_from(NAMES)
edits = st.one_of(
    st.tuples(st.just("with_app"), names, st.just("v2")),
    st.tuples(st.just("without"), names),
    st.tuples(st.just("with_need"), names, names),
)


@given(st.lists(edits, max_size=20))
def test_whatever_the_edits_no_app_waits_for_itself_or_for_one_that_is_not_there(made: list[tuple[str, ...]]) -> None:
    apps = AskedApps((AppAsked("a", "v1"),))
    for name, *arguments in made:
        if name == "with_need" and not set(arguments) <= set(apps.names):
            continue
        try:
            apps = getattr(apps, name)(*arguments)
        except ValueError:
            closed = apps.circle_with(*arguments)
            assert closed[0] == closed[-1]
            assert arguments[0] in closed
        needs = {app.app: app.needs for app in apps.apps}
        assert not circle(needs)
        assert all(need in apps.names for app in apps.apps for need in app.needs)
        assert apps.apps


def test_a_need_is_drawn_and_taken_away_again() -> None:
    apps = AskedApps((AppAsked("web", "v2"), AppAsked("ledger", "v3")))
    drawn = apps.with_need("web", "ledger")
    assert drawn.of("web").needs == ("ledger",)
    assert drawn.with_need("web", "ledger") == apps
    assert drawn.without("ledger") == AskedApps((AppAsked("web", "v2"),))


def test_a_circle_is_named_along_its_arrows() -> None:
    apps = AskedApps((AppAsked("a", "1", ("b",)), AppAsked("b", "1", ("c",)), AppAsked("c", "1")))
    closed = apps.circle_with("c", "a")
    assert set(itertools.pairwise(closed)) == {("a", "b"), ("b", "c"), ("c", "a")}
    with pytest.raises(ValueError, match="can't need"):
        apps.with_need("c", "a")
