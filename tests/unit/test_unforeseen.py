"""Whatever an adapter raises becomes its port's error family, with a sentence that names the place of the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from engine.domain.fleet import Host, MountWeight, ObjectRef, ServerGroup
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.ports import (
    Balancers,
    BalancerUnknown,
    Job,
    JobEnded,
    JobEvent,
    Packages,
    PackagesError,
    Remote,
    RemoteError,
    RemoteResult,
)
from engine.run.unforeseen import Unforeseen

HOST = Host("hz-01", "hz-01.example", 22, "op", "hz-a", "a1", "i-1")
JOB = Job(1, HOST, "forward-1", 1, ())
GROUP = ServerGroup("cn-hangzhou", "lb-1", "vsg-1")
REF = ObjectRef("cn-hangzhou", "lab", "k.tgz")
FORESEEN = RemoteError(Problem("link_lost", message("gone"), message("retry")))
PLACE = "/var/log/engine.log"


class Adapter:
    """Of any port; every method raises `error`, when it is called or when it is awaited."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.closed = False

    async def run(self, host: Host, script: str, **more: Any) -> RemoteResult:
        if script == "fine":
            return RemoteResult(0, b"ok")
        raise self.error

    async def follow(self, job: Job, offset: int = 0) -> AsyncGenerator[JobEvent, None]:
        try:
            yield JobEnded(False, offset)
            raise self.error
        finally:
            self.closed = True

    async def head(self, object: ObjectRef) -> Any:
        raise self.error

    def signed_url(self, object: ObjectRef, expires_s: int) -> str:
        raise self.error

    async def set_weights(self, group: ServerGroup, weights: list[MountWeight]) -> str:
        raise self.error


def remote(adapter: Adapter) -> Remote:
    return Unforeseen(PLACE).remote(cast(Remote, adapter))


async def test_a_bare_exception_becomes_a_sentence_of_the_port_and_its_traceback_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RemoteError) as broke:
        await remote(Adapter(ValueError("'hz-01.example' is no address"))).run(HOST, "true")
    assert broke.value.problem.code == "remote_unforeseen"
    assert "hz-01 (hz-01.example:22)" in str(broke.value.problem.what)
    assert "ValueError" in str(broke.value.problem.what)
    assert PLACE in str(broke.value.problem.remedy)
    assert "in run" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_the_file_that_broke_it_is_named() -> None:
    with pytest.raises(RemoteError) as broke:
        await remote(Adapter(IsADirectoryError(21, "Is a directory", "/home/op/.ssh/config"))).run(HOST, "true")
    assert "/home/op/.ssh/config" in str(broke.value.problem.remedy)


async def test_what_was_foreseen_and_what_went_well_pass_unchanged() -> None:
    with pytest.raises(RemoteError) as same:
        await remote(Adapter(FORESEEN)).run(HOST, "true")
    assert same.value is FORESEEN
    assert await remote(Adapter(FORESEEN)).run(HOST, "fine") == RemoteResult(0, b"ok")


async def test_a_stream_that_breaks_and_one_that_is_left_are_closed() -> None:
    adapter = Adapter(KeyError("x"))
    seen: list[JobEvent] = []

    async def follow() -> None:
        async for event in remote(adapter).follow(JOB, 7):
            seen.append(event)

    with pytest.raises(RemoteError):
        await follow()
    assert seen == [JobEnded(False, 7)]
    adapter = Adapter(KeyError("x"))
    events = remote(adapter).follow(JOB)
    assert isinstance(events, AsyncGenerator)
    await anext(events)
    await events.aclose()
    assert adapter.closed


async def test_being_cancelled_is_no_problem() -> None:
    with pytest.raises(asyncio.CancelledError):
        await remote(Adapter(asyncio.CancelledError())).run(HOST, "true")


async def test_packages_and_balancers_have_their_families_and_a_change_that_broke_is_unknown() -> None:
    unforeseen = Unforeseen(PLACE)
    packages = unforeseen.packages(cast(Packages, Adapter(IndexError("list index out of range"))))
    with pytest.raises(PackagesError):
        await packages.head(REF)
    with pytest.raises(PackagesError) as broke:
        packages.signed_url(REF, 60)
    assert "k.tgz in bucket lab" in str(broke.value)
    balancers = unforeseen.balancers(cast(Balancers, Adapter(TypeError("no"))))
    with pytest.raises(BalancerUnknown):
        await balancers.set_weights(GROUP, [])
