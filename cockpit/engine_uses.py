"""What an engine uses at the moment, told by itself in a file beside the store's own files: its agent, the keys it offers, and
where its cloud credentials come from. Names, paths and fingerprints; never a key. `cockpit doctor` shows it.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import lending
from engine.views.values import to_json

if TYPE_CHECKING:
    from engine.cloud.cloud import AliyunCloud
    from engine.lending import Borrower
    from engine.remote.ssh import SshRemote

LOOK_EVERY_S = 1.0  # whether something else is lent
TELL_EVERY_S = 15.0
_NAME = "engine-uses-{pid}.json"


async def keep_told(folder: Path, remote: SshRemote, cloud: AliyunCloud, borrower: Borrower) -> None:
    """Tell it until cancelled; what is told goes with the engine."""
    path = folder / _NAME.format(pid=os.getpid())
    socket, since = "", time.time()
    try:
        while True:
            loan = borrower.loan()
            agent = await remote.agent_in_use()
            if agent.socket != socket:
                socket, since = agent.socket, time.time()
            using = cloud.credentials.using
            told = {
                "pid": os.getpid(),
                "started": lending.started_at(os.getpid()),
                "at": time.time(),
                "agent": {
                    "socket": agent.socket,
                    "since": since,
                    "lent_by": loan.pid if loan is not None and loan.agent == agent.socket and agent.socket else None,
                    "keys": [to_json(key) for key in agent.keys],
                    "troubles": [trouble.to_json() for trouble in agent.troubles],
                },
                "credentials": to_json(using) if using is not None else None,
            }
            await asyncio.to_thread(_write, path, json.dumps(told))
            await _until_another_loan(borrower, loan)
    finally:
        with suppress(OSError):
            path.unlink()


async def _until_another_loan(borrower: Borrower, loan: lending.Loan | None) -> None:
    end = time.monotonic() + TELL_EVERY_S
    while time.monotonic() < end and borrower.loan() == loan:
        await asyncio.sleep(LOOK_EVERY_S)


def told_here(folder: Path) -> list[Mapping[str, Any]]:
    """What the living engines of this user on this machine have told, by process id."""
    found = []
    for path in sorted(folder.glob(_NAME.format(pid="*"))):
        try:
            facts = path.stat()
            if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
                continue
            told = json.loads(path.read_text(encoding="utf-8"))
            if lending.started_at(int(told["pid"])) == told["started"]:
                found.append(told)
        except (OSError, ValueError, KeyError, TypeError):  # of one that was killed, or just being replaced
            continue
    return found


def _write(path: Path, text: str) -> None:
    with suppress(OSError):  # a full disk: doctor knows less, nothing else
        lending.write_private(path, text)
