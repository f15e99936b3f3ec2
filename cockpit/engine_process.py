"""The engine as a process of its own: found alive, started in a session of its own, or run right here.

The cockpit starts an engine so that a closed terminal, a dropped link or a crash of the screens never touches a release. This
module only wires and waits; what an engine does is `engine.run.engine`'s. The remote and cloud libraries are imported when an
engine runs, never by whoever only makes sure that one does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import cockpit
from cockpit.engine_uses import keep_told
from cockpit.identity import operating_system_user
from cockpit.settings import Settings
from cockpit.started_with import changed, started_with, user_name
from engine import lending
from engine.api import Api
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.private_files import PRIVATE_FOLDER, append_to_private, correct

if TYPE_CHECKING:
    from engine.remote.settings import SshSettings
    from engine.store.store import Store

LOOK_EVERY_S = 0.05
GATHER_S = 0.008  # many hosts write at once; a host's 21 writes become a fifth of a second longer
STOP_S = 15.0
STANDBY_S = 7.0  # an embedded engine ends when another one has had its place for so long: longer than one takes to end, or a lease
TAIL_LINES = 5
TAIL_BYTES = 4096


class EngineError(ProblemError):
    """No engine runs for the store, or it does not end: codes `engine_not_started`, `engine_log_unwritable`, `engine_not_stopped`,
    `engine_of_another`."""


def ensure_engine(settings: Settings) -> None:
    """Return when an engine is alive for the store, starting one when there is none and renewing an idle one that was started with
    other things. Blocks for at most `engine_start_s`, and `STOP_S` where one has to end first.

    May be called by any number of processes at once: of the engines started, one owns the store and the others stand by until
    they are idle. Whoever calls is in use: it lends the engine its SSH agent and its cloud credentials' source. Raises
    EngineError with the end of the engine's log, and ApiError when the store can't be opened.
    """
    lending.lend(settings.folder)
    api = Api(settings.store, operator=operating_system_user(), log_dir=settings.log_dir)
    api.open()
    try:
        if outdated(api, settings):
            stop_engine(settings)
        # one that was killed while it came up is not the program's fault: another takes its place, once
        if not api.engine_alive() and not _await_life(api, settings, start_engine(settings)):
            _await_life(api, settings, start_engine(settings), again=True)
    finally:
        api.close()


def outdated(api: Api, settings: Settings) -> tuple[str, ...]:
    """In what the store's engine differs from one that would be started now, if it may be ended for that: a cockpit of this user on
    this machine started it, and it has nothing to do. Raises ApiError."""
    engines = api.engines()
    if len(engines) != 1 or not engines[0].here or not engines[0].embedded or engines[0].user != user_name():
        return ()
    differs = changed(engines[0].started_with, settings)
    return differs if differs and not api.engine_busy() else ()


def start_engine(settings: Settings) -> subprocess.Popen[bytes]:
    """An engine in a session of its own, with exactly these settings; nothing of it depends on this process or its terminal."""
    with _open_log(settings.engine_log) as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cockpit", "engine", "--embedded"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(settings),
            start_new_session=True,
        )


def stop_engine(settings: Settings) -> bool:
    """End the store's engines that run on this machine and wait until they have let the store go; False: there was none.

    Jobs on hosts go on; the next engine re-attaches to them. Raises EngineError when one does not end, and StoreError."""
    from engine.store.store import Store

    store = Store.open(settings.store, create=False)
    try:
        running = _engines_here(store)
        for pid in running:
            _tell_to_end(pid)
        deadline = time.monotonic() + STOP_S
        while _engines_here(store):
            if time.monotonic() >= deadline:
                raise _not_stopped(settings)
            time.sleep(LOOK_EVERY_S)
    finally:
        store.close()
    return bool(running)


def _tell_to_end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return  # it ended in between
    except PermissionError as error:
        raise EngineError(
            Problem(
                "engine_of_another",
                message("The engine, process {pid}, is another user's.", pid=pid),
                message("Have it stopped by its user or by root: `cockpit engine status` names it."),
            )
        ) from error


def run_engine(settings: Settings, *, embedded: bool) -> None:
    """Run an engine in this process until SIGTERM, SIGINT or, embedded, until it has been idle or there is another one in its
    place. Raises ApiError, StoreError."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("asyncssh", "alembic", "oss2", "aliyunsdkcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.ignored is not None:
        logging.getLogger(__name__).warning("%s", settings.ignored)
    asyncio.run(_run(settings, embedded))


def _engines_here(store: Store) -> list[int]:
    from engine.store.engines import alive_here

    with store.reading() as conn:
        return alive_here(conn, time.time())


