"""What may be asked of the engine, against real stores: reading, previewing, creating, commanding."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.api import Api
from engine.api_errors import ApiError, OrderRefused
from engine.domain import step_names
from engine.domain.acts import Cancel, Confirm, Pause, RollBack, SetWeights
from engine.domain.message import message
from engine.domain.orders import OrderSpec
from engine.domain.states import (
    CommandState,
    Direction,
    NodeState,
    OrderState,
    RunState,
    StackStatus,
    Strategy,
    TrafficMode,
)
from engine.kinds.release import release_spec as any_release
from engine.reading.events import sentence
from engine.store import tables as t
from engine.store.commands import set_working
from engine.store.progress import load_progress
from engine.store.store import Store
from engine.views.values import to_json
from tests.support.postgres import postgres_server, postgres_url
from tests.support.seeds import (
    NOW,
    SITUATIONS,
    OrderStory,
    release_spec,
    seed_engine,
    seed_fleet,
    seed_order,
    set_heartbeat,
)

__all__ = ["postgres_server", "postgres_url"]

HERE = ("acme", "prod")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    seed_fleet(opened)
    yield opened
    opened.close()


@pytest.fixture
def api(store: Store, tmp_path: Path) -> Iterator[Api]:
    opened = Api(store.url, operator="alice", log_dir=tmp_path / "logs", now=lambda: NOW)
    opened.open()
    yield opened
    opened.close()


def refusal(ask: Callable[[], Any]) -> str:
    with pytest.raises(ApiError) as caught:
        ask()
    assert str(caught.value.problem.remedy)
    return caught.value.problem.code


# ---------------------------------------------------------------------------------------------------------------- reading


def test_the_catalogue_as_it_stands_in_a_workspace(api: Api, store: Store) -> None:
    order_id = seed_order(store, "halted")
    assert [(w.tenant, w.workspace, w.apps, w.open_orders, w.waiting_orders) for w in api.workspaces()] == [
        ("acme", "dev", 0, 0, 0),
        ("acme", "prod", 2, 1, 1),
        ("acme", "test", 0, 0, 0),
        ("globex", "prod", 1, 0, 0),
    ]
    ledger, core = api.apps(*HERE)
    assert (core.name, core.version, core.hosts, core.failed_hosts) == ("trade-core", "1.0.0", 8, 1)
    assert (core.open_order, core.open_order_state) == (order_id, OrderState.HALTED)
    assert core.packages == ("3.0.0", "2.0.0", "1.0.0")
    assert core.succeeded_versions == ("1.0.0",)
    assert core.deployed_hosts == 3  # the others run 2.0.0 or failed
    assert (ledger.version, ledger.succeeded_versions, ledger.hosts) == ("", (), 1)
    hosts = api.hosts(*HERE, app="trade-core")
    assert [host.name for host in hosts if host.data_centre == "hz-a"] == ["hz-02", "hz-04", "hz-01", "hz-03"]
    assert {host.apps for host in hosts} == {("trade-core",)}
    assert len(api.hosts(*HERE)) == 9
    assert api.hosts("acme", "test", app="trade-core") == ()


def test_nothing_of_a_tenant_is_visible_from_another(api: Api, store: Store) -> None:
    order_id = seed_order(store, "waiting_at_beta_gate")
    for tenant, workspace in (("globex", "prod"), ("acme", "test")):
        assert api.orders(tenant, workspace) == ()
        asks = [
            lambda: api.order(tenant, workspace, order_id),  # noqa: B023
            lambda: api.consequence(tenant, workspace, order_id, Cancel()),  # noqa: B023
            lambda: api.send(tenant, workspace, order_id, Cancel(), reason="mine"),  # noqa: B023
        ]
        assert [refusal(ask) for ask in asks] == ["no_such_order"] * 3
    assert api.apps("globex", "prod")[0].open_order is None
    assert [app.name for app in api.apps("globex", "prod")] == ["trade-core"]
    assert refusal(lambda: api.hosts("globex", "prod", app="ledger")) == "no_such_app"
    assert refusal(lambda: api.apps("globex", "dev")) == "no_such_workspace"
    assert api.events(within=("globex", "prod")) == api.events(within=("acme", "test"), order_id=order_id) == ()
    assert api.events(within=HERE) == api.events(order_id=order_id)
    with store.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(t.command)).scalar_one() == 0


def test_a_halted_order_in_one_snapshot(api: Api, store: Store) -> None:
    seed_engine(store)
    order = api.order(*HERE, seed_order(store, "halted"))
    assert (order.state, order.in_service, order.floor, order.engine_alive) == (OrderState.HALTED, 7, 4, True)
    assert "hz-03 failed; retry, roll back or cancel" in str(order.next)
    nodes = {node.key: node for node in order.nodes}
    assert [node.key for node in order.nodes] == [
        "initialise", "beta", "beta-confirm", "group-1", "group-2", "finish",
    ]  # fmt: skip
    assert (nodes["group-1"].state, nodes["group-1"].done, nodes["group-1"].failed) == (NodeState.HALTED, 2, 1)
    assert nodes["beta-confirm"].confirmed_by == "bob"
    hosts = {host.name: host for host in order.hosts}
    failed = hosts["hz-03"]
    assert (failed.state, failed.step, failed.version, failed.weights[0].confirmed) == (
        RunState.FAILED, step_names.CHECK_HEALTH, "2.0.0", 0,
    )  # fmt: skip
    assert failed.problem is not None
    assert failed.problem.evidence.startswith("passed:false")
    assert failed.log_path.endswith(f"/{order.id}/hz-03.forward-group-1-1.log")
    assert (hosts["hz-06"].state, hosts["hz-06"].steps, hosts["hz-06"].version) == (RunState.PENDING, (), "1.0.0")
    assert (order.balancers[0].hosts, order.balancers[0].in_service) == (8, 7)
    assert order.last_event == api.events(order_id=order.id)[-1].id


def test_an_order_going_back_shows_both_ways(api: Api, store: Store) -> None:
    order = api.order(*HERE, seed_order(store, "rolling_back"))
    assert [node.direction for node in order.nodes] == [Direction.FORWARD] * 6 + [Direction.BACK] * 3
    hosts = {host.name: host for host in order.hosts}
    assert (hosts["hz-03"].direction, hosts["hz-03"].node, hosts["hz-03"].to_version) == (
        Direction.BACK,
        "back-1",
        "1.0.0",
    )
    assert hosts["hz-06"].direction is Direction.FORWARD


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_every_situation_is_json_and_every_event_a_sentence(api: Api, store: Store) -> None:
    for situation in SITUATIONS:
        order_id = seed_order(store, situation)
        assert json.dumps(to_json(api.order(*HERE, order_id)))
        for event in api.events(order_id=order_id):
            assert "{" not in str(event.sentence)
    newest_first = [row.id for row in api.orders(*HERE)]
    assert newest_first == sorted(newest_first, reverse=True)
    assert all(not row.state.complete for row in api.orders(*HERE, open_only=True))


def test_an_order_read_again_shows_what_moved_meanwhile(api: Api, store: Store) -> None:
    order_id = seed_order(store, "beta_running")
    before = {host.name: host for host in api.order(*HERE, order_id).hosts}
    assert before["hz-05"].step == step_names.DEPLOY
    with store.writing() as conn:
        story = OrderStory.__new__(OrderStory)
        story.conn, story.id, story.at = conn, order_id, NOW
        story.set_weight("hz-02", 40, owned=False)
        conn.execute(sa.update(t.host).where(t.host.c.name == "hz-04").values(version="1.0.1"))
        step = sa.and_(t.step.c.order_id == order_id, t.step.c.host == "hz-05", t.step.c.key == "deploy")
        conn.execute(sa.update(t.step).where(step).values(state="succeeded", ended_at=NOW))
    after = {host.name: host for host in api.order(*HERE, order_id).hosts}
    assert after["hz-02"].weights[0].confirmed == 40
    assert after["hz-04"].version == "1.0.1"
    assert [s.state for s in after["hz-05"].steps if s.name == step_names.DEPLOY] == ["succeeded"]
    assert after["hz-01"] == before["hz-01"]


def test_events_are_read_on_from_the_last_one_seen(api: Api, store: Store) -> None:
    order_id = seed_order(store, "waiting_at_beta_gate")
    first = api.events(order_id=order_id, limit=3)
    rest = api.events(order_id=order_id, after=first[-1].id)
    assert [event.id for event in (*first, *rest)] == [event.id for event in api.events(order_id=order_id)]
    assert api.events()[-1].id == rest[-1].id
    assert str(rest[-1].sentence) == "the order waits for a confirmation"


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("weight", {"host": "hz-01", "server_group": "lb/rsp", "before": None, "asked": 5, "read_back": 7, "verified": "no"},
         "hz-01 in lb/rsp: weight 5 was requested, the balancer shows 7"),
        ("weight", {"host": "hz-01", "server_group": "lb/rsp", "before": 0, "asked": 5, "read_back": None,
                    "verified": "cannot_tell"},
         "hz-01 in lb/rsp: weight 5 was requested, but could not be read back"),
        ("command", {"act": "cancel", "operator": "bob", "state": "accepted", "reason": "wrong"},
         "bob: cancel accepted (wrong)"),
        ("engine", {"engine": "e2", "epoch": 3}, "engine e2 took the order over (epoch 3)"),
        ("node", {"key": "beta-confirm", "label": message("Beta confirm").to_json(), "state": "succeeded", "was": "waiting",
                  "by": "bob"},
         "Beta confirm: confirmed by bob"),
        ("of_the_future", {}, "event of_the_future"),
    ],
)  # fmt: skip
def test_each_kind_of_event_says_what_happened(kind: str, data: dict[str, Any], said: str) -> None:
    assert str(sentence(kind, data)) == said


def test_an_engine_that_fell_silent_is_not_alive(api: Api, store: Store) -> None:
    order_id = seed_order(store, "beta_running")
    assert not api.engine_alive()
    assert "no engine is running" in str(api.order(*HERE, order_id).next)
    seed_engine(store, at=NOW - 6)
    assert not api.engine_alive()
    set_heartbeat(store, NOW - 1)
    assert api.engine_alive()
    assert "Beta group runs (1 of 2 hosts done)" in str(api.order(*HERE, order_id).next)


# -------------------------------------------------------------------------------------------------------------- releasing


def test_a_preview_shows_the_groups_and_the_capacity_curve(api: Api) -> None:
    preview = api.preview(*HERE, release_spec())
    assert preview.problems == ()
    assert [(p.node, p.in_service) for p in preview.capacity] == [
        ("initialise", 8), ("beta", 6), ("beta-confirm", 8), ("group-1", 5), ("group-2", 5), ("finish", 8),
    ]  # fmt: skip
    assert (preview.floor, preview.lowest_in_service, preview.apps[0].from_version) == (4, 5, "1.0.0")
    notes = " ".join(map(str, preview.notes))
    assert "RPC and messages go on" in notes
    assert "assumed in service until the check reads their weights" in notes


def test_a_preview_counts_with_the_weights_read_last(api: Api, store: Store) -> None:
    seed_order(store, "waiting_at_gray_gate")
    assert api.preview(*HERE, release_spec()).in_service == 6


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("spec", "codes"),
    [
        (release_spec(version="9.9.9", groups=0), ["package_unknown", "groups_out_of_range"]),
        (release_spec(groups=9), ["groups_out_of_range"]),
        (release_spec(beta_hosts=("hz-01", "hz-77")), ["beta_host_unknown"]),
        (release_spec(beta=False, beta_hosts=(), groups=1), ["floor_broken"]),
        (release_spec(traffic=TrafficMode.PRESET, preset_weights={"hz-01": 0, "hz-77": 5}),
         ["preset_weight_out_of_range", "preset_host_unknown", "preset_weight_missing"]),
        (release_spec(kind="rollback", version="3.0.0"), ["rollback_never_succeeded", "reason_missing"]),
        (release_spec(parallelism=0, max_failures=-1), ["parallelism_out_of_range", "number_negative"]),
        (any_release("ledger", "1.0.0", groups=1, kind="rollback", reason="bad"),
         ["rollback_never_succeeded"]),
    ],
)  # fmt: skip
def test_everything_that_forbids_a_release_is_named_at_once(
    api: Api, store: Store, spec: OrderSpec, codes: list[str]
) -> None:
    assert [problem.code for problem in api.preview(*HERE, spec).problems] == codes
    with pytest.raises(OrderRefused) as caught:
        api.create_order(*HERE, spec)
    assert [problem.code for problem in caught.value.problems] == codes
    assert caught.value.problem.code == "order_refused"
    with store.reading() as conn:
        for table in (t.order, t.event):
            assert conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
        audited = conn.execute(sa.select(t.audit)).one()
    assert (audited.operator, audited.outcome, audited.problem["code"]) == ("alice", "refused", "order_refused")


def test_a_release_waits_for_no_second_one_on_the_same_hosts(api: Api, store: Store) -> None:
    order_id = seed_order(store, "ready")
    problems = api.preview(*HERE, release_spec()).problems
    assert [problem.code for problem in problems] == ["open_order"]
    assert f"#{order_id}" in str(problems[0].what)


def test_a_deprecated_stack_forbids_a_release(api: Api, store: Store) -> None:
    with store.writing() as conn:
        conn.execute(sa.update(t.tech_stack).values(status=str(StackStatus.DEPRECATED)))
    assert [problem.code for problem in api.preview(*HERE, release_spec()).problems] == ["stack_not_published"]


def test_an_app_without_a_place_here_is_said_so(api: Api) -> None:
    assert [p.code for p in api.preview("acme", "test", release_spec()).problems] == ["no_service_instance"]
    assert refusal(lambda: api.preview(*HERE, release_spec(app="nothing"))) == "no_such_app"


def test_a_created_release_is_initialising_and_audited(api: Api, store: Store) -> None:
    spec = release_spec(beta=False, beta_hosts=(), groups=1, override_reason="one host is enough at night")
    order = api.order(*HERE, api.create_order(*HERE, spec))
    assert (order.state, order.created_by, order.nodes[0].state) == (
        OrderState.INITIALISING,
        "alice",
        NodeState.RUNNING,
    )
    assert len(order.hosts) == 8
    with store.reading() as conn:
        audit = conn.execute(sa.select(t.audit)).one()
    assert (audit.operator, audit.act, audit.reason) == ("alice", "create_release", "one host is enough at night")
    assert audit.after["what"]["data"]["apps"][0]["version"] == "2.0.0"
    assert [event.kind for event in api.events(order_id=order.id)] == ["order"]


def test_of_two_releases_at_the_same_moment_one_is_made(api: Api) -> None:
    made: list[object] = []

    def create() -> None:
        try:
            made.append(api.create_order(*HERE, release_spec()))
        except ApiError as error:
            made.append(error.problem.code)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(map(str, made))[1:] == ["order_refused"] * 3
    assert len(api.orders(*HERE)) == 1


def test_a_rollback_of_an_ended_order_is_an_order_of_its_own(api: Api, store: Store) -> None:
    ended = seed_order(store, "succeeded")
    assert refusal(lambda: api.send(*HERE, ended, RollBack(), reason="bad")) == "order_ended"
    succeed(store, "2.0.0")
    order = api.order(*HERE, api.create_rollback(*HERE, ended, RollBack(), reason="bad figures"))
    assert (order.kind, order.versions, order.reason) == ("rollback", "1.0.0", "bad figures")


def succeed(store: Store, version: str) -> None:
    """What the engine records when a release succeeds."""
    with store.writing() as conn:
        instance = conn.execute(sa.select(t.order_app.c.service_instance_id)).scalars().first()
        values = {"service_instance_id": instance, "version": version, "at": NOW}
        conn.execute(sa.insert(t.succeeded_version).values(**values))


def test_a_rollback_order_is_refused_for_what_its_dialog_said(api: Api, store: Store) -> None:
    going = seed_order(store, "halted")
    assert refusal(lambda: api.create_rollback(*HERE, going, RollBack(), reason="bad")) == "order_open"
    with store.writing() as conn:
        conn.execute(sa.update(t.order).values(state="failed"))
    assert refusal(lambda: api.create_rollback(*HERE, going, RollBack(), reason=" ")) == "reason_missing"
    assert (
        refusal(lambda: api.create_rollback(*HERE, going, RollBack("9.9.9"), reason="bad"))
        == "rollback_never_succeeded"
    )
    seed_order(store, "halted")  # another order is open on the same hosts
    meaning = api.consequence(*HERE, going, RollBack())
    assert meaning.refusal is not None
    assert meaning.refusal.code == "open_order"
    assert refusal(lambda: api.create_rollback(*HERE, going, RollBack(), reason="bad")) == "open_order"


def test_a_rollback_order_is_grouped_so_that_the_floor_holds_where_it_can(api: Api, store: Store) -> None:
    spec = release_spec(strategy=Strategy.ONE_GROUP, beta=False, override_reason="a night without traffic")
    with store.writing() as conn:
        conn.execute(sa.update(t.workspace).values(floor_percent=80))  # 7 of 8 stay: one host at a time
    order_id = seed_order(store, "initialising", spec)
    with store.writing() as conn:
        conn.execute(sa.update(t.order).values(state="failed"))
    meaning = api.consequence(*HERE, order_id, RollBack())
    assert (meaning.allowed, meaning.makes_order, meaning.asks_override) == (True, True, False)
    assert "in service: 8, at least 7 while it runs, floor 7" in [str(line) for line in meaning.lines]
    back = api.create_rollback(*HERE, order_id, RollBack(), reason="bad")
    with store.reading() as conn:
        spec = load_progress(conn, back).spec
    assert (spec.grouping.strategy, spec.grouping.count) == (Strategy.QUICK, 8)


def test_a_rollback_order_below_the_floor_asks_why(api: Api, store: Store) -> None:
    order_id = seed_order(store, "initialising", release_spec(override_reason="a night without traffic", floor=8))
    with store.writing() as conn:
        conn.execute(sa.update(t.order).values(state="failed"))
    meaning = api.consequence(*HERE, order_id, RollBack())
    assert (meaning.allowed, meaning.asks_override) == (True, True)
    assert refusal(lambda: api.create_rollback(*HERE, order_id, RollBack(), reason="bad")) == "order_refused"
    assert api.create_rollback(*HERE, order_id, RollBack(override_reason="nobody is awake"), reason="bad")


# ----------------------------------------------------------------------------------------------------------------- acting


def test_a_command_is_written_audited_and_answered(api: Api, store: Store) -> None:
    order_id = seed_order(store, "waiting_at_beta_gate")
    command_id = api.send(*HERE, order_id, Confirm("beta-confirm"))
    assert api.command(command_id).state is CommandState.SENT

    def answer() -> None:
        with store.writing() as conn:
            conn.execute(sa.update(t.command).where(t.command.c.id == command_id).values(state="accepted"))

    timer = threading.Timer(0.1, answer)
    timer.start()
    assert api.wait_command(command_id).state is CommandState.ACCEPTED
    timer.join()
    with store.reading() as conn:
        audit = conn.execute(sa.select(t.audit)).one()
    assert (audit.act, audit.target, audit.before) == ("confirm", f"order #{order_id}", {"state": "waiting"})


def test_a_command_that_nobody_answers_says_that_no_engine_runs(api: Api, store: Store) -> None:
    command_id = api.send(*HERE, seed_order(store, "waiting_at_beta_gate"), Pause())
    assert refusal(lambda: api.wait_command(command_id, begun_within_s=0.2)) == "no_engine"
    assert refusal(lambda: api.command(command_id + 1)) == "no_such_command"


def test_while_an_engine_is_alive_nobody_is_told_that_none_answers(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_id = api.send(*HERE, seed_order(store, "waiting_at_beta_gate"), Pause())
    seed_engine(store)
    monkeypatch.setattr("engine.api.SILENT_S", 0.5)
    assert refusal(lambda: api.wait_command(command_id, begun_within_s=0.1)) == "engine_silent"


def test_an_act_that_takes_its_time_is_waited_for_and_says_for_what(api: Api, store: Store) -> None:
    command_id = api.send(*HERE, seed_order(store, "waiting_at_gray_gate"), SetWeights({"hz-01": 50}))
    said: list[str] = []

    def work() -> None:
        for waits_for in ("the balancer is asked", "the balancer is busy"):
            time.sleep(0.2)
            with store.writing() as conn:
                set_working(conn, command_id, message(waits_for))
        time.sleep(0.6)  # longer than the time in which it is to be taken up
        with store.writing() as conn:
            conn.execute(sa.update(t.command).where(t.command.c.id == command_id).values(state="accepted"))

    worker = threading.Thread(target=work)
    worker.start()
    answer = api.wait_command(command_id, begun_within_s=0.5, working=lambda view: said.append(str(view.waits_for)))
    worker.join()
    assert answer.state is CommandState.ACCEPTED
    assert said == ["the balancer is asked", "the balancer is busy"]
    with store.writing() as conn:
        conn.execute(sa.update(t.command).values(state="working"))
    assert refusal(lambda: api.wait_command(command_id, done_within_s=0.2)) == "still_working"


def test_what_asks_for_a_reason_is_not_sent_without_one(api: Api, store: Store) -> None:
    order_id = seed_order(store, "halted")
    assert refusal(lambda: api.send(*HERE, order_id, RollBack(), reason="  ")) == "reason_missing"
    assert refusal(lambda: api.send(*HERE, order_id, SetWeights())) == "no_weights_given"
    assert api.send(*HERE, order_id, RollBack(), reason="health does not pass")


def test_a_change_by_another_process_changes_the_token(api: Api, store: Store) -> None:
    token = api.change_token()
    assert api.change_token() == token
    seed_engine(store)
    assert api.wait_change(token, timeout_s=10) != token


def test_a_store_that_is_not_open_or_not_there_says_so(tmp_path: Path) -> None:
    closed = Api(f"sqlite:///{tmp_path}/none.db", operator="alice", log_dir=tmp_path, create=False)
    assert refusal(closed.workspaces) == "store_unreachable"
    assert refusal(closed.open) == "store_unreachable"


def test_importing_the_api_waits_for_no_database_library() -> None:
    heavy = ("sqlalchemy", "alembic", "pydantic", "asyncssh", "oss2", "aliyunsdkcore", "textual")
    code = f"import sys, engine.api; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
