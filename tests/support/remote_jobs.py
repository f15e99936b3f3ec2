"""Jobs for the tests of the Remote port, and what to read off the events they give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from engine.domain import step_names
from engine.domain.fleet import Host
from engine.ports import Job, JobEvent, LogBytes, RemoteStep
from engine.remote.program import folder_of

STEPS = (step_names.CHECK_AGENT, step_names.DOWNLOAD_SCRIPTS, step_names.DEPLOY, step_names.CHECK_HEALTH)


def job_of(
    host: Host,
    *bodies: str,
    epoch: int = 1,
    key: str = "forward-1",
    order_id: int = 7,
    deadline_s: float = 30.0,
    secrets: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Job:
    steps = tuple(RemoteStep(name, body, deadline_s, secrets or {}) for name, body in zip(STEPS, bodies, strict=False))
    return Job(order_id, host, key, epoch, steps, variables or {})


async def events_of(stream: AsyncIterator[JobEvent]) -> list[JobEvent]:
    return [event async for event in stream]


def output_of(events: list[JobEvent]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, LogBytes))


def without_output(events: list[JobEvent]) -> list[JobEvent]:
    return [event for event in events if not isinstance(event, LogBytes)]


def job_folder(home: Path, job: Job) -> Path:
    return home / ".cockpit" / "jobs" / folder_of(job) / job.key
