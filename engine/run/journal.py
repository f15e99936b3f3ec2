"""The journal: every change of an order's rows goes through one writer that commits whatever is waiting together.

`await write(…)` returns after COMMIT, so a row that says *started* is on disk before the effect it announces begins. Each
transaction checks, under the order's row lock, that the order still belongs to the epoch that writes: an engine that was frozen
and wakes up late can change nothing. If a batch fails its operations are retried singly, so one bad operation harms no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.run.background import Background, Threads
from engine.store.orders import lock_epochs
from engine.store.store import Store, StoreError, Transaction

T = TypeVar("T")
BATCH_LIMIT = 500
DRAIN_S = 30.0


class StaleEpoch(ProblemError):
    """Another engine has taken the order over: whoever gets this must stop acting on it at once."""

    def __init__(self, order_id: int, epoch: int, now_epoch: int | None) -> None:
        super().__init__(
            Problem(
                "stale_epoch",
                message("Order #{id} was taken over by another engine (epoch {now}, ours {ours}).",
                        id=order_id, now=now_epoch if now_epoch is not None else -1, ours=epoch),
                message("Nothing to do: the other engine goes on with it."),
            )
        )  # fmt: skip


@dataclass(slots=True)
class _Operation:
    order_id: int | None
    epoch: int
    change: Callable[[Transaction], Any]
    written: asyncio.Future[Any]

    def settle(self, result: Any, error: BaseException | None) -> None:
        if self.written.done():  # whoever asked was cancelled meanwhile
            return
        if error is None:
            self.written.set_result(result)
        else:
            self.written.set_exception(error)


class Journal:
    """The only writer of an engine. Start it with `async with`; it drains what is waiting before it ends."""

    def __init__(self, store: Store, background: Background | None = None, *, gather_s: float = 0.0) -> None:
        """`gather_s`: how long the first operation of a batch waits for others. A commit costs more than what it commits."""
        self._store = store
        self._gather_s = gather_s
        self._lane = (background or Threads()).lane("journal")
        self._waiting: deque[_Operation] = deque()
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        self.commits = 0
        self.operations = 0

    async def __aenter__(self) -> Journal:
        self._writer = asyncio.create_task(self._run(), name="journal")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._writer is not None, "a journal is left that was never entered"
        self._closed = True
        self._wake.set()
        await asyncio.wait({self._writer}, timeout=DRAIN_S)
        self._lane.close()

    async def write(self, order_id: int | None, epoch: int, change: Callable[[Transaction], T]) -> T:
        """Run `change` in a transaction and return its result after COMMIT.

        With an order, raises StaleEpoch when the order's epoch is not `epoch`. Raises StoreError when the store can't take it. A
        caller that is cancelled meanwhile does not know whether the change was written.
        """
        if self._closed:
            raise StoreError(
                Problem(
                    "store_failed",
                    message("The engine is ending and writes nothing more."),
                    message("Start an engine again; it goes on from what was recorded."),
                )
            )
        operation = _Operation(order_id, epoch, change, asyncio.get_running_loop().create_future())
        self._waiting.append(operation)
        self._wake.set()
        return cast(T, await operation.written)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._gather_s and not self._closed:
                await asyncio.sleep(self._gather_s)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_LIMIT, len(self._waiting)))]
                outcomes = await self._lane.call(self._commit, batch)
                for operation, (result, error) in zip(batch, outcomes, strict=True):
                    operation.settle(result, error)
            if self._closed:
                return

    def _commit(self, batch: Sequence[_Operation]) -> list[tuple[Any, BaseException | None]]:
        """(result, error) of every operation of the batch; nothing is raised."""
        self.operations += len(batch)
        try:
            return [(result, None) for result in self._transaction(batch)]
        except Exception as error:  # noqa: BLE001 - the lane's boundary: whatever it is, it goes to the one who waits for it
            if len(batch) == 1:
                return [(None, error)]
            return [outcome for operation in batch for outcome in self._commit([operation])]

    def _transaction(self, batch: Sequence[_Operation]) -> list[Any]:
        with self._store.writing() as conn:
            epochs = {op.order_id: op.epoch for op in batch if op.order_id is not None}
            if epochs:
                self._check_epochs(conn, batch, sorted(epochs))
            results = [operation.change(conn) for operation in batch]
        self.commits += 1
        return results

    def _check_epochs(self, conn: Transaction, batch: Sequence[_Operation], order_ids: Sequence[int]) -> None:
        found = lock_epochs(conn, order_ids)
        for operation in batch:
            if operation.order_id is not None and found.get(operation.order_id) != operation.epoch:
                raise StaleEpoch(operation.order_id, operation.epoch, found.get(operation.order_id))
