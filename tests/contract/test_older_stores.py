"""Stores that earlier versions wrote, with an order in the middle of its work: it goes on, and what has ended is still shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from engine.api import Api
from engine.domain.states import Act, Direction, OrderState, RunState
from engine.ports import JobEnded, JobEvent, LogBytes, StepEnded, StepStarted
from engine.store.migrations import configuration
from engine.store.store import Store
from engine.views.values import to_json
from tests.contract.test_engine_contract import Scene, url  # noqa: F401
from tests.support.fleet_rows import GROUP, Fleet
from tests.support.orders import run_of

STORES = Path(__file__).parent.parent / "support" / "stores"
HERE = ("acme", "prod")
FIRST, SECOND, THIRD = 1, 2, 3
HOST = "hz-a-01"  # it was in the middle of its deploy when the engine was lost


def load(name: str) -> dict[str, Any]:
    return dict(json.loads((STORES / f"{name}.json").read_text()))


def write_store(url: str, kept: dict[str, Any]) -> None:  # noqa: F811
    """The tables of that version with its rows, as that version left them."""
    engine = sa.create_engine(url)
    with engine.connect() as connection, connection.begin():
        command.upgrade(configuration(connection), kept["revision"])
        metadata = sa.MetaData()
        metadata.reflect(connection)
        for name, rows in kept["tables"].items():
            connection.execute(sa.insert(metadata.tables[name]), rows)
        if connection.dialect.name == "postgresql":
            for name in kept["tables"]:
                if "id" in metadata.tables[name].c and isinstance(metadata.tables[name].c.id.type, sa.Integer):
                    connection.execute(
                        sa.text(
                            f"SELECT setval(pg_get_serial_sequence('\"{name}\"', 'id'), (SELECT max(id) FROM \"{name}\"))"
                        )
                    )
    engine.dispose()


def scene_of(folder: Path, store: Store, kept: dict[str, Any]) -> Scene:
    """The world as it was: what the jobs on the hosts have done, the weights, the logs."""
    world = kept["world"]
    (instance,) = kept["tables"]["service_instance"]
    hosts = tuple(host["name"] for host in kept["tables"]["host"])
    scene = Scene(folder, store, Fleet(instance["workspace_id"], instance["app_id"], instance["id"], hosts))
    scene.order_id = THIRD
    scene.clock.time = world["now"]
    scene.balancer.weights[GROUP] = {(server, 80): weight for server, weight in world["weights"].items()}
    for place, events in world["jobs"].items():
        host, key = place.split()
        scene.remote.records[host, key] = [event_of(each, at) for at, each in enumerate(events)]
        scene.remote.epochs[THIRD, host] = world["epoch"]
    for path, text in world["logs"].items():
        (folder / "logs" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "logs" / path).write_text(text)
    return scene


def event_of(told: list[Any], at: int) -> JobEvent:
    match told:
        case ["start", step]:
            return StepStarted(step, 0.0, at)
        case ["done", step, status]:
            return StepEnded(step, status, False, 0.0, at)
        case ["log", text]:
            return LogBytes(text.encode(), at)
        case ["end", stopped]:
            return JobEnded(stopped, at)
    raise AssertionError(told)


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Iterator[Scene]:  # noqa: F811
    kept = load(request.param)
    write_store(url.replace("postgresql://", "postgresql+psycopg://"), kept)
    store = Store.open(url)
    yield scene_of(tmp_path, store, kept)
    store.close()


@pytest.mark.parametrize("scene", ["v0001-release-runs"], indirect=True)
async def test_a_release_that_an_older_version_began_is_joined_and_brought_to_its_end(scene: Scene) -> None:
    async with scene.engine():
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.versions().values()) == {"2.0.0"}
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)
    # the job it had on the host was joined under its old name: no step of it began twice, and no other was started
    begun = [event.step for event in scene.remote.records[HOST, "forward-1"] if isinstance(event, StepStarted)]
    assert len(begun) == len(set(begun)) == 7
    assert (HOST, "forward-group-1-1") not in scene.remote.records
    assert scene.remote.effects[HOST, "forward-1", "deploy"] == 0
    assert scene.remote.effects["hz-b-01", "forward-1", "deploy"] == 1


@pytest.mark.parametrize("scene", ["v0001-release-runs"], indirect=True)
async def test_what_an_older_version_left_running_is_stopped_before_the_way_back(scene: Scene) -> None:
    scene.remote.hanging = {(HOST, "deploy")}
    async with scene.engine():
        await scene.accepted(Act.ROLL_BACK, reason="errors")
        await scene.until(lambda p: p.direction is Direction.BACK)
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert (HOST, "forward-1") in scene.remote.stopped
    assert run_of(progress, HOST, Direction.BACK).state is RunState.SUCCEEDED
    assert scene.remote.effects[HOST, "back-back-1-1", "deploy"] == 1
    assert scene.weights() == {100}


@pytest.mark.parametrize("scene", ["v0001-way-back-runs"], indirect=True)
async def test_a_way_back_that_an_older_version_began_is_brought_to_its_end(scene: Scene) -> None:
    async with scene.engine():
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)
    ended = [event.step for event in scene.remote.records[HOST, "back-1"] if isinstance(event, StepEnded)]
    assert len(ended) == len(set(ended)) == 7
    assert scene.remote.effects[HOST, "back-1", "deploy"] == 0


@pytest.mark.parametrize("scene", ["v0001-release-runs", "v0001-way-back-runs"], indirect=True)
async def test_orders_that_had_ended_are_still_shown(scene: Scene) -> None:
    api = Api(scene.store.url, operator="alice", log_dir=scene.folder / "logs", now=scene.clock.now)
    api.open()
    rows = {row.id: row for row in api.orders(*HERE)}
    assert [(rows[n].kind, rows[n].subject, rows[n].versions) for n in (FIRST, SECOND, THIRD)] == [
        ("release", "shop", "2.0.0"),
        ("rollback", "shop", "1.0.0"),
        ("release", "shop", "2.0.0"),
    ]
    assert (rows[FIRST].state, rows[FIRST].done_hosts) == (OrderState.SUCCEEDED, 4)
    first, second = api.order(*HERE, FIRST), api.order(*HERE, SECOND)
    assert [str(node.label) for node in first.nodes] == [
        "initialise", "Beta group", "Beta confirm", "group 1", "group 2", "finish",
    ]  # fmt: skip
    assert {run.state for run in first.hosts} == {RunState.SUCCEEDED}
    assert all(len(run.steps) == 9 for run in first.hosts)
    assert first.hosts[0].log_path.endswith(f"/{FIRST}/{first.hosts[0].name}.forward-1.log")
    assert second.state is OrderState.ROLLED_BACK
    assert "way back 1" in [str(node.label) for node in second.nodes]
    for order in (first, second):
        assert json.dumps(to_json(order))
        assert all(str(event.sentence) for event in api.events(order_id=order.id))
    api.close()


@pytest.mark.parametrize("scene", ["v0001-release-runs"], indirect=True)
async def test_a_store_carried_over_takes_new_orders(scene: Scene) -> None:
    async with scene.engine():
        await scene.until_state(OrderState.SUCCEEDED)
        scene.remote.records.clear()
        await scene.start(groups=2)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
