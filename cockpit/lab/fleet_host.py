"""One host of the practice fleet: its home folder, its SSH server, its agent and the service deployed on it by the very scripts
that a release runs. It knows nothing of balancers or packages in OSS."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import asyncssh

from cockpit.lab import paperwork
from cockpit.lab.artefacts import HERE, STACK_NAME, STACK_VERSION
from cockpit.lab.layout import FIRST_VERSION, HOST_USER, LabHostPlan, Layout
from cockpit.lab.leftovers import MARK, process_start
from cockpit.lab.ssh_hosts import HostServer, Login

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SCRIPT_DEADLINE_S = 60.0
PROBE_DEADLINE_S = 2.0


class ScriptFailed(RuntimeError):
    """A script of the stack or the agent did not end well while the lab itself ran it."""


class FleetHost:
    """`root` is the host's folder: `home` (the login's), `bin` (before the system's commands on its PATH)."""

    def __init__(
        self,
        plan: LabHostPlan,
        root: Path,
        dir: Path,
        layout: Layout,
        host_key: asyncssh.SSHKey,
        operator: asyncssh.SSHKey,
    ) -> None:
        self.plan = plan
        self.home = root / "home"
        self.bin = root / "bin"
        self.faults = self.home / ".lab" / "faults"
        self._layout = layout
        self.environment = {
            "HOME": str(self.home),
            "USER": HOST_USER,
            "LOGNAME": HOST_USER,
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "PATH": f"{self.bin}:{SYSTEM_PATH}",
            MARK: str(dir),
        }
        self.server = HostServer(plan.name, HOST_USER, host_key, operator, Login(self.home, self.environment))

    @property
    def variables(self) -> dict[str, str]:
        return paperwork.variables(self.plan, self.home, self._layout)

    @property
    def app_home(self) -> Path:
        return self.home / "apps" / self.plan.app

    def prepare(self) -> None:
        """The folders, and the agent as it would be installed on a new machine. Faults of an earlier run are gone."""
        shutil.rmtree(self.faults, ignore_errors=True)
        shutil.rmtree(self.bin, ignore_errors=True)
        agent = self.home / "staragent"
        for folder in (
            self.bin,
            self.faults,
            self.home / "logs" / "sofa",
            agent / "bin",
            agent / "conf",
            agent / "log",
        ):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("agent.sh", "agent.py"):
            shutil.copyfile(HERE / "staragent" / name, agent / "bin" / name)
        (agent / "bin" / "agent.sh").chmod(0o755)
        conf = f"PYTHON={shlex.quote(sys.executable)}\nSERVER_PORT={self._layout.ports.star}\n"
        (agent / "conf" / "agent.conf").write_text(conf)

    async def agent(self, act: str) -> None:
        """start, stop or restart the host's agent."""
        await self.run(["sh", str(self.home / "staragent" / "bin" / "agent.sh"), act], {})

    async def bring_up(self, stack: Path, package: Path, parameters: Mapping[str, str]) -> None:
        """Deploy the first version, or start again what an earlier run left deployed."""
        if (self.app_home / "VERSION").exists():
            await self._script("start", stack, package, parameters, (self.app_home / "VERSION").read_text().strip())
            return
        for act in ("install", "configure", "deploy"):
            await self._script(act, stack, package, parameters, FIRST_VERSION)

    def kill_service(self) -> None:
        """As a crash would: nothing is stopped in order and nobody is told."""
        try:
            pid = int((self.app_home / "app.pid").read_text())
            ours = str(self.app_home) in Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError):
            return  # it does not run
        if ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _script(self, act: str, stack: Path, package: Path, parameters: Mapping[str, str], version: str) -> None:
        plan = self.plan
        values = {**parameters, **self.variables}
        variables = {name.upper(): value for name, value in values.items()} | {
            "APP_NAME": plan.app,
            "APP_VERSION": version,
            "STACK_NAME": STACK_NAME,
            "STACK_VERSION": STACK_VERSION,
            "STACK_DIR": str(stack),
            "PACKAGE_FILE": str(package),
            "APP_HOME": str(self.app_home),
            "LOG_DIR": str(self.home / "logs" / plan.app),
            "HOST_NAME": plan.name,
            "DATA_CENTRE": plan.data_centre,
            "CELL": plan.cell,
        }
        await self.run(["sh", str(stack / "bin" / f"{act}.sh")], variables)

    async def run(self, command: list[str], variables: Mapping[str, str]) -> None:
        """Run a command as the login would. Raises ScriptFailed with the end of its output."""
        log = self.home / "logs" / "lab.log"
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.home,
                env={**self.environment, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(SCRIPT_DEADLINE_S):
                    status = await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                status = await process.wait()
        if status != 0:
            said = log.read_bytes()[offset:][-2000:].decode(errors="replace")
            raise ScriptFailed(f"{self.plan.name}: {' '.join(command)} ended with {status}:\n{said}")

    async def answers(self) -> tuple[str, str]:
        """(version that answers on the app's port, `passed`, `failed` or `unreachable`); the version is empty when nothing
        answers."""
        app, health = await asyncio.gather(
            first_line(self.plan.app_port, "/"), first_line(self.plan.health_port, "/checkService")
        )
        words = app.split()
        version = words[1] if len(words) > 1 else ""
        if not health:
            return version, "unreachable"
        return version, "passed" if "passed:true" in health else "failed"

    def agent_runs(self) -> bool:
        try:
            pid = int((self.home / "staragent" / "run" / "agent.pid").read_text())
        except (FileNotFoundError, ValueError):
            return False
        # Not merely a number: an ended agent that nobody has collected yet still has one.
        return bool(process_start(pid))


async def first_line(port: int, path: str) -> str:
    """The first line of the body that 127.0.0.1 answers at `port`; empty when it does not answer in time."""
    try:
        async with asyncio.timeout(PROBE_DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read(65_536)
                while part := await reader.read(65_536):
                    answer += part
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return ""
    body = answer.partition(b"\r\n\r\n")[2].decode(errors="replace")
    return body.splitlines()[0] if body else ""
