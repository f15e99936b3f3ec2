"""What the cockpit that is in use lends the engine: its SSH agent's socket, and where its cloud credentials come from.

An engine outlives the terminal that started it; the agent of that terminal does not. Whoever is at a cockpit now has an agent that
lives. What is lent is a file beside the store's own files that only its user can read: a path, names and a process, never a key. An
access key in the lender's environment is read from that process while it lives, and kept in the engine's memory only.
"""

from __future__ import annotations

import json
import os
import platform
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.private_files import open_private

AGENT = "SSH_AUTH_SOCK"
CLOUD = "ALIBABA_CLOUD_"
_SECRETS = {"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"}
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Loan:
    """`cloud` are the variables that name a source (a profile, a file, a role); `has_key`: the lender's own environment holds an
    access key. `started` tells the lender from a later process with the same number."""

    pid: int
    machine: str
    at: float  # epoch seconds
    agent: str = ""
    cloud: Mapping[str, str] = field(default_factory=dict)
    has_key: bool = False
    started: str = ""

    @property
    def lives(self) -> bool:
        """Whether the lender is still there, and ours."""
        return self.machine == platform.node() and _is_ours(self.pid) and started_at(self.pid) == self.started


def path_in(folder: Path) -> Path:
    """One per user: an engine takes nothing from another one."""
    return folder / f"lent-{os.getuid()}.json"


def lend(folder: Path, environ: Mapping[str, str] | None = None) -> Loan | None:
    """Lend what this process has; None when it has nothing, or the folder takes nothing (then the engine keeps what it has)."""
    environ = os.environ if environ is None else environ
    named = {name: value for name, value in environ.items() if name.startswith(CLOUD) and value}
    loan = Loan(
        pid=os.getpid(),
        machine=platform.node(),
        at=time.time(),
        agent=environ.get(AGENT, ""),
        cloud={name: value for name, value in named.items() if name not in _SECRETS},
        has_key={"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"} <= set(named),
        started=started_at(os.getpid()),
    )
    if not loan.agent and not named:
        return None
    text = json.dumps(
        {
            "pid": loan.pid,
            "machine": loan.machine,
            "at": loan.at,
            "agent": loan.agent,
            "cloud": dict(loan.cloud),
            "has_key": loan.has_key,
            "started": loan.started,
        }
    )
    try:
        write_private(path_in(folder), text)
    except OSError:
        return None
    return loan


def lend_if_nobody_does(folder: Path) -> None:
    """Step in for a lender that has gone, or whose agent has."""
    loan = read(folder)
    if loan is None or not loan.lives or (loan.agent and not is_socket(loan.agent)):
        lend(folder)


def read(folder: Path) -> Loan | None:
    """What is lent to this user; None without anything, or for a file that somebody else could have written."""
    path = path_in(folder)
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077 or not stat.S_ISREG(facts.st_mode):
                return None
            found = json.loads(file.read(_LONGEST))
        return Loan(
            pid=int(found["pid"]),
            machine=str(found["machine"]),
            at=float(found["at"]),
            agent=str(found["agent"]),
            cloud={str(name): str(value) for name, value in found["cloud"].items()},
            has_key=bool(found["has_key"]),
            started=str(found["started"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class Borrower:
    """The engine's side: what counts now, the loan before what the engine was started with."""

    def __init__(self, folder: Path, own: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._own = dict(os.environ if own is None else own)
        self._keys: tuple[tuple[int, str], dict[str, str]] | None = None  # (lender, its variables with the access key)

    def loan(self) -> Loan | None:
        found = read(self._folder)
        return found if found is not None and found.machine == platform.node() else None

    def agents(self) -> tuple[str, ...]:
        """The lent socket, if there is one; one's own comes behind it anyway."""
        loan = self.loan()
        return (loan.agent,) if loan is not None and loan.agent else ()

    def environ(self) -> Mapping[str, str]:
        """The variables that say where the cloud's credentials are: the lender's if it has any, else the engine's own."""
        loan = self.loan()
        if loan is None or not (loan.cloud or loan.has_key):
            return self._own
        base = {name: value for name, value in self._own.items() if not name.startswith(CLOUD)}
        if not loan.has_key:
            return {**base, **loan.cloud}
        lender = (loan.pid, loan.started)
        if self._keys is None or self._keys[0] != lender:
            if not loan.lives or (held := _environ_of(loan.pid)) is None:
                return self._own
            self._keys = (lender, held)
        return {**base, **self._keys[1]}


def is_socket(path: str) -> bool:
    """Whether something of ours may listen there."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISSOCK(facts.st_mode) and facts.st_uid in (os.getuid(), 0)


def started_at(pid: int) -> str:
    """A process's start, in the kernel's ticks; empty where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_ours(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return not Path("/proc").is_dir() or Path(f"/proc/{pid}").stat().st_uid == os.getuid()
    except OSError:
        return False


def _environ_of(pid: int) -> dict[str, str] | None:
    """The cloud's variables of another process of this user."""
    path = Path(f"/proc/{pid}/environ")
    try:
        if path.stat().st_uid != os.getuid():
            return None
        found = path.read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    pairs = (text.partition("=") for text in found)
    return {name: value for name, _, value in pairs if name.startswith(CLOUD) and value}


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable for others. Raises OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = open_private(new, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
