"""Orders that a newer version wrote, of a kind or with a step that this one does not know: shown, left alone, and said so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.api import Api
from engine.api_errors import ApiError
from engine.domain.acts import Cancel, RollBack
from engine.domain.orders import OrderSpec, What
from engine.store import tables as t
from engine.store.store import Store
from tests.support.postgres import postgres_server, postgres_url
from tests.support.seeds import NOW, seed_engine, seed_fleet, seed_order

__all__ = ["postgres_server", "postgres_url"]

HERE = ("acme", "prod")
NEWER = "blue-green"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Store.open(str(url))
    seed_fleet(opened)
    seed_engine(opened)
    yield opened
    opened.close()


@pytest.fixture
def api(store: Store, tmp_path: Path) -> Iterator[Api]:
    opened = Api(store.url, operator="alice", log_dir=tmp_path / "logs", now=lambda: NOW)
    opened.open()
    yield opened
    opened.close()


def of_newer_kind(store: Store, situation: str) -> int:
    """With parts of its own in what was asked, one of them under a name that this version has as well."""
    order_id = seed_order(store, situation)
    with store.writing() as conn:
        spec = conn.execute(sa.select(t.order.c.spec).where(t.order.c.id == order_id)).scalar_one()
        what = {"kind": NEWER, "data": {"sides": ["blue", "green"], "traffic": "mirror"}}
        values = {"kind": NEWER, "spec": {**spec, "what": what}}
        conn.execute(sa.update(t.order).where(t.order.c.id == order_id).values(**values))
    return order_id


def with_newer_step(store: Store, situation: str) -> int:
    order_id = seed_order(store, situation)
    with store.writing() as conn:
        plan = conn.execute(sa.select(t.order.c.plan).where(t.order.c.id == order_id)).scalar_one()
        newer = json.loads(json.dumps(plan).replace('"does": "deploy"', '"does": "teleport"'))
        assert newer != plan
        conn.execute(sa.update(t.order).where(t.order.c.id == order_id).values(plan=newer))
    return order_id


@pytest.mark.parametrize("situation", ["ready", "waiting_at_beta_gate", "halted"])
@pytest.mark.parametrize(
    ("write", "code", "named"),
    [(of_newer_kind, "kind_unknown", NEWER), (with_newer_step, "step_unknown", "teleport")],
    ids=["kind", "step"],
)
def test_it_is_shown_offers_no_act_and_says_why(
    api: Api, store: Store, write: Any, code: str, named: str, situation: str
) -> None:
    order_id = write(store, situation)
    (row,) = api.orders(*HERE)
    assert row.id == order_id
    order = api.order(*HERE, order_id)
    assert order.acts == ()
    assert named in str(order.next)
    assert order.hosts
    if situation != "halted":  # that one has a failed host to tell of
        assert order.problem is not None
        assert order.problem.code == code
    meaning = api.consequence(*HERE, order_id, Cancel())
    assert not meaning.allowed
    assert meaning.refusal is not None
    assert meaning.refusal.code == code


def test_none_of_that_kind_is_made_or_looked_at_here(api: Api) -> None:
    for ask in (api.preview, api.create_order):
        with pytest.raises(ApiError) as caught:
            ask(*HERE, OrderSpec(What(NEWER, {"sides": ["blue", "green"]})))
        assert caught.value.problem.code == "kind_unknown"
        assert NEWER in str(caught.value.problem.what)
    assert api.orders(*HERE) == ()


def test_an_ended_one_is_not_rolled_back_here(api: Api, store: Store) -> None:
    order_id = of_newer_kind(store, "succeeded")
    with pytest.raises(ApiError) as caught:
        api.create_rollback(*HERE, order_id, RollBack(), reason="bad")
    assert caught.value.problem.code == "kind_unknown"
