"""The lab as a process of its own: started detached, asked and told over its control port, ended with nothing left behind.

For the command line, the demo and the tests. It builds no lab itself (`cockpit.lab.lab` does, in the other process).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cockpit.lab.leftovers import MARK, end_leftovers, is_alive, process_start
from cockpit.lab.running import record_of
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError

UP_DEADLINE_S = 60.0
DOWN_DEADLINE_S = 20.0
CALL_DEADLINE_S = 30.0
LOG_TAIL_LINES = 20
PROGRESS = "progress.json"  # how many hosts are up, and of how many, while the lab comes up


class LabError(ProblemError):
    """The lab could not be started, reached or told. Codes: `lab_not_running`, `lab_start_failed`, `lab_refused`,
    `lab_leftovers`, `lab_lacks_tools`."""


@dataclass(frozen=True, slots=True)
class LabInfo:
    """Where the pieces of a running lab are. `store` is a store URL, `environment` what a cockpit needs beyond it (nothing
    secret), `endpoints` has oss, slb, balancer, control (URLs) and jump (`host:port`)."""

    dir: str
    catalogue: str
    store: str
    config: str
    environment: dict[str, str]
    endpoints: dict[str, str]
    tenant: str
    workspace: str
    app: str
    versions: list[str]
    hosts: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LabHost:
    """`version` is what answers on the app's port, empty when nothing does; `health`: passed, failed or unreachable."""

    name: str
    workspace: str
    app: str
    running: bool
    version: str
    health: str
    agent: bool
    ssh_port: int
    app_port: int
    health_port: int


