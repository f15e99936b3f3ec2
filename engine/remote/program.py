"""The shell text a host is sent: what attaches to a job, what stops one, and the program a job is compiled to.

Pure: builds text, runs nothing. The fixed parts are the POSIX sh files beside this module (`sh/`); they need no bashism and
no Python on the host. Secrets never become part of the program, only of what goes over standard input.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from shlex import quote
from urllib.parse import quote as percent

from engine.ports import Job, RemoteStep

GUARD_GRACE_S = 2.0  # the host's own deadline must never be the first one: its exit status would look like the script's

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@cache
def _part(name: str) -> str:
    text = files(__package__).joinpath("sh", f"{name}.sh").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))


@cache
def _program(*parts: str) -> str:
    return "\n".join(map(_part, parts))


def folder_of(job: Job) -> str:
    """The job's folder under `~/.cockpit/jobs`, safe for a path whatever the host is called."""
    return f"{job.order_id}-{round(job.order_created_at * 1000):x}-{percent(job.host.name, safe='')}"


def key_of(job: Job) -> str:
    key = percent(job.key, safe="")
    return key.replace(".", "%2E", 1) if key.startswith(".") else key


def sh_command(script: str, *arguments: str) -> str:
    """A command line for the login shell, whichever it is: hand everything to `sh` and get out of the way."""
    return "exec sh -c " + " ".join(map(quote, (script, "cockpit", *arguments)))


def guarded_command(script: str, deadline_s: float) -> str:
    """As `sh_command`, and if nobody is left to end the script at its deadline, the host itself does a little later; stderr joins
    stdout."""
    return sh_command(_program("guard"), str(math.ceil(deadline_s + GUARD_GRACE_S)), script)


def attach_command(job: Job, *, token: str, nonce: str, offset: int, may_start: bool, keep_days: int) -> str:
    arguments = (
        token,
        folder_of(job),
        key_of(job),
        str(job.epoch),
        nonce,
        str(offset),
        str(int(may_start)),
        str(keep_days),
    )
    return sh_command(_program("common", "process", "attach"), *arguments)


def stop_command(job: Job, *, token: str, nonce: str) -> str:
    return sh_command(_program("common", "process", "stop"), token, folder_of(job), key_of(job), str(job.epoch), nonce)


def attach_input(job: Job, *, token: str, nonce: str) -> bytes:
    """What attach.sh reads from standard input when it may start the job. Raises ValueError for a name sh cannot have."""
    text = f"{job_program(job, nonce)}{token}\n{job_secrets(job.steps)}{token}\n"
    return text.encode()


def job_program(job: Job, nonce: str) -> str:
    """The whole program of a job, without its secrets; it ends with a newline."""
    numbers = range(1, len(job.steps) + 1)
    lines = [
        _program("process", "runner"),
        f"ck_nonce={nonce}",
        f"ck_steps='{' '.join(map(str, numbers))}'",
        "ck_variables() {",
        "    :",
        *(f"    export {_checked(name)}={quote(value)}" for name, value in job.variables.items()),
        "}",
        "ck_describe() {",
        "    case $1 in",
        *(_description(number, step) for number, step in zip(numbers, job.steps, strict=True)),
        "    esac",
        "}",
        'ck_main "$@"',
        "exit",
    ]
    return "\n".join(lines).replace("\0", "") + "\n"


def _description(number: int, step: RemoteStep) -> str:
    deadline_s = max(1, math.ceil(step.deadline_s))
    return f"        {number}) ck_name={quote(step.name)} ck_deadline={deadline_s} ck_body={quote(step.body)} ;;"


def job_secrets(steps: tuple[RemoteStep, ...]) -> str:
    """Assignments for the runner: `ck_secret_<n>` holds the assignments of step n. Empty or ending with a newline."""
    lines = [
        f"ck_secret_{number}={quote(_assignments(step.secrets))}\n"
        for number, step in enumerate(steps, start=1)
        if step.secrets
    ]
    return "".join(lines).replace("\0", "")


def _assignments(secrets: Mapping[str, str]) -> str:
    # Unset first: assigning to a variable the login exported would put the secret into the environment.
    return "\n".join(f"unset {_checked(name)}; {name}={quote(value)}" for name, value in secrets.items())


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a name for a shell variable")
    return name
