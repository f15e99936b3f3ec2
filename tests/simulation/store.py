"""The engine's store in memory and its background on the event loop, both with the faults a run has in store for them.

The real tables and the real statements; a commit can fail, or be made and its answer lost. Only what a process of an engine
does can fail: what operators and checkers read and write always works.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from engine.domain.message import message
from engine.store import tables as t
from engine.store.failures import store_error
from engine.store.store import Store
from tests.simulation.loop import PROCESS, Process, running_loop

POLL_S = 0.025  # a change is noticed that much later, as in a file
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class StoreFaults:
    """Chances a transaction: a read that fails, a commit that fails, a commit whose answer is lost."""

    read: float = 0.0
    commit: float = 0.0
    answer: float = 0.0
    away_until: float = 0.0  # until then nothing works


@cache
def _engine() -> tuple[sa.Engine, bytes]:
    """One connection for all runs of this process (statements stay compiled), and the image of an empty store."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    t.metadata.create_all(engine)
    return engine, _driver(engine).serialize()


def _driver(engine: sa.Engine) -> sqlite3.Connection:
    raw = engine.raw_connection()
    try:
        connection = raw.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection
    finally:
        raw.close()


class _Changes:
    def __init__(self) -> None:
        self.count = 0
        self.waiting: list[asyncio.Future[None]] = []

    def token(self) -> object:
        return self.count

    def wait(self, token: object, timeout_s: float) -> object:
        raise AssertionError("nothing may block in virtual time")

    def close(self) -> None:
        """Nothing is held."""

    def tick(self) -> None:
        self.count += 1
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class MemoryStore(Store):
    """Empty when it is made; making another one takes it away."""

    def __init__(self, chance: random.Random, faults: StoreFaults) -> None:
        engine, image = _engine()
        _driver(engine).deserialize(image)
        _driver(engine).execute("PRAGMA foreign_keys = ON")
        self.changes = _Changes()
        super().__init__("sqlite://", "a store in memory", engine, self.changes, None)
        self.is_sqlite = True
        self.chance, self.faults = chance, faults
        self.failed = 0

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        if self._fails(self.faults.read):
            raise _away()
        with self.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            with connection.begin() as transaction:
                yield connection
                if self._fails(self.faults.commit):
                    transaction.rollback()
                    raise _away()
            self.changes.tick()
            if self._fails(self.faults.answer):
                raise _away()

    def _fails(self, chance: float) -> bool:
        if PROCESS.get() is None:
            return False
        failed = running_loop().time() < self.faults.away_until or (chance > 0 and self.chance.random() < chance)
        self.failed += failed
        return failed

    def close(self) -> None:
        """The connection is everybody's."""


def _away() -> Exception:
    return store_error("store_unreachable", message("The simulated store is away."), message("It comes back."))


@dataclass
class OnLoop:
    """`engine.run.background.Background` on the loop itself: some time passes before the work and after it."""

    chance: random.Random
    slowest_s: float = 0.004

    async def call(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        await asyncio.sleep(self.chance.random() * self.slowest_s)
        try:
            return work(*args, **kwargs)
        finally:
            await asyncio.sleep(self.chance.random() * self.slowest_s)

    async def changed(self, store: Store, token: object, timeout_s: float) -> object:
        assert isinstance(store, MemoryStore)
        loop = running_loop()
        if store.change_token() == token:
            change = loop.create_future()
            store.changes.waiting.append(change)
            limit = loop.call_later(timeout_s, _settle, change)
            await change
            limit.cancel()
            await asyncio.sleep(POLL_S)
        return store.change_token()

    def lane(self, name: str) -> OnLoop:
        return self

    def close(self) -> None:
        """Nothing is held."""


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@dataclass
class Owners:
    """Who owns the store, as a database's lock with a lease tells: free again when its process is dead, has not been seen for
    `lease_s` (None: a file's lock, which a frozen process keeps) or was robbed of it by a broken connection."""

    lease_s: float | None
    owner: _Owned | None = None
    history: list[tuple[float, str]] = field(default_factory=list)

    def acquire(self, store: Store, engine_id: str, now: float) -> _Owned | None:
        process = PROCESS.get()
        assert process is not None, "only an engine's process owns a store"
        if self.owner is not None and self._holds(self.owner):
            return None
        self.owner = _Owned(self, process)
        self.history.append((running_loop().time(), process.name))
        return self.owner

    def rob(self) -> None:
        """The owner's connection breaks without its noticing."""
        self.owner = None

    def _holds(self, owned: _Owned) -> bool:
        process = owned.process
        if not process.alive:
            return False
        silent_s = running_loop().time() - process.frozen_at if process.frozen else 0.0
        return self.lease_s is None or silent_s < self.lease_s


@dataclass(eq=False)
class _Owned:
    owners: Owners
    process: Process

    def held(self) -> bool:
        return self.owners.owner is self

    def claim(self, order_ids: Sequence[int]) -> frozenset[int]:
        return frozenset(order_ids)

    def give_up(self, order_id: int) -> None:
        """Nobody else can have it meanwhile."""

    def release(self) -> None:
        if self.owners.owner is self:
            self.owners.owner = None
