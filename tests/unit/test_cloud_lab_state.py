"""The lab's weights as the forwarder reads them."""

from __future__ import annotations

from cockpit.lab.faults import take
from cockpit.lab.slb import SlbFaults, SlbState, WeightChange


def test_a_change_is_told_with_before_and_after_and_only_when_it_changed_something() -> None:
    told: list[WeightChange] = []
    state = SlbState(on_change=told.append)
    state.add_balancer("lb-1", "cn-hangzhou")
    state.add_vserver_group("lb-1", "rsp-1", {("i-1", 80): 100})
    state.set_weights("lb-1", "rsp-1", {("i-1", 80): 0})
    state.set_weights("lb-1", "rsp-1", {("i-1", 80): 0})
    state.remove_servers("lb-1", "rsp-1", [("i-1", 80), ("i-unknown", 80)])
    assert [(change.before, change.after) for change in told] == [
        ({("i-1", 80): 100}, {("i-1", 80): 0}),
        ({("i-1", 80): 0}, {}),
    ]
    assert state.history() == tuple(told)


def test_what_was_read_does_not_change_with_the_state() -> None:
    state = SlbState()
    state.add_balancer("lb-1", "cn-hangzhou", servers={"i-1": 100})
    read, balancer = state.weights("lb-1"), state.balancer("lb-1")
    state.set_weights("lb-1", "", {("i-1", 0): 0})
    assert read == {("i-1", 0): 100}
    assert balancer is not None
    assert balancer.groups[""] == {("i-1", 0): 100}
    assert state.weight("lb-1", "", "i-1") == 0


def test_faults_are_counted_down_and_minus_one_lasts() -> None:
    faults = SlbFaults(throttled=1, busy=-1)
    assert [take(faults) for _ in range(3)] == ["throttled", "busy", "busy"]
    faults.busy = 0
    assert take(faults) == ""
