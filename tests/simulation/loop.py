"""An event loop in virtual time on which whole engine processes run, die and freeze.

When nothing is ready its clock jumps to the next timer, so an hour takes as long as what happens in it. Every callback belongs to
the process in whose context it was scheduled: a killed process's callbacks never run again (no `finally`, no cancellation, as after
kill -9), those of a frozen one wait until it is thawed (as after SIGSTOP). It knows no I/O and no threads.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sys
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(Exception):
    """Nothing is ready and no timer is set: nothing would ever happen again."""


class Process:
    """What can be killed and frozen as one. `steps` counts the callbacks it has run; `at_step` is told each of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.frozen_at = 0.0
        self.steps = 0
        self.at_step: Callable[[int], None] | None = None
        self.held: list[_Call] = []
        self.tasks: list[asyncio.Task[Any]] = []  # kept, so that no coroutine of a dead process is ever closed

    def kill(self) -> None:
        self.alive = False
        self.held.clear()

    def freeze(self) -> None:
        self.frozen = True
        self.frozen_at = asyncio.get_running_loop().time()

    def thaw(self) -> None:
        self.frozen = False
        held, self.held = self.held, []
        if self.alive:
            for call in held:
                call.again()


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
ASKER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("asker", default=None)  # for whom the world acts


class _Call:
    """A callback of a process: run, held or dropped when its turn comes."""

    __slots__ = ("args", "callback", "handle", "loop", "process")

    handle: asyncio.Handle

    def __init__(
        self, loop: VirtualLoop, process: Process, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self.loop, self.process, self.callback, self.args = loop, process, callback, args

    def __call__(self) -> None:
        process = self.process
        if process.alive and not process.frozen:
            process.steps += 1
            if process.at_step is not None:
                process.at_step(process.steps)
        if not process.alive:
            return
        if process.frozen:
            process.held.append(self)
            return
        self.callback(*self.args)

    def again(self) -> None:
        """The very handle goes back, so that cancelling it still counts."""
        self.loop._ready.append(self.handle)


class VirtualLoop(asyncio.BaseEventLoop):
    """Make one a run; `run` it, then `dispose` of it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._selector = self  # the base class asks `_selector.select(timeout)` for what happened meanwhile
        self.world_tasks: list[asyncio.Task[Any]] = []
        self.set_task_factory(_make_task)
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, context: self.errors.append(context))

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self._now = max(self._now + timeout, self._scheduled[0]._when)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        context = contextvars.copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        call = _Call(self, process, callback, args)
        call.handle = super().call_soon(call, context=context)
        return call.handle

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        context = contextvars.copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        call = _Call(self, process, callback, args)
        timer = super().call_at(when, call, context=context)
        call.handle = timer
        return timer

    def spawn(self, work: Coroutine[Any, Any, T], process: Process | None = None) -> asyncio.Task[T]:
        """A task of `process`, or of the world outside of all of them, whoever calls."""
        context = contextvars.Context()
        if process is not None:
            context.run(PROCESS.set, process)
        return self.create_task(work, context=context)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.run_until_complete(self.spawn(work))

    def dispose(self, processes: list[Process]) -> None:
        """Let go of everything that still waits. What its coroutines say to being closed interests nobody: the world is over."""
        hook = sys.unraisablehook
        sys.unraisablehook = lambda _unraisable: None
        logging.disable()
        try:
            for task in [*self.world_tasks, *(task for process in processes for task in process.tasks)]:
                task._log_destroy_pending = False
            for process in processes:
                process.alive = False
                process.held.clear()
                process.tasks.clear()
            self.world_tasks.clear()
            self.close()
            gc.collect()
        finally:
            logging.disable(logging.NOTSET)
            sys.unraisablehook = hook


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], context: contextvars.Context | None = None
) -> asyncio.Task[T]:
    task = asyncio.Task(work, loop=loop, context=context)
    process = (contextvars.copy_context() if context is None else context).get(PROCESS)
    keeper = loop.world_tasks if process is None else process.tasks  # type: ignore[attr-defined]
    keeper.append(task)
    return task


def running_loop() -> VirtualLoop:
    loop = events.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