@dataclass(frozen=True, slots=True)
class LabLoad:
    """The counters of the load generator, since its last start."""

    running: bool = False
    requests: int = 0
    failed: int = 0
    by_version: dict[str, int] = field(default_factory=dict)
    by_host: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabStatus:
    """`weights` maps `<balancer>/<server group>` to `<server id>:<port>` → weight; `faults` maps those that are on to the
    hosts they are on (empty list: everywhere)."""

    pid: int
    info: LabInfo
    hosts: list[LabHost]
    weights: dict[str, dict[str, int]]
    load: LabLoad
    faults: dict[str, list[str]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def default_dir() -> Path:
    """Where a lab lies when no folder is given: `cockpit-lab` in the user's data folder."""
    import platformdirs

    return Path(platformdirs.user_data_dir("cockpit", appauthor=False)) / "lab"


def faults() -> dict[str, str]:
    """Every fault's name and one sentence on what it does."""
    from cockpit.lab.switches import FAULTS

    return dict(FAULTS)


def kept_hosts(dir: Path) -> int | None:
    """How many hosts the fleet that was here before has behind the balancer; None: there was none."""
    from cockpit.lab.layout import kept_layout

    return kept_layout(dir.expanduser().resolve())


def up(
    dir: Path,
    hosts: int = 8,
    *,
    more_apps: bool | None = None,
    deadline_s: float = UP_DEADLINE_S,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> LabInfo:
    """Start the lab in `dir` with `hosts` hosts behind the balancer and wait until it is ready; one that runs is left as it
    is. `more_apps`: with pricing, and gateway that calls it; None: as it was before. What a crashed one left running is ended
    first. `tell` is called with how many hosts are up, and of how many. Raises LabError `lab_start_failed` with the end of the
    log, `lab_lacks_tools`."""
    dir = dir.expanduser().resolve()
    running = info(dir)
    if running is not None:
        return running
    _need_tools()
    dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _end_processes(dir)
    (dir / "lab.json").unlink(missing_ok=True)
    (dir / PROGRESS).unlink(missing_ok=True)
    with (dir / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cockpit.lab", str(dir), "--hosts", str(hosts), *_apps_option(more_apps)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(dir),
        )
    try:
        return _ready(dir, process, deadline_s, tell)
    except BaseException:  # whoever calls it off too leaves nothing of it running
        process.kill()
        process.wait(DOWN_DEADLINE_S)
        _end_processes(dir)
        raise


def _apps_option(more_apps: bool | None) -> list[str]:
    return [] if more_apps is None else ["--more-apps" if more_apps else "--no-more-apps"]


def _ready(dir: Path, process: subprocess.Popen[bytes], deadline_s: float, tell: Callable[[int, int], None]) -> LabInfo:
    until = time.monotonic() + deadline_s
    told: tuple[int, int] | None = None
    while time.monotonic() < until:
        if (now := _progress(dir)) != told and now is not None:
            told = now
            tell(*now)
        if process.poll() is not None:
            raise _start_failed(dir, f"exit status {process.returncode}")
        if (ready := info(dir)) is not None:
            return ready
        time.sleep(0.05)
    raise _start_failed(dir, f"not ready after {deadline_s:.0f} s")


def down(dir: Path, *, deadline_s: float = DOWN_DEADLINE_S) -> bool:
    """End the lab and everything its hosts run; False: there was none. Raises LabError `lab_leftovers` when a process
    could not be ended."""
    dir = dir.expanduser().resolve()
    record = record_of(dir)
    if record is not None:
        with contextlib.suppress(LabError):  # it answers no more: what follows ends it the hard way
            _call(record, "POST", "/stop", {})
        until = time.monotonic() + deadline_s
        while is_alive(record["pid"], record["started"]) and time.monotonic() < until:
            _reap(record["pid"])
            time.sleep(0.02)
    ended = _end_processes(dir)
    (dir / "lab.json").unlink(missing_ok=True)
    return record is not None or ended > 0


def info(dir: Path) -> LabInfo | None:
    """The running lab of `dir`, or None."""
    record = record_of(dir.expanduser().resolve())
    return LabInfo(**record["info"]) if record else None


def status(dir: Path) -> LabStatus:
    """Raises LabError `lab_not_running`."""
    answer = _call(_running(dir), "GET", "/status", None)
    return LabStatus(
        pid=answer["pid"],
        info=LabInfo(**answer["info"]),
        hosts=[LabHost(**host) for host in answer["hosts"]],
        weights=answer["weights"],
        load=LabLoad(**answer["load"]),
        faults=answer["faults"],
    )


def fault(
    dir: Path, name: str, on: bool, host: str | None = None, *, for_s: float | None = None
) -> dict[str, list[str]]:
    """Switch a fault on or off, on one host or everywhere, for some seconds or until it is switched off; returns those that are on
    now. Raises LabError `lab_refused` for an unknown fault or host."""
    asked = {"name": name, "on": on, "host": host, "for_s": for_s}
    return dict(_call(_running(dir), "POST", "/fault", asked)["faults"])


def load(dir: Path, act: Literal["start", "stop"], *, workers: int = 4, rate: float = 100.0) -> LabLoad:
    """Start the load generator (`rate` requests a second by `workers` workers) or stop it; returns its counters."""
    return LabLoad(**_call(_running(dir), "POST", "/load", {"act": act, "workers": workers, "rate": rate})["load"])


def _progress(dir: Path) -> tuple[int, int] | None:
    try:
        done, of = json.loads((dir / PROGRESS).read_text())
    except (OSError, ValueError):
        return None
    return int(done), int(of)


def _need_tools() -> None:
    """The lab's hosts run on what this machine has."""
    from engine.steps.host_check import TOOLS

    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise LabError(
            Problem(
                "lab_lacks_tools",
                message(
                    "The practice fleet needs programs that are not on this machine: {tools}.", tools=", ".join(lacking)
                ),
                message("Install them with the system's package manager, then start it again."),
            )
        )


def _running(dir: Path) -> dict[str, Any]:
    record = record_of(dir.expanduser().resolve())
    if record is None:
        raise LabError(
            Problem(
                "lab_not_running",
                message("No lab is running in {dir}.", dir=str(dir)),
                message("Start one: cockpit lab up."),
            )
        )
    return record


def _call(record: dict[str, Any], method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    request = urllib.request.Request(
        record["info"]["endpoints"]["control"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {record['token']}", "Content-Type": "application/json"},
    )
    # Never through a proxy: the lab is on loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=CALL_DEADLINE_S) as answer:
            result: dict[str, Any] = json.loads(answer.read())
            return result
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:300]
        raise LabError(
            Problem(
                "lab_refused",
                message("The lab refused: {said}", said=said),
                message("Use the names that cockpit lab status and cockpit lab faults print."),
            )
        ) from error
    except (OSError, ValueError) as error:
        raise LabError(
            Problem(
                "lab_not_running",
                message("The lab in {dir} does not answer: {error}.", dir=record["info"]["dir"], error=str(error)),
                message("End it and start it again: cockpit lab down, then cockpit lab up."),
            )
        ) from error


def _start_failed(dir: Path, why: str) -> LabError:
    return LabError(
        Problem(
            "lab_start_failed",
            message("The lab in {dir} did not start: {why}.", dir=str(dir), why=why),
            message("Read {log}, then start it again.", log=str(dir / "lab.log")),
            evidence=log_tail(dir),
        )
    )


def log_tail(dir: Path) -> str:
    try:
        lines = (dir / "lab.log").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-LOG_TAIL_LINES:])


def _end_processes(dir: Path) -> int:
    ended, left = end_leftovers(dir)
    if left:
        raise LabError(
            Problem(
                "lab_leftovers",
                message("Processes of the lab in {dir} could not be ended: {pids}.", dir=str(dir), pids=str(left)),
                message("End them by process id."),
            )
        )
    return ended


def _reap(pid: int) -> None:
    """Collect the lab's process if it is our own child; otherwise it would stay a zombie for as long as we live."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _environment(dir: Path) -> dict[str, str]:
    """Ours, so that the same packages are imported from wherever they were imported here."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONUNBUFFERED": "1", MARK: str(dir)}


def own_record() -> dict[str, Any]:
    """pid and start of this process, as `lab.json` holds them."""
    return {"pid": os.getpid(), "started": process_start(os.getpid())}
