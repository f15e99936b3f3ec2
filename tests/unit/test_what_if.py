"""What an act would do, asked of orders as the store has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.domain.acts import ACTS, Remedy, SetWeights
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.progress import ActAtWork, OrderProgress
from engine.domain.states import Act, Direction, OrderState, RunState
from engine.domain.steps import Holds, StepPlan
from engine.kinds.registry import way_back_of
from engine.plan.in_turn import in_turn
from engine.plan.in_turn import with_weights as after
from engine.plan.sensible_acts import sensible_acts
from engine.plan.what_if import consequence
from engine.store.progress import load_progress
from engine.store.store import Store
from engine.views.acts import Consequence
from engine.views.values import percent
from tests.support.seeds import NOW, SITUATIONS, ran_before_in, release_spec, seed_fleet, seed_order

Given = Callable[..., OrderProgress]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., OrderProgress]:
    """Progress is frozen, so each situation is written once and read by all tests."""
    folder = tmp_path_factory.mktemp("what_if")
    empty = folder / "empty.db"
    store = Store.open(f"sqlite:///{empty}")
    seed_fleet(store)
    store.close()
    made: dict[str, OrderProgress] = {}

    def given_order(situation: str, **spec: Any) -> OrderProgress:
        key = f"{situation} {spec}"
        if key not in made:
            made[key] = _written(Path(shutil.copy(empty, folder / f"{len(made)}.db")), situation, spec)
        return made[key]

    return given_order


def _written(path: Path, situation: str, spec: dict[str, Any]) -> OrderProgress:
    store = Store.open(f"sqlite:///{path}")
    try:
        order_id = seed_order(store, situation, release_spec(**spec) if spec else None)
        with store.reading() as conn:
            return load_progress(conn, order_id)
    finally:
        store.close()


def ask(
    progress: OrderProgress, act: Act, succeeded: tuple[str, ...] = ("1.0.0",), production: bool = True, **params: Any
) -> Consequence:
    way_back = way_back_of(progress.kind)
    return consequence(
        progress,
        ACTS[act].type(**params),
        succeeded_versions={"trade-core": succeeded},
        production=production,
        now=NOW,
        way_back=way_back,
    )


def with_weights(progress: OrderProgress, weights: dict[str, int]) -> OrderProgress:
    lines = (replace(w, confirmed=weights.get(w.mount.host, w.confirmed)) for w in progress.weights)
    return replace(progress, weights=tuple(lines))


def test_confirming_beta_says_which_group_starts_and_how_many_hosts_stay(given: Given) -> None:
    answer = ask(given("waiting_at_beta_gate"), Act.CONFIRM)
    assert answer.allowed
    assert str(answer.summary) == "confirms Beta group and starts group 1 (3 hosts leave the balancer, 5 of 8 stay)"
    assert "in service: 8 → 5 of 8, at least 4 must stay" in map(str, answer.lines)
    assert any("expected time 00:45" in str(line) for line in answer.lines)
    assert answer.hosts == ("hz-02", "hz-04", "hz-03")


def test_a_gray_gate_is_refused_while_a_host_that_had_traffic_has_none(given: Given) -> None:
    progress = given("waiting_at_gray_gate")
    refused = ask(with_weights(progress, {"hz-01": 50}), Act.CONFIRM)
    assert refused.refusal is not None
    assert str(refused.refusal.what) == "hz-05 still takes no traffic: set its weight first."
    assert ask(with_weights(progress, {"hz-01": 50, "hz-05": 1}), Act.CONFIRM).allowed


def test_a_host_that_never_took_traffic_does_not_hold_up_its_gray_gate(given: Given) -> None:
    progress = given("waiting_at_gray_gate")
    lines = (replace(w, recorded=0) if w.mount.host == "hz-05" else w for w in progress.weights)
    assert ask(with_weights(replace(progress, weights=tuple(lines)), {"hz-01": 50}), Act.CONFIRM).allowed


def test_confirming_is_refused_when_the_next_group_would_break_the_floor(given: Given) -> None:
    progress = with_weights(given("waiting_at_beta_gate"), {"hz-06": 0, "hz-07": 0})
    refused = ask(progress, Act.CONFIRM)
    assert refused.refusal is not None
    assert refused.refusal.code == "floor_broken"
    overridden = replace(progress, spec=replace(progress.spec, override_reason="the other room is being rebuilt"))
    answer = ask(overridden, Act.CONFIRM)
    assert answer.allowed
    assert any("the other room is being rebuilt" in str(line) for line in answer.lines)


@pytest.mark.parametrize("situation", ["ready", "beta_running", "group_running", "halted", "succeeded", "cancelled"])
def test_without_a_waiting_gate_there_is_nothing_to_confirm(given: Given, situation: str) -> None:
    refusal = ask(given(situation), Act.CONFIRM).refusal
    assert refusal is not None
    assert refusal.code == "nothing_to_confirm"


def test_confirming_another_gate_than_the_one_that_waits_is_refused(given: Given) -> None:
    progress = given("waiting_at_gray_gate")
    assert not ask(with_weights(progress, {"hz-01": 1, "hz-05": 1}), Act.CONFIRM, node="group-1-confirm").allowed


def test_setting_a_weight_says_before_after_and_the_share_of_traffic(given: Given) -> None:
    answer = ask(given("waiting_at_gray_gate"), Act.SET_WEIGHTS, weights={"hz-01": 25})
    assert answer.allowed
    assert [str(line) for line in answer.lines] == [
        "hz-01 in lb-2zelab01/rsp-2zelab01: weight 0 → 25, share of its traffic 0% → 4%"
    ]


def test_hosts_that_move_alike_are_told_together_and_their_shares_add_up(given: Given) -> None:
    answer = ask(given("waiting_at_gray_gate"), Act.SET_WEIGHTS, weights={"hz-01": 100, "hz-05": 100})
    assert str(answer.summary) == "sets weight 100: hz-01, hz-05"
    assert [str(line) for line in answer.lines] == [
        "hz-01, hz-05 in lb-2zelab01/rsp-2zelab01: weight 0 → 100 each, together 0% → 25% of its traffic"
    ]
    assert (percent(1 / 8), percent(2 / 8)) == ("12.5%", "25%")


def test_weights_and_the_confirm_they_lead_to_are_shown_as_one(given: Given) -> None:
    progress = given("waiting_at_gray_gate")
    wanted = SetWeights({"hz-01": 100, "hz-05": 100})
    first, then = ask(progress, Act.SET_WEIGHTS, weights=wanted.weights), ask(after(progress, wanted), Act.CONFIRM)
    both = in_turn(first, then)
    assert both.allowed
    assert both.act is Act.CONFIRM
    assert str(both.summary) == (
        "sets weight 100: hz-01, hz-05; then confirms Beta group and starts group 1"
        " (3 hosts leave the balancer, 5 of 8 stay)"
    )
    assert both.lines == (*first.lines, *then.lines)
    one = SetWeights({"hz-01": 100})
    refused = in_turn(ask(progress, Act.SET_WEIGHTS, weights=one.weights), ask(after(progress, one), Act.CONFIRM))
    assert refused.refusal is not None
    assert refused.refusal.code == "gate_without_traffic"
    worse = in_turn(ask(progress, Act.SET_WEIGHTS, weights={"hz-01": 101}), then)
    assert worse.refusal is not None
    assert (worse.act, worse.refusal.code) == (Act.CONFIRM, "weights_out_of_range")


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        ({"hz-02": 10}, "weights_not_settable"),  # its group has not run
        ({"hz-01": 101}, "weights_out_of_range"),
        ({"hz-01": -1}, "weights_out_of_range"),
        ({"hz-01": True}, "weights_out_of_range"),
    ],
)
def test_weights_that_make_no_sense_are_refused(given: Given, weights: dict[str, int], code: str) -> None:
    refusal = ask(given("waiting_at_gray_gate"), Act.SET_WEIGHTS, weights=weights).refusal
    assert refusal is not None
    assert refusal.code == code


def test_a_failed_host_gets_no_weight_by_hand(given: Given) -> None:
    progress = given("halted")
    assert ask(progress, Act.SET_WEIGHTS, weights={"hz-02": 50}).allowed
    refusal = ask(progress, Act.SET_WEIGHTS, weights={"hz-03": 50}).refusal
    assert refusal is not None
    assert refusal.code == "weights_not_settable"


def test_weights_may_not_take_the_balancer_below_its_floor(given: Given) -> None:
    progress = with_weights(given("halted"), {"hz-06": 0, "hz-07": 0, "hz-08": 0})
    refusal = ask(progress, Act.SET_WEIGHTS, weights={"hz-01": 0}).refusal
    assert refusal is not None
    assert refusal.code == "floor_broken"


@pytest.mark.parametrize("situation", ["ready", "beta_running", "group_running", "rolling_back"])
def test_no_weight_is_set_by_hand_while_the_engine_moves_them(given: Given, situation: str) -> None:
    assert not ask(given(situation), Act.SET_WEIGHTS, weights={"hz-01": 10}).allowed


def test_starting_is_only_possible_when_checked(given: Given) -> None:
    assert str(ask(given("ready"), Act.START).summary) == "starts Beta group (2 hosts leave the balancer, 6 of 8 stay)"


@pytest.mark.parametrize("situation", sorted(set(SITUATIONS) - {"ready"}))
def test_an_order_that_is_not_ready_is_not_started(given: Given, situation: str) -> None:
    assert not ask(given(situation), Act.START).allowed


def test_a_plan_below_the_floor_is_not_started_without_a_reason(given: Given) -> None:
    progress = given("ready", beta=False, beta_hosts=(), groups=1)
    refusal = ask(progress, Act.START).refusal
    assert refusal is not None
    assert refusal.code == "floor_broken"
    reasoned = replace(progress, spec=replace(progress.spec, override_reason="night, no traffic"))
    assert ask(reasoned, Act.START).allowed


def test_retry_takes_failed_hosts_only(given: Given) -> None:
    progress = given("halted")
    assert ask(progress, Act.RETRY).hosts == ("hz-03",)
    refusal = ask(progress, Act.RETRY, hosts=["hz-02"]).refusal
    assert refusal is not None
    assert refusal.code == "not_failed"


def failed_at(progress: OrderProgress, step: str) -> OrderProgress:
    runs = {
        key: replace(run, failed_at=step) if run.state is RunState.FAILED else run for key, run in progress.runs.items()
    }
    return replace(progress, runs=runs)


def test_a_retry_says_where_it_begins_and_what_is_done_before(given: Given) -> None:
    answer = ask(failed_at(given("halted"), "restore_traffic"), Act.RETRY)
    said = list(map(str, answer.lines))
    assert said[0] == "hz-03: attempt 2 begins at restore_traffic; steps before it that are done: 8"
    assert said[1] == "each host is asked first whether what was done is still so; what is not is done again"
    assert answer.may_keep


def test_a_retry_from_the_start_says_what_is_done_again(given: Given) -> None:
    answer = ask(failed_at(given("halted"), "restore_traffic"), Act.RETRY, from_start=True)
    said = list(map(str, answer.lines))
    assert said[0] == "hz-03: attempt 2, from its first step; done steps that are done again: 8"
    assert not any("asked first" in line for line in said)
    assert answer.may_keep


def test_a_retry_of_a_host_that_has_done_nothing_begins_at_its_first_step(given: Given) -> None:
    answer = ask(failed_at(given("halted"), "cut_traffic"), Act.RETRY)
    assert str(answer.lines[0]) == "hz-03: attempt 2, from its first step"
    assert not answer.may_keep


def test_a_retry_says_of_what_nobody_can_tell_whether_it_still_holds(given: Given) -> None:
    progress = failed_at(given("halted"), "restore_traffic")
    assert progress.plan is not None
    nodes = tuple(
        replace(node, runs=tuple(replace(run, steps=tuple(map(doubtful, run.steps))) for run in node.runs))
        for node in progress.plan.nodes
    )
    answer = ask(replace(progress, plan=replace(progress.plan, nodes=nodes)), Act.RETRY)
    assert str(answer.lines[0]) == (
        "hz-03: attempt 2 does everything again: nobody can tell whether install_software still is as it was left"
    )
    assert not answer.may_keep


def doubtful(step: StepPlan) -> StepPlan:
    return replace(step, holds=Holds.UNKNOWN) if step.holds is Holds.RECORD else step


def test_a_retry_that_only_gives_traffic_back_takes_nothing_out(given: Given) -> None:
    """Half of its weights came back before the balancer was away: it serves, and no floor holds it back."""
    late = with_weights(given("halted"), {"hz-03": 100, "hz-06": 0, "hz-07": 0, "hz-08": 0, "hz-02": 0})
    only_traffic = failed_at(late, "restore_traffic")
    assert ask(only_traffic, Act.RETRY).allowed
    refusal = ask(only_traffic, Act.RETRY, from_start=True).refusal
    assert refusal is not None
    assert refusal.code == "floor_broken"


def test_retrying_a_host_that_still_has_traffic_counts_it_as_leaving(given: Given) -> None:
    progress = with_weights(given("halted"), {"hz-03": 100, "hz-06": 0, "hz-07": 0, "hz-08": 0, "hz-02": 0})
    refusal = ask(progress, Act.RETRY).refusal
    assert refusal is not None
    assert refusal.code == "floor_broken"


def test_cancel_before_the_start_touches_nothing(given: Given) -> None:
    answer = ask(given("ready"), Act.CANCEL)
    assert (answer.allowed, answer.hosts) == (True, ())


# act → what is typed in production, whatever the order's state is: nothing, or the reason and the app's name
TYPED_IN_PRODUCTION = {
    Act.INITIALISE: "",
    Act.START: "",
    Act.PAUSE: "",
    Act.RESUME: "",
    Act.CONFIRM: "",
    Act.SET_WEIGHTS: "",
    Act.RETRY: "",
    Act.REMEDY: "",
    Act.SKIP: "trade-core",
    Act.EXCLUDE: "trade-core",
    Act.SET_LIMITS: "",
    Act.PAUSE_BEFORE: "",
    Act.HAND_OVER: "",
    Act.CANCEL: "trade-core",
    Act.ROLL_BACK: "trade-core",
    Act.GIVE_BACK: "trade-core",
}


def test_the_rule_on_what_is_typed_names_every_act() -> None:
    assert set(TYPED_IN_PRODUCTION) == set(Act)


@pytest.mark.parametrize("act", Act)
def test_what_is_typed_in_production_depends_on_the_act_alone(given: Given, act: Act) -> None:
    answers = [(ask(given(at), act), ask(given(at), act, production=False)) for at in SITUATIONS]
    allowed = [(there, elsewhere) for there, elsewhere in answers if there.allowed]
    assert allowed, f"{act} is allowed in none of the situations"
    assert {(there.type_to_confirm, there.asks_reason) for there, _ in allowed} == {
        (TYPED_IN_PRODUCTION[act], bool(TYPED_IN_PRODUCTION[act]))
    }
    assert {elsewhere.type_to_confirm for _, elsewhere in allowed} == {""}


def test_a_remedy_says_what_it_does_there_and_what_trying_again_means(given: Given) -> None:
    answer = ask(given("agent_down"), Act.REMEDY)
    assert answer.allowed
    assert str(answer.summary) == "restart the agent, then tries again: hz-02"
    lines = list(map(str, answer.lines))
    assert lines[0] == "restarts StarAgent (agent.sh restart) and waits until it is connected, on hz-02"
    assert "kept in the host's log" in lines[1]
    assert any(line.startswith("hz-02") for line in lines[2:])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"hosts": ("hz-04",)}, "no_remedy"),
        ({"remedy": "pray"}, "no_such_remedy"),
        ({"remedy": "longer_deadline"}, "no_remedy"),
        ({"deadline_s": -1}, "deadline_impossible"),
    ],
)
def test_a_remedy_that_nothing_offers_is_refused(given: Given, params: dict[str, Any], code: str) -> None:
    answer = ask(given("agent_down"), Act.REMEDY, **params)
    assert answer.refusal is not None
    assert (answer.allowed, answer.refusal.code) == (False, code)


def test_each_host_gets_its_own_remedy_and_all_of_them_are_told(given: Given) -> None:
    progress = given("init_failed")
    agent, disk = (Problem(code, message(code), message("x")) for code in ("agent_not_running", "disk_low"))
    progress = replace(progress, problems=(("hz-01", agent), ("hz-02", disk), ("hz-03", agent), ("", disk)))
    answer = ask(progress, Act.REMEDY)
    assert str(answer.summary) == "does what the cards offer, then tries again: hz-01, hz-02, hz-03"
    lines = list(map(str, answer.lines))
    assert any("agent.sh restart" in line and "hz-01, hz-03" in line for line in lines)
    assert any("free space of hz-02" in line for line in lines)
    assert ask(progress, Act.REMEDY, remedy="restart_agent").hosts == ("hz-01", "hz-03")


def test_no_remedy_begins_beside_another_one_on_the_same_host(given: Given) -> None:
    progress = given("agent_down")
    at_work = ActAtWork(7, Remedy(("hz-02",)), "bob", NOW, message("x"))
    refusal = ask(replace(progress, at_work=(at_work,)), Act.REMEDY).refusal
    assert refusal is not None
    assert refusal.code == "remedy_at_work"


def test_cancel_in_production_asks_for_the_name_and_says_who_keeps_the_new_version(given: Given) -> None:
    progress = given("halted")
    answer = ask(progress, Act.CANCEL)
    assert (answer.asks_reason, answer.type_to_confirm, answer.hosts) == (True, "trade-core", ("hz-03",))
    assert any("cancel is not rollback" in str(line) for line in answer.lines)
    assert ask(progress, Act.CANCEL, production=False).type_to_confirm == ""


@pytest.mark.parametrize("situation", ["cancelled", "succeeded", "rolled_back", "rolling_back"])
def test_what_has_ended_or_is_going_back_is_not_cancelled(given: Given, situation: str) -> None:
    assert not ask(given(situation), Act.CANCEL).allowed


def test_rolling_back_names_hosts_versions_groups_and_capacity(given: Given) -> None:
    answer = ask(given("halted"), Act.ROLL_BACK)
    assert answer.allowed
    assert answer.asks_reason
    assert answer.type_to_confirm == "trade-core"
    assert str(answer.summary) == "rolls back 5 hosts: 2.0.0 → 1.0.0"
    assert [str(line) for line in answer.lines[:2]] == [
        "2.0.0 → 1.0.0 on hz-01, hz-05, hz-02, hz-04, hz-03",
        "groups: 2; in service: 7 now, 4 at the lowest, at least 4 must stay",
    ]


def test_an_app_that_never_succeeded_here_is_not_rolled_back(given: Given) -> None:
    for situation in ("halted", "cancelled"):
        refusal = ask(given(situation), Act.ROLL_BACK, succeeded=()).refusal
        assert refusal is not None
        assert refusal.code == "rollback_never_succeeded"


def test_a_version_that_never_succeeded_is_no_way_back(given: Given) -> None:
    refusal = ask(given("halted"), Act.ROLL_BACK, version="3.0.0").refusal
    assert refusal is not None
    assert refusal.code == "rollback_never_succeeded"


def test_hosts_that_ran_a_version_that_never_succeeded_get_a_choice(given: Given) -> None:
    """Cancelled at 5 of 8, released again, rolled back: some hosts ran the new version before, which never succeeded here."""
    halted = given("halted")
    assert halted.plan is not None
    mixed = replace(halted, plan=ran_before_in(halted.plan, "hz-02", "2.0.0"))
    refused = ask(mixed, Act.ROLL_BACK, succeeded=("1.1.0", "1.0.0"))
    assert (refused.allowed, refused.choices) == (False, ("1.1.0", "1.0.0"))
    chosen = ask(mixed, Act.ROLL_BACK, succeeded=("1.1.0", "1.0.0"), version="1.0.0")
    assert (chosen.allowed, chosen.chosen, chosen.choices) == (True, "1.0.0", ("1.1.0", "1.0.0"))
    assert "2.0.0 → 1.0.0 on hz-01, hz-05, hz-02, hz-04, hz-03" in [str(line) for line in chosen.lines]


def test_where_every_host_can_get_its_own_version_back_that_is_the_first_choice(given: Given) -> None:
    answer = ask(given("halted"), Act.ROLL_BACK, succeeded=("1.1.0", "1.0.0"))
    assert (answer.allowed, answer.chosen, answer.choices) == (True, "", ("", "1.1.0", "1.0.0"))


def test_what_a_cancelled_order_has_reached_can_be_rolled_back(given: Given) -> None:
    acts = sensible_acts(
        given("cancelled"),
        succeeded_versions={"trade-core": ("1.0.0",)},
        production=True,
        now=NOW,
        way_back=way_back_of("release"),
    )
    assert [(meaning.act, meaning.allowed, meaning.makes_order) for meaning in acts] == [(Act.ROLL_BACK, True, True)]


def test_a_version_that_never_succeeded_is_refused_before_any_host_is_known_to_be_touched(given: Given) -> None:
    """The engine may not have heard yet what a job has begun; its host turns out to be touched while it is stopped."""
    running = given("group_running")
    unheard = {key: replace(run, touched=False) for key, run in running.runs.items()}
    refusal = ask(replace(running, runs=unheard), Act.ROLL_BACK, version="2.0.0").refusal
    assert refusal is not None
    assert refusal.code == "rollback_never_succeeded"


def test_an_order_that_touched_nothing_is_cancelled_not_rolled_back(given: Given) -> None:
    refusal = ask(given("ready"), Act.ROLL_BACK).refusal
    assert refusal is not None
    assert refusal.code == "rollback_nothing_touched"


def test_after_success_the_version_before_is_offered(given: Given) -> None:
    answer = ask(given("succeeded"), Act.ROLL_BACK, succeeded=("2.0.0", "1.0.0"))
    assert answer.allowed
    assert str(answer.summary) == "creates a rollback order to 1.0.0"


def test_pause_then_resume(given: Given) -> None:
    running = given("group_running")
    assert ask(running, Act.PAUSE).hosts == ("hz-04", "hz-03")
    assert not ask(running, Act.RESUME).allowed
    paused = given("paused")
    assert ask(paused, Act.RESUME).allowed
    assert not ask(paused, Act.PAUSE).allowed


def test_giving_up_a_rollback_waits_until_nothing_runs(given: Given) -> None:
    going = replace(given("rolling_back"), state=OrderState.HALTED)
    assert not ask(going, Act.CANCEL).allowed
    failed = {
        key: replace(run, state=RunState.FAILED) if key[0] is Direction.BACK and run.state is RunState.RUNNING else run
        for key, run in going.runs.items()
    }
    answer = ask(replace(going, runs=failed), Act.CANCEL)
    assert answer.allowed
    assert any("hz-03" in str(line) for line in answer.lines)


EXPECTED_FIRST = {
    "initialising": Act.CANCEL,
    "init_failed": Act.INITIALISE,
    "ready": Act.START,
    "beta_running": Act.PAUSE,
    "waiting_at_beta_gate": Act.CONFIRM,
    "waiting_at_gray_gate": Act.SET_WEIGHTS,
    "group_running": Act.PAUSE,
    "balancer_away": Act.PAUSE,
    "halted": Act.RETRY,
    "halted_late": Act.RETRY,
    "agent_down": Act.RETRY,
    "retrying": Act.PAUSE,
    "paused": Act.RESUME,
    "rolling_back": Act.PAUSE,
    "rolled_back": None,  # the hosts already run what they ran before
    "cancelled": Act.ROLL_BACK,
    "left_behind": Act.GIVE_BACK,
    "succeeded": Act.ROLL_BACK,
}


@pytest.mark.parametrize("situation", sorted(SITUATIONS))
def test_the_expected_act_comes_first_and_every_refusal_says_what_to_do(given: Given, situation: str) -> None:
    progress = given(situation)
    acts = sensible_acts(
        progress,
        succeeded_versions={"trade-core": ("1.0.0",)},
        production=True,
        now=NOW,
        way_back=way_back_of("release"),
    )
    expected = EXPECTED_FIRST[situation]
    assert [act.act for act in acts[:1]] == ([expected] if expected else [])
    assert all(act.allowed for act in acts[:1])
    for act in Act:
        answer = ask(progress, act)
        assert answer.allowed is (answer.refusal is None)
        if answer.refusal is not None:
            assert str(answer.refusal.what)
            assert str(answer.refusal.remedy)


def test_an_ended_order_gives_back_what_it_left_behind_and_nothing_else(given: Given) -> None:
    left = given("left_behind")
    answer = ask(left, Act.GIVE_BACK)
    assert (answer.hosts, answer.asks_reason, answer.type_to_confirm) == (("hz-03",), True, "trade-core")
    assert any("weight 0 → 100" in str(line) for line in answer.lines)
    refusal = ask(left, Act.GIVE_BACK, hosts=["hz-01"]).refusal
    assert refusal is not None
    assert refusal.code == "nothing_left_behind"
    assert not ask(given("halted"), Act.GIVE_BACK).allowed
