"""SSH servers for tests: asyncssh ones with real `sh` processes behind them, and the real sshd. Both on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from engine.domain.fleet import Host, JumpHost

SHELLS = ("dash", "bash", "busybox")


def tools_of(shell: str, folder: Path) -> str:
    """A PATH on which `sh` is `shell`; for busybox every other tool is busybox's, too."""
    folder.mkdir(parents=True, exist_ok=True)
    found = shutil.which(shell)
    assert found, f"{shell} is needed for this test"
    if shell == "busybox":
        subprocess.run([found, "--install", "-s", str(folder)], check=True)
        return str(folder)
    (folder / "sh").symlink_to(found)
    return f"{folder}:/usr/bin:/bin"


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], deadline_s: float = 15.0) -> None:
    """Wait until `condition` holds; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        held = condition()
        if not isinstance(held, bool):
            held = await held
        if held:
            return
        assert time.monotonic() < end, "the condition did not come true in time"
        await asyncio.sleep(0.02)


@dataclass
class TestServer:
    """One asyncssh server: a host with a home and a shell, or a jump host (anything may be reached through it)."""

    __test__ = False

    home: Path
    path: str
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    port: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    logins: int = 0
    talk: str = ""  # what the login shell says before every command
    code: str = ""  # a one-time password it asks for, instead of a key
    patience_s: float = 120.0  # for one login, as LoginGraceTime
    asked: int = 0
    hang_ups: int = 0  # answers that it does not judge: it breaks the connection
    _listener: asyncssh.SSHAcceptor | None = None
    _commands: dict[asyncio.Task[None], asyncio.subprocess.Process | None] = field(default_factory=dict)

    async def start(self) -> None:
        self._listener = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Server(self),
            server_host_keys=[self.host_key],
            process_factory=self._process,
            encoding=None,
            config=None,
            login_timeout=self.patience_s,
        )
        self.port = self._listener.get_port()

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self.drop()
            await self._listener.wait_closed()
            self._listener = None
        for real in self._commands.values():
            if real is not None:  # what it left behind may still hold its output
                _kill_group(real.pid)
        await asyncio.gather(*self._commands)

    def drop(self) -> None:
        """Break every connection, as a network does."""
        for connection in list(self.connections):
            connection.abort()

    @property
    def public_key(self) -> str:
        return self.host_key.export_public_key("openssh").decode().strip()

    def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.create_task(self._command(process))
        self._commands[task] = None
        task.add_done_callback(self._commands.pop)

    async def _command(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = self.talk + (process.command or "")
        real = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.home,
            env={"HOME": str(self.home), "PATH": self.path, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        assert real.stdin
        assert real.stdout
        assert real.stderr
        this = asyncio.current_task()
        assert this is not None
        self._commands[this] = real
        feeding = asyncio.create_task(_feed(process, real.stdin))
        try:
            await asyncio.gather(_show(real.stdout, process.stdout), _show(real.stderr, process.stderr))
            status = await real.wait()
            if status < 0:
                process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
            else:
                process.exit(status)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def _feed(process: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
    try:
        while data := await process.stdin.read(65536):
            stdin.write(data)
            await stdin.drain()
    except (asyncssh.Error, OSError):
        pass  # the connection was dropped: the command sees the end of its input, as under sshd
    finally:
        stdin.close()


async def _show(stream: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
    there = True
    while data := await stream.read(65536):
        try:
            if there:
                writer.write(data)
                await writer.drain()
        except (asyncssh.Error, OSError):
            there = False  # the connection was dropped; what runs runs on, as under sshd


class _Server(asyncssh.SSHServer):
    def __init__(self, server: TestServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.append(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._connection is not None
        self._server.connections.remove(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        self._server.logins += 1

    def public_key_auth_supported(self) -> bool:
        return not self._server.code

    def kbdint_auth_supported(self) -> bool:
        return bool(self._server.code)

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        self._server.asked += 1
        return "", "Two\x1b[31m factors", "", [(f"One-time password for {username}: ", False)]

    def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
        if self._server.hang_ups:
            self._server.hang_ups -= 1
            assert self._connection is not None
            self._connection.abort()
            return False
        return responses == [self._server.code]

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key == self._server.client_key.convert_to_public()

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


@dataclass
class Sshd:
    """The real OpenSSH server on a high port, run as whoever runs the tests, with a home of its own."""

    folder: Path
    port: int
    public_key: str
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def make(
        folder: Path, client_key: asyncssh.SSHKey, *, first: str = "", extra: str = "", own_home: bool = True
    ) -> Sshd:
        """`first` are lines that count instead of the usual ones, `extra` lines behind them. Without a home of its own every
        account has the one of the user database."""
        folder.mkdir(parents=True)
        home = folder / "home of the user"
        home.mkdir()
        set_home = f'SetEnv HOME="{home}"' if own_home else ""
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        host_key.write_private_key(folder / "host_key")
        (folder / "host_key").chmod(0o600)
        client_key.write_public_key(folder / "authorized_keys")
        port = free_port()
        (folder / "sshd_config").write_text(
            f"{first}\nPort {port}\nListenAddress 127.0.0.1\n"
            f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\n"
            f"StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nPidFile none\nLogLevel VERBOSE\n"
            f"{set_home}\n{extra}\n"
        )
        return Sshd(folder, port, host_key.export_public_key("openssh").decode().strip(), home)

    def start(self) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        log = (self.folder / "sshd.log").open("ab")
        self._process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stderr=log,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )
        log.close()
        end = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end, (self.folder / "sshd.log").read_text()
            time.sleep(0.02)

    @contextmanager
    def serving(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """End the listener and every session's sshd: what a dead machine looks like from outside."""
        if self._process is None:
            return
        children = self.sessions()
        self._process.terminate()
        self._process.wait(10)
        self._process = None
        _kill(children)

    def configure(self, *lines: str) -> None:
        """Put lines before all others and let the listener read them; who is logged in keeps what was said before."""
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n" + config.read_text())
        assert self._process is not None
        before = (self.folder / "sshd.log").read_text().count("Server listening")
        self._process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while (self.folder / "sshd.log").read_text().count("Server listening") <= before:
            assert time.monotonic() < end, (self.folder / "sshd.log").read_text()
            time.sleep(0.02)

    def drop(self) -> None:
        """Kill the sshd of every session; the listener stays."""
        _kill(self.sessions())

    def sessions(self) -> list[int]:
        assert self._process is not None
        found = [self._process.pid]
        for pid in found:
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue  # it has ended by itself
            found += [int(child) for child in children if _is_sshd(int(child))]
        return found[1:]


def _is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip().startswith("sshd")
    except OSError:
        return False


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def host_on(port: int, public_key: str, *jumps: JumpHost, name: str = "h1", user: str = "root") -> Host:
    return Host(name, "127.0.0.1", port, user, "hz-a", "a1", "i-1", host_key=public_key, jump_chain=jumps)


@asynccontextmanager
async def serving(*servers: TestServer) -> AsyncIterator[None]:
    try:
        for server in servers:
            await server.start()
        yield
    finally:
        for server in servers:
            await server.stop()
