"""The shell text a host is sent: what attaches to a job, what stops one, and the program a job is compiled to.

What passes the login shell is one line (`opening_line`); everything else is read by the host's sh from standard input.

Pure: builds text, runs nothing. The fixed parts are the POSIX sh files beside this module (`sh/`); they need no bashism and no
Python on the host. Secrets never become part of the program, only of what goes over standard input behind it.
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
    """Without comments and indentation: the host reads it byte by byte."""
    text = files(__package__).joinpath("sh", f"{name}.sh").read_text(encoding="utf-8")
    lines = (line.lstrip(" ") for line in text.splitlines(keepends=True))
    return "".join(line for line in lines if not line.startswith("#"))


@cache
def _program(*parts: str) -> str:
    return "\n".join(map(_part, parts))


def folder_of(job: Job) -> str:
    """The job's folder under `~/.cockpit/jobs`, safe for a path whatever the host is called."""
    return f"{job.order_id}-{round(job.order_created_at * 1000):x}-{percent(job.host.name, safe='')}"


def key_of(job: Job) -> str:
    key = percent(job.key, safe="")
    return key.replace(".", "%2E", 1) if key.startswith(".") else key


def opening_line(token: str) -> str:
    """All that passes the login shell: one line that sh, csh, fish, zsh and rc read alike. Once the host's sh is there it says
    the token, which stands nowhere in the line as a whole (a shell may repeat the line), and evaluates the line it is then sent."""
    half = len(token) // 2
    return f"exec sh -c 'a={token[:half]}; echo ${{a}}{token[half:]}; IFS= read -r c && eval \"$c\"'"


def opening_input(text: str, token: str) -> bytes:
    """What the sh of `opening_line` is sent: a line that reads the program up to the token, then the program. What follows is the
    program's standard input; a program that was cut off is not run."""
    loader = (
        r"ck_text='' ck_newline=$(printf '\nx'); ck_newline=${ck_newline%x}; "
        f'while IFS= read -r ck_line && [ "$ck_line" != {token} ]; do ck_text=$ck_text$ck_line$ck_newline; done; '
        f'[ "$ck_line" = {token} ] || exit 74; eval "$ck_text"'
    )
    return f"{loader}\n{text}\n{token}\n".replace("\0", "").encode()


def _with_arguments(part: str, *arguments: str) -> str:
    return f"set -- {' '.join(map(quote, arguments))}\n{part}"


def guarded(script: str, deadline_s: float) -> str:
    """The script, and if nobody is left to end it at its deadline, the host itself does a little later; stderr joins stdout."""
    return _with_arguments(_program("guard"), str(math.ceil(deadline_s + GUARD_GRACE_S)), script)


def proving(token: str) -> str:
    """To stand before a `guarded` script: answers `ready`, or refuses as a job would be refused."""
    return _with_arguments(_program("common", "prove"), token, "-", "-", "0", "-")


def attaching(job: Job, *, token: str, nonce: str, offset: int, may_start: bool, keep_days: int) -> str:
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
    return _with_arguments(_program("common", "process", "attach"), *arguments)


def stopping(job: Job, *, token: str, nonce: str) -> str:
    return _with_arguments(
        _program("common", "process", "stop"), token, folder_of(job), key_of(job), str(job.epoch), nonce
    )


def recalling(job: Job, *, token: str) -> str:
    """Says what the host knows of the job, then looks for each of its steps whether it is still so."""
    arguments = token, folder_of(job), key_of(job), str(job.epoch), "-"
    looks = [f"look {quote(step.name)} {math.ceil(step.deadline_s)} {quote(_looking(job, step))}" for step in job.steps]
    recall = _with_arguments(_program("common", "process", "recall"), *arguments)
    return "\n".join([recall, f"say_whether_it_has {quote(_setup(job))}", *looks, "answer end"]).replace("\0", "")


def _looking(job: Job, step: RemoteStep) -> str:
    return "\n".join([*_variables(job.variables), "ck_variables", step.body])


def _setup(job: Job) -> str:
    """A line that does nothing, by which the job's program is known later."""
    return f": {quote(f'setup {job.setup}')}"


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
        _setup(job),
        f"ck_steps='{' '.join(map(str, numbers))}'",
        *_variables(job.variables),
        "ck_describe() {",
        "    case $1 in",
        *(_description(number, step) for number, step in zip(numbers, job.steps, strict=True)),
        "    esac",
        "}",
        'ck_main "$@"',
        "exit",
    ]
    return "\n".join(lines).replace("\0", "") + "\n"


def _variables(variables: Mapping[str, str]) -> list[str]:
    exports = (f"    export {_checked(name)}={quote(value)}" for name, value in variables.items())
    return ["ck_variables() {", "    :", *exports, "}"]


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
