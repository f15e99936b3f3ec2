"""The practice lab as others see it: a process with a fleet behind it, reached by SSH and HTTP, disturbed by faults, ended
with nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
import yaml

from cockpit.lab import process
from cockpit.lab.lab import Lab
from cockpit.lab.layout import PROD, PROD_BALANCER, PROD_GROUP
from cockpit.lab.leftovers import marked

HOSTS = 4


async def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    lab = Lab(tmp_path / "lab", HOSTS)
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()
    assert marked(lab.dir) == []


@asynccontextmanager
async def login(lab: Lab, name: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """On a host, through the jump host, with both keys as the catalogue has them."""
    prod = yaml.safe_load((lab.dir / "catalogue.yaml").read_text())["tenants"][0]["workspaces"][2]
    rows = [h for centre in prod["data_centres"] for cell in centre["cells"] for h in cell["hosts"]]
    host = next(row for row in rows if row["name"] == name)
    jump = prod["jump_hosts"][0]
    key = [str(lab.dir / "keys" / "operator")]

    def known(row: dict[str, str]) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        return [asyncssh.import_public_key(row["host_key"])], [], []

    async with (
        asyncssh.connect(
            "127.0.0.1", jump["ssh_port"], username="ops", client_keys=key, known_hosts=known(jump), config=None
        ) as hop,
        asyncssh.connect(
            "127.0.0.1",
            host["ssh_port"],
            username="admin",
            client_keys=key,
            known_hosts=known(host),
            tunnel=hop,
            config=None,
        ) as connection,
    ):
        yield connection


async def sh(connection: asyncssh.SSHClientConnection, command: str, stdin: bytes = b"") -> tuple[int | None, bytes]:
    async with asyncio.timeout(20):
        done = await connection.run(command, input=stdin, encoding=None, stderr=asyncssh.STDOUT)
    assert isinstance(done.stdout, bytes)
    return done.exit_status, done.stdout


async def test_a_host_behaves_like_an_openssh_server(lab: Lab) -> None:
    blob = bytes(range(256)) * 4096
    async with login(lab, "hz-a-01") as connection:
        assert await sh(connection, "cat", blob) == (0, blob)
        assert await sh(connection, "echo out; echo err >&2; exit 7") == (7, b"out\nerr\n")
        home = str(lab.hosts["hz-a-01"].home).encode()
        assert await sh(connection, 'echo "$HOME"; pwd') == (0, home + b"\n" + home + b"\n")
        killed = await connection.run("kill -s KILL $$", encoding=None)
        assert killed.exit_signal is not None
        assert killed.exit_signal[0] == "KILL"
        assert await sh(connection, "head -c 3", blob) == (0, blob[:3])  # input that nobody reads any more
        many = await asyncio.gather(*(sh(connection, f"echo {n}") for n in range(8)))
        assert [out for _, out in many] == [f"{n}\n".encode() for n in range(8)]


async def test_the_environment_of_a_login_is_its_own(lab: Lab) -> None:
    os.environ["LAB_TEST_LEAK"] = "1"
    try:
        async with login(lab, "hz-b-01") as connection:
            status, out = await sh(connection, "env")
    finally:
        del os.environ["LAB_TEST_LEAK"]
    assert status == 0
    assert b"LAB_TEST_LEAK" not in out
    assert b"SSH_AUTH_SOCK" not in out


async def test_a_detached_job_survives_the_connection_and_so_does_a_command_whose_channel_is_gone(lab: Lab) -> None:
    home = lab.hosts["hz-a-02"].home
    async with login(lab, "hz-a-02") as connection:
        job = "setsid sh -c 'until [ -e go ]; do sleep 0.05; done; echo done >job' </dev/null >/dev/null 2>&1 &"
        assert await sh(connection, job) == (0, b"")
        plain = await connection.create_process(
            "echo up >plain; until [ -e go ]; do sleep 0.05; done; echo done >plain"
        )
        await until((home / "plain").exists)
        connection.abort()
        await asyncio.wait_for(plain.wait_closed(), 5)
    (home / "go").touch()
    await until(lambda: (home / "job").exists() and (home / "job").read_text() == "done\n")
    await until(lambda: (home / "plain").read_text() == "done\n")


async def test_the_jump_host_forwards_and_opens_no_session(lab: Lab) -> None:
    key = [str(lab.dir / "keys" / "operator")]
    async with asyncssh.connect(
        "127.0.0.1", lab.layout.ports.jump, username="ops", client_keys=key, known_hosts=None, config=None
    ) as hop:
        with pytest.raises(asyncssh.ChannelOpenError):
            await hop.run("true")


async def test_a_stranger_gets_in_nowhere(lab: Lab) -> None:
    key = [asyncssh.generate_private_key("ssh-ed25519")]
    for port, user in ((lab.layout.ports.jump, "ops"), (lab.layout.hosts[0].ssh_port, "admin")):
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect("127.0.0.1", port, username=user, client_keys=key, known_hosts=None, config=None)


async def test_weights_are_changed_and_a_version_is_deployed_under_load_without_losing_a_request(lab: Lab) -> None:
    await lab.start_load(workers=4, rate=300)
    plans = lab.layout.in_workspace(PROD)
    package = lab.dir / "packages" / "trade-core-2.0.0.tar.gz"
    for plan in plans[:2]:
        server = (plan.server_id, plan.app_port)
        lab.slb_state.set_weights(PROD_BALANCER, PROD_GROUP, {server: 0})
        await until(lambda plan=plan: established(plan.app_port) == 0)  # type: ignore[misc]
        async with login(lab, plan.name) as connection:
            variables = (
                f"export APP_NAME=trade-core APP_VERSION=2.0.0 APP_HOME=$HOME/apps/trade-core PACKAGE_FILE={package} "
                f"HOST_NAME={plan.name} APP_PORT={plan.app_port} HEALTH_PORT={plan.health_port} "
                f"PYTHON={lab.hosts[plan.name].variables['python']}; "
            )
            status, said = await sh(connection, variables + f"sh {lab.dir}/stack/bin/deploy.sh")
            assert status == 0, said
        lab.slb_state.set_weights(PROD_BALANCER, PROD_GROUP, {server: 100})
    before = lab.load_status().by_version.get("2.0.0", 0)
    await until(lambda: lab.load_status().by_version.get("2.0.0", 0) >= before + 20)
    result = await lab.stop_load()
    assert result.failed == 0, result.errors
    assert result.requests == sum(result.by_version.values()) == sum(result.by_host.values())
    assert set(result.by_version) == {"1.0.0", "2.0.0"}
    assert set(result.by_host) == {plan.name for plan in plans}


def established(port: int) -> int:
    listed = subprocess.run(
        ["ss", "-Htn", "state", "established", f"sport = :{port}"], capture_output=True, text=True, check=True
    )
    return len(listed.stdout.splitlines())


async def test_a_request_to_a_dead_host_fails_and_counts(lab: Lab) -> None:
    plan = lab.layout.in_workspace(PROD)[0]
    host = lab.hosts[plan.name]
    os.kill(int((host.app_home / "app.pid").read_text()), signal.SIGKILL)
    await lab.start_load(workers=4, rate=200)
    await until(lambda: lab.load_status().failed > 0 and lab.load_status().requests > 20)
    result = await lab.stop_load()
    assert set(result.errors) == {"HTTP 502"}
    assert plan.name not in result.by_host
    for each in lab.layout.in_workspace(PROD):
        lab.slb_state.set_weights(PROD_BALANCER, PROD_GROUP, {(each.server_id, each.app_port): 0})
    assert await asyncio.to_thread(_status_of, lab.forwarders[PROD].url) == 503


def _status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def test_faults_of_one_host_leave_the_others_alone_and_can_be_taken_back(lab: Lab) -> None:
    await lab.switches.set("failing_health", True, "hz-a-01")
    await lab.switches.set("agent_down", True, "hz-b-01")
    await lab.switches.set("disk_full", True, "hz-a-02")
    rows = {row.name: row for row in (await lab.status()).hosts}
    assert rows["hz-a-01"].health == "failed"
    assert rows["hz-b-01"].health == "passed"
    assert not rows["hz-b-01"].agent
    assert rows["hz-a-01"].agent
    tar = f'cd /tmp && gzip -dc {lab.dir}/packages/trade-core-2.0.0.tar.gz | tar -xf - -C "$HOME"'
    async with login(lab, "hz-a-02") as connection:
        status, said = await sh(connection, tar)
        assert status != 0
        assert b"No space left on device" in said
        _, free = await sh(connection, "df -Pk \"$HOME\" | awk 'END { print $(NF - 2), $(NF - 1) }'")
        assert free == b"0 100%\n"
        status, said = await sh(connection, f"curl -s -o page http://127.0.0.1:{rows['hz-a-02'].app_port}/")
        assert status == 23
        assert await sh(connection, "printf x | cat | tail -c 1") == (0, b"x")
    assert lab.switches.state() == {
        "failing_health": ["hz-a-01"],
        "agent_down": ["hz-b-01"],
        "disk_full": ["hz-a-02"],
    }
    for name in list(lab.switches.state()):
        await lab.switches.set(name, False)
    rows = {row.name: row for row in (await lab.status()).hosts}
    assert all(row.agent for row in rows.values())
    assert rows["hz-a-01"].health == "passed"
    async with login(lab, "hz-a-02") as connection:
        assert (await sh(connection, tar))[0] == 0


async def test_a_start_that_hangs_is_said_by_the_start_script_in_its_time(lab: Lab) -> None:
    host = lab.hosts["hz-a-01"]
    await lab.switches.set("hung_start", True, "hz-a-01")
    with pytest.raises(RuntimeError, match="python run time out"):
        await host._script("restart", lab.dir / "stack", Path("none"), {"boot_wait_s": "1"}, "1.0.0")
    await lab.switches.set("hung_start", False, "hz-a-01")
    await host._script("restart", lab.dir / "stack", Path("none"), {"boot_wait_s": "20"}, "1.0.0")
    assert await host.answers() == ("1.0.0", "passed")


async def test_links_and_keys_break_and_come_back(lab: Lab) -> None:
    async with login(lab, "hz-a-01") as connection:
        running = asyncio.create_task(sh(connection, "sleep 30"))
        await until(lambda: bool(lab.hosts["hz-a-01"].server.connections))
        await lab.switches.set("dropped_links", True)
        with pytest.raises((asyncssh.Error, AssertionError, OSError)):
            assert (await running)[0] is not None
    await lab.switches.set("dropped_links", False)
    await lab.switches.set("host_key_changed", True, "hz-a-01")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        async with login(lab, "hz-a-01"):
            pass
    await lab.switches.set("host_key_changed", False, "hz-a-01")
    await lab.switches.set("host_unreachable", True, "hz-a-01")
    with pytest.raises((asyncssh.Error, OSError)):
        async with login(lab, "hz-a-01"):
            pass
    await lab.switches.set("host_unreachable", False, "hz-a-01")
    await lab.switches.set("jump_down", True)
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, both are down
        async with login(lab, "hz-a-01"):
            pass
    await lab.switches.set("jump_down", False)
    async with login(lab, "hz-a-01") as connection:
        assert await sh(connection, "echo back") == (0, b"back\n")


async def test_version_3_starts_and_its_health_fails_with_a_reason_in_the_logs(lab: Lab) -> None:
    host = lab.hosts["hz-b-02"]
    package = lab.dir / "packages" / "trade-core-3.0.0.tar.gz"
    await host._script("deploy", lab.dir / "stack", package, {}, "3.0.0")
    assert await host.answers() == ("3.0.0", "failed")
    for log in ("sofa/sofa-healthcheck.log", "trade-core/common-error.log"):
        assert "route table is empty" in (host.home / "logs" / log).read_text()
    await host._script("initialise", lab.dir / "stack", package, {}, "3.0.0")
    await host._script("initialise", lab.dir / "stack", package, {}, "3.0.0")
    assert not host.app_home.exists()
    assert await host.answers() == ("", "unreachable")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    process.down(tmp_path / "lab")


def test_a_lab_of_its_own_comes_up_is_found_again_and_leaves_no_process(folder: Path) -> None:
    begun = time.monotonic()
    info = process.up(folder, HOSTS)
    assert time.monotonic() - begun < 20
    assert process.up(folder, 8) == info  # it runs: nothing is started
    assert stat.S_IMODE((folder / "lab.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "credentials").stat().st_mode) == 0o600
    status = process.status(folder)
    assert {host.version for host in status.hosts if host.workspace == "prod"} == {"1.0.0"}
    assert set(status.weights[f"{PROD_BALANCER}/{PROD_GROUP}"].values()) == {100}
    assert process.fault(folder, "slb_busy", True) == {"slb_busy": []}
    with pytest.raises(process.LabError, match="no fault is called"):
        process.fault(folder, "rain", True)
    with pytest.raises(process.LabError, match="not a fault of one host"):
        process.fault(folder, "slb_busy", True, "hz-a-01")
    assert process.load(folder, "start", rate=200).running
    until_time = time.monotonic() + 10
    while process.status(folder).load.requests < 20:
        assert time.monotonic() < until_time
    stopped = process.load(folder, "stop")
    assert not stopped.running
    assert stopped.failed == 0
    assert process.down(folder)
    assert marked(folder) == []
    assert process.info(folder) is None
    assert not process.down(folder)
    with pytest.raises(process.LabError, match="No lab is running"):
        process.status(folder)


def test_after_a_crash_the_lab_comes_up_again_as_it_was(folder: Path) -> None:
    first = process.up(folder, 2)
    pid = process.status(folder).pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert marked(folder) != []  # its services serve on
    assert process.info(folder) is None
    second = process.up(folder, 2)
    assert second.endpoints == first.endpoints
    assert {host.version for host in process.status(folder).hosts if host.workspace == "prod"} == {"1.0.0"}
    assert process.down(folder)
    assert marked(folder) == []


def test_a_lab_that_cannot_start_says_why_with_its_log(folder: Path) -> None:
    with pytest.raises(process.LabError) as failure:
        process.up(folder, 1)
    assert failure.value.problem.code == "lab_start_failed"
    assert "a lab has 2 to" in failure.value.problem.evidence
    assert marked(folder) == []