async def _run(settings: Settings, embedded: bool) -> None:
    from engine.cloud.cloud import AliyunCloud
    from engine.remote.ssh import SshRemote
    from engine.run.clock import SystemClock
    from engine.run.engine import Engine
    from engine.run.log_retention import keep_logs_private
    from engine.run.prompts import Prompts
    from engine.store.ownership import acquire
    from engine.store.store import Store

    settings.log_dir.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    await asyncio.to_thread(keep_logs_private, settings.log_dir)
    correct([settings.engine_log])
    store = await asyncio.to_thread(Store.open, settings.store)
    clock = SystemClock()
    borrower = lending.Borrower(settings.folder)
    remote = SshRemote(ssh_settings(settings), asker=Prompts(store, clock), lent=borrower.agents)
    cloud = AliyunCloud(settings.credentials_file, environ=borrower.environ)
    engine = Engine(
        store,
        remote=remote,
        cloud=cloud,
        clock=clock,
        log_dir=settings.log_dir,
        idle_s=settings.engine_idle_s if embedded else None,
        standby_s=STANDBY_S if embedded else None,
        acquire=partial(acquire, place=platform.node() if embedded else ""),
        gather_s=GATHER_S,
        expiring=remote.expiring,
        log_keep_days=settings.log_keep_days,
        log_place=str(settings.engine_log) if embedded else "the standard error of `cockpit engine`",
        started_with=started_with(settings, embedded=embedded),
        outage_s=settings.balancer_outage_s,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop)
    if embedded:  # a session of its own gets no SIGHUP from a terminal; one sent by hand must not end a release either
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    telling = asyncio.create_task(keep_told(settings.folder, remote, cloud, borrower))
    telling.add_done_callback(_say_if_broken)
    try:
        await engine.run()
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await remote.close()
        await asyncio.to_thread(store.close)


def _say_if_broken(telling: asyncio.Task[None]) -> None:
    """`cockpit doctor` knows less then; nothing else depends on it."""
    if not telling.cancelled() and (error := telling.exception()) is not None:
        logging.getLogger(__name__).error("what the engine uses is told no longer", exc_info=error)


def ssh_settings(settings: Settings) -> SshSettings:
    """The settings as the SSH adapter takes them."""
    from engine.remote.settings import AskAt, SshSettings

    wanted = settings.ssh
    known_hosts = wanted.known_hosts or Path.home() / ".ssh" / "known_hosts"
    return SshSettings(
        identity_files=wanted.identity_files,
        agent=wanted.agent,
        known_hosts=known_hosts,
        config=Path.home() / ".ssh" / "config" if wanted.config else None,
        connect_timeout_s=wanted.connect_timeout_s,
        login_timeout_s=wanted.login_timeout_s,
        kex=wanted.kex,
        ciphers=wanted.ciphers,
        macs=wanted.macs,
        host_key_algorithms=wanted.host_key_algorithms,
        ask_at=AskAt(wanted.ask_at),
        ask_deadline_s=wanted.ask_deadline_s,
    )


def _environment(settings: Settings) -> dict[str, str]:
    """This process's environment with the settings as they were resolved here. The store's URL may hold a password: it goes this
    way because other users can read an argument list, never another process's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("COCKPIT_")}
    kept |= settings.as_environment()
    root = str(Path(cockpit.__file__).parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    kept["COCKPIT_CONFIG"] = os.devnull  # what the files say is in the settings already
    return kept


def _open_log(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return append_to_private(path)
    except OSError as error:
        raise EngineError(
            Problem(
                "engine_log_unwritable",
                message("The engine's log {file} can't be written: {why}.", file=str(path), why=error.strerror or ""),
                message("Make the folder writable, or run the engine yourself with `cockpit engine`."),
            )
        ) from error


def _await_life(api: Api, settings: Settings, process: subprocess.Popen[bytes], *, again: bool = False) -> bool:
    """Whether it lives; False when it was killed before it did, unless that was so `again`. Raises EngineError."""
    deadline = time.monotonic() + settings.engine_start_s
    while not api.engine_alive():
        if (process.poll() or 0) < 0 and not again:
            return False
        if process.poll():
            raise _not_started(settings, f"it ended with status {process.returncode}")
        if time.monotonic() >= deadline:
            raise _not_started(settings, f"it showed no sign of life within {settings.engine_start_s:g} s")
        time.sleep(LOOK_EVERY_S)
    return True


def _not_started(settings: Settings, why: str) -> EngineError:
    return EngineError(
        Problem(
            "engine_not_started",
            message("The engine for this store could not be started: {why}.", why=why),
            message("Read {file}; `cockpit engine` runs it where you can see it.", file=str(settings.engine_log)),
            _tail(settings.engine_log),
        )
    )


def _not_stopped(settings: Settings) -> EngineError:
    return EngineError(
        Problem(
            "engine_not_stopped",
            message("The engine did not end within {s} s.", s=STOP_S),
            message("See {file}; an engine on another machine has to be ended there.", file=str(settings.engine_log)),
            _tail(settings.engine_log),
        )
    )


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "\n".join(lines[-TAIL_LINES:])
