"""Each host as it is now: login, operating system, agent, disk, clock, tools. Changes nothing but a probe file that it removes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from engine.domain.clean import clean_text
from engine.domain.fleet import Facts, Host, InstanceFacts
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import HostState
from engine.kinds.kind import Checks
from engine.plan.kept import CHECK_KEPT_S
from engine.ports import Clock, Remote, RemoteError
from engine.steps.host_check import host_check_script, host_problems, parse_host_check

HOSTS_AT_ONCE = 50
CHECK_DEADLINE_S = 30.0
# Why no job could be set up on a host → what the check's own look says of it, with figures.
_SAID_BY_THE_CHECK = {"disk_full": "disk_low", "tool_missing": "tool_missing", "folder_unwritable": "home_not_writable"}


class PassedHosts:
    """Hosts that passed a check of an order: for a moment they need not be asked again, if nothing is asked otherwise by then.
    Kept in the engine only: one that takes over asks everybody."""

    def __init__(self) -> None:
        self._passed: dict[str, tuple[str, float]] = {}

    def clear(self) -> None:
        self._passed.clear()

    def lately(self, host: Host, asked: str, now: float) -> bool:
        before, at = self._passed.get(host.name, ("", 0.0))
        return before == asked and 0 <= now - at <= CHECK_KEPT_S

    def note(self, host: Host, asked: str, now: float, *, well: bool) -> None:
        if well:
            self._passed[host.name] = (asked, now)
        else:
            self._passed.pop(host.name, None)


async def check_hosts(
    facts: Facts, checks: Checks, remote: Remote, clock: Clock, passed: PassedHosts | None = None
) -> list[tuple[str, Problem]]:
    """Every host of the checks but those that `passed` lately, side by side."""
    known = PassedHosts() if passed is None else passed
    slots = asyncio.Semaphore(HOSTS_AT_ONCE)
    named = set(checks.hosts)
    here = {host.name: (app, host) for app in facts.apps for host in app.hosts if host.name in named}
    asked = {name: _asked_of(app, host, checks) for name, (app, host) in here.items()}
    now = clock.now()
    wanted = {name: each for name, each in here.items() if not known.lately(each[1], asked[name], now)}
    # an account may have been repaired since the last check
    remote.log_in_anew([host for _, host in wanted.values()])

    async def check(app: InstanceFacts, host: Host) -> list[tuple[str, Problem]]:
        async with slots:
            found = await check_host(app, host, remote, checks.disk_bytes, clock)
            known.note(host, asked[host.name], clock.now(), well=not found)
            return [(host.name, problem) for problem in found]

    found = await asyncio.gather(*(check(app, host) for app, host in wanted.values()))
    return [problem for problems in found for problem in problems]


def _asked_of(app: InstanceFacts, host: Host, checks: Checks) -> str:
    """All that the answer is judged by."""
    region = app.host_regions.get(host.name, "")
    state_aside = replace(host, state=HostState.READY, version="")
    return repr((state_aside, app.stack, region, app.requires_staragent, checks.disk_bytes))


async def check_host(facts: InstanceFacts, host: Host, remote: Remote, disk_bytes: int, clock: Clock) -> list[Problem]:
    script = host_check_script(host, facts.stack, requires_staragent=facts.requires_staragent)
    refused: Problem | None = None
    try:
        try:
            result = await remote.run(host, script, deadline_s=CHECK_DEADLINE_S, for_job=True)
        except RemoteError as error:
            if error.problem.code not in _SAID_BY_THE_CHECK:
                raise
            refused = error.problem  # what else is wrong there is told as well
            result = await remote.run(host, script, deadline_s=CHECK_DEADLINE_S)
    except ProblemError as error:
        return [error.problem]
    if result.exit_status != 0 and refused is not None:
        return [refused]
    if result.exit_status != 0:
        return [
            Problem(
                "host_check_failed",
                message("The check on {host} did not finish (exit status {status}).",
                        host=host.name, status="unknown" if result.exit_status is None else result.exit_status),
                message("Log in to the host and look at its shell and disk, then initialise again."),
                clean_text(result.output[-2000:]).strip(),
            )
        ]  # fmt: skip
    found = host_problems(
        parse_host_check(result.output),
        host,
        facts.stack,
        region=facts.host_regions.get(host.name, ""),
        package_size=disk_bytes,
        now=clock.now(),  # each host's answer against the moment it arrived
        requires_staragent=facts.requires_staragent,
    )
    said = refused is None or _SAID_BY_THE_CHECK[refused.code] in [problem.code for problem in found]
    return found if said or refused is None else [refused, *found]
