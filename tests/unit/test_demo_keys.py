"""Which key the headless demo presses next, from the order as it is shown."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cockpit.demo.headless import next_key
from engine.domain.states import Act, Direction, NodeKind, NodeState, OrderState
from engine.views.orders import HostRunView, NodeView, OrderView, WeightView


def made(view: Any, /, **given: Any) -> Any:
    """A view with the fields that matter here; the others are never looked at."""
    empty = dict.fromkeys((field.name for field in dataclasses.fields(view)), None)
    return view(**{**empty, **given})


def weight(asked: int | None, confirmed: int | None) -> WeightView:
    view: WeightView = made(WeightView, recorded=100, asked=asked, confirmed=confirmed)
    return view


def order(
    state: OrderState, *weights: WeightView, sliders: bool = True, gate: NodeState = NodeState.WAITING
) -> OrderView:
    node: NodeView = made(
        NodeView,
        key="beta-confirm",
        kind=NodeKind.GATE,
        direction=Direction.FORWARD,
        state=gate,
        sliders=sliders,
        hosts=("hz-01",),
    )
    run: HostRunView = made(HostRunView, name="hz-01", weights=weights)
    view: OrderView = made(OrderView, state=state, direction=Direction.FORWARD, nodes=(node,), hosts=(run,))
    return view


def test_an_order_that_is_ready_is_started() -> None:
    assert next_key(order(OrderState.READY, gate=NodeState.PENDING)) == (Act.START, "", 0)


def test_nothing_is_pressed_while_hosts_are_at_work() -> None:
    assert next_key(order(OrderState.RUNNING, gate=NodeState.PENDING)) is None


@pytest.mark.parametrize(("now", "then"), [(0, 10), (10, 50), (50, 100)])
def test_gray_weights_go_up_one_after_the_other(now: int, then: int) -> None:
    assert next_key(order(OrderState.WAITING, weight(now, now))) == (Act.SET_WEIGHTS, "beta-confirm", then)


def test_the_slowest_host_decides_the_next_move() -> None:
    assert next_key(order(OrderState.WAITING, weight(50, 50), weight(10, 10))) == (Act.SET_WEIGHTS, "beta-confirm", 50)


def test_a_weight_that_was_not_read_back_yet_is_waited_for() -> None:
    assert next_key(order(OrderState.WAITING, weight(50, 10))) is None


def test_the_gate_is_confirmed_when_every_weight_is_back() -> None:
    assert next_key(order(OrderState.WAITING, weight(100, 100))) == (Act.CONFIRM, "beta-confirm", 0)


def test_a_gate_without_sliders_is_just_confirmed() -> None:
    assert next_key(order(OrderState.WAITING, weight(0, 0), sliders=False)) == (Act.CONFIRM, "beta-confirm", 0)
