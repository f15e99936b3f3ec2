"""The Remote port over the real OpenSSH: one sshd as the host, another as its jump host."""

from __future__ import annotations

import asyncio
import getpass
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain.fleet import Host, JumpHost
from engine.ports import (
    JobEnded,
    LogBytes,
    Look,
    Recall,
    RemoteError,
    RemoteStep,
    Since,
    StepEnded,
    StepStarted,
    StopOutcome,
)
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.processes import call, files_holding, processes_showing, running
from tests.support.remote_jobs import events_of, job_folder, job_of, output_of
from tests.support.ssh_servers import Sshd, host_on, until


@dataclass
class Machines:
    server: Sshd
    jump: Sshd
    settings: SshSettings
    folder: Path

    @property
    def host(self) -> Host:
        user = getpass.getuser()
        jump = JumpHost("gate", "127.0.0.1", self.jump.port, user, self.jump.public_key)
        return host_on(self.server.port, self.server.public_key, jump, user=user)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    (tmp_path / "id").chmod(0o600)
    server, jump = Sshd.make(tmp_path / "host", key), Sshd.make(tmp_path / "gate", key)
    settings = SshSettings(
        identity_files=(tmp_path / "id",),
        agent=False,
        known_hosts=tmp_path / "known_hosts",
        reattach_backoff_s=0.1,
        reattach_backoff_max_s=0.5,
    )
    with server.serving(), jump.serving():
        yield Machines(server, jump, settings, tmp_path)


@pytest.fixture
async def remote(machines: Machines) -> AsyncIterator[SshRemote]:
    made = SshRemote(machines.settings)
    yield made
    await made.close()


async def test_a_job_is_followed_through_the_jump_host(machines: Machines, remote: SshRemote) -> None:
    job = job_of(machines.host, r"printf '%s \377' $APP; pwd", "exit 3", variables={"APP": "shop"})
    events = await events_of(remote.follow(job))
    assert output_of(events) == b"shop \xff" + f"{machines.server.home}\n".encode()
    assert [e.exit_status for e in events if isinstance(e, StepEnded)] == [0, 3]
    assert isinstance(events[-1], JobEnded)


@pytest.mark.parametrize("broken", ["host", "jump"])
async def test_a_link_killed_in_the_middle_is_attached_again(
    machines: Machines, remote: SshRemote, broken: str
) -> None:
    body = "echo once >>ran; i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.05; done"
    events = []
    async for event in remote.follow(job_of(machines.host, body, "echo after")):
        events.append(event)
        if isinstance(event, LogBytes) and len(events) in (4, 10):
            (machines.server if broken == "host" else machines.jump).drop()
    assert output_of(events).decode() == "".join(f"{i}\n" for i in range(60)) + "after\n"
    assert len([e for e in events if isinstance(e, StepStarted)]) == 2
    assert (machines.server.home / "ran").read_text() == "once\n"


async def test_a_host_says_what_it_knows_of_a_job_of_earlier(machines: Machines, remote: SshRemote) -> None:
    job = job_of(machines.host, "echo once >>ran", "exit 3", variables={"APP": "shop"})
    await events_of(remote.follow(job))
    look = RemoteStep("deploy", 'echo "$APP"; [ -e ran ] && [ "$ck_ended" -gt 0 ]', 10.0)
    said = await remote.recall(replace(job, steps=(look,)))
    assert said == Recall(
        True, frozenset({job.steps[0].name}), Since.SAME, {"deploy": Look(True, "shop")}, same_setup=True
    )
    assert (machines.server.home / "ran").read_text() == "once\n"
    call("rm", "-r", str(job_folder(machines.server.home, job)))
    assert await remote.recall(job) == Recall(found=False)


async def test_a_link_that_breaks_again_and_again_loses_nothing_and_runs_nothing_twice(
    machines: Machines, remote: SshRemote
) -> None:
    body = "echo $0 >>ran; i=0; while [ $i -lt 30 ]; do printf '%s ' $i; i=$((i+1)); sleep 0.05; done"
    job = job_of(machines.host, *[body] * 4)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)

    async def break_it() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            chance.choice([machines.server, machines.jump]).drop()

    for _ in range(100):  # until it is started, a link that cannot be made is told at once
        breaking = asyncio.create_task(break_it())
        try:
            async with asyncio.timeout(60):
                events = await events_of(remote.follow(job))
            break
        except RemoteError as error:
            if error.problem.code not in ("host_unreachable", "jump_host_unreachable", "link_lost"):
                raise
        finally:
            breaking.cancel()
    assert output_of(events).decode() == "".join(f"{i} " for i in range(30)) * 4, f"seed {seed}"
    assert len([e for e in events if isinstance(e, StepStarted)]) == 4, f"seed {seed}"
    assert [e.exit_status for e in events if isinstance(e, StepEnded)] == [0] * 4, f"seed {seed}"
    assert len((machines.server.home / "ran").read_text().splitlines()) == 4, f"seed {seed}"


async def test_a_jump_host_that_is_away_for_a_while_loses_nothing(machines: Machines, remote: SshRemote) -> None:
    job = job_of(machines.host, "echo once >>ran; echo before; until [ -e go ]; do sleep 0.1; done; echo behind")
    events = []
    async for event in remote.follow(job):
        events.append(event)
        if isinstance(event, LogBytes) and event.data == b"before\n":
            machines.jump.stop()
            (machines.server.home / "go").touch()
            await until(lambda: "end ok" in (job_folder(machines.server.home, job) / "steps").read_text())
            machines.jump.start()
    assert output_of(events) == b"before\nbehind\n"
    assert (machines.server.home / "ran").read_text() == "once\n"


async def test_a_new_engine_finds_the_job_of_the_one_that_died(machines: Machines, remote: SshRemote) -> None:
    job = job_of(machines.host, "echo once >>ran; echo one; until [ -e go ]; do sleep 0.1; done; echo two")
    seen = []
    async for event in remote.follow(job):
        seen.append(event)
        if isinstance(event, LogBytes):
            break
    machines.server.drop()
    (machines.server.home / "go").touch()
    heir = SshRemote(machines.settings)
    seen += await events_of(heir.follow(replace(job, epoch=2), seen[-1].offset))
    with pytest.raises(RemoteError) as refused:
        await heir.stop(job)
    assert refused.value.problem.code == "job_epoch_refused"
    await heir.close()
    assert output_of(seen) == b"one\ntwo\n"
    assert (machines.server.home / "ran").read_text() == "once\n"


async def test_stop_is_verified(machines: Machines, remote: SshRemote) -> None:
    job = job_of(machines.host, "sleep 300 & echo $! >child; wait", "touch never")
    following = asyncio.create_task(events_of(remote.follow(job)))
    child = machines.server.home / "child"
    await until(lambda: child.exists() and child.read_text() != "")
    assert await remote.stop(job) is StopOutcome.STOPPED
    last = (await following)[-1]
    assert last == JobEnded(True, last.offset)
    assert not running(int(child.read_text()))
    assert not (machines.server.home / "never").exists()


@pytest.mark.parametrize("hop", ["gate", "h1"])
async def test_unknown_and_changed_host_keys_are_told_apart(machines: Machines, remote: SshRemote, hop: str) -> None:
    def showing(key: str) -> Host:
        host = machines.host
        if hop == "h1":
            return replace(host, host_key=key)
        return replace(host, jump_chain=(replace(host.jump_chain[0], host_key=key),))

    shown = asyncssh.import_public_key((machines.server if hop == "h1" else machines.jump).public_key).get_fingerprint()
    other = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(RemoteError) as unknown:
        await remote.run(showing(""), "true")
    assert unknown.value.problem.code == "host_key_unknown"
    assert shown in str(unknown.value)
    with pytest.raises(RemoteError) as changed:
        await remote.run(showing(other.export_public_key("openssh").decode()), "true")
    assert changed.value.problem.code == "host_key_changed"
    assert hop in str(changed.value)
    assert shown in str(changed.value)
    assert other.get_fingerprint() in str(changed.value)


async def test_hashed_known_hosts_vouch(machines: Machines) -> None:
    known = machines.folder / "known_hosts"
    known.write_text(
        f"[127.0.0.1]:{machines.server.port} {machines.server.public_key}\n"
        f"[127.0.0.1]:{machines.jump.port} {machines.jump.public_key}\n"
    )
    call("ssh-keygen", "-q", "-H", "-f", str(known))
    assert known.read_text().startswith("|1|")
    host = machines.host
    host = replace(host, host_key="", jump_chain=(replace(host.jump_chain[0], host_key=""),))
    remote = SshRemote(machines.settings)
    assert (await remote.run(host, "echo ok")).output == b"ok\n"
    await remote.close()


async def test_a_jump_host_that_is_down_is_named(machines: Machines, remote: SshRemote) -> None:
    machines.jump.stop()
    with pytest.raises(RemoteError) as down:
        await remote.run(machines.host, "true")
    assert down.value.problem.code == "jump_host_unreachable"
    assert "gate" in str(down.value)
    machines.jump.start()


async def test_a_jump_host_that_forbids_forwarding_is_told(machines: Machines, remote: SshRemote) -> None:
    machines.jump.stop()
    with (machines.jump.folder / "sshd_config").open("a") as config:
        config.write("AllowTcpForwarding no\n")
    machines.jump.start()
    with pytest.raises(RemoteError) as refused:
        await remote.run(machines.host, "true")
    assert refused.value.problem.code == "forwarding_refused"
    assert "AllowTcpForwarding" in str(refused.value.problem.remedy)
    assert refused.value.problem.evidence == "open failed"  # sshd's own words


async def test_more_runs_at_once_than_the_server_has_sessions(machines: Machines, remote: SshRemote) -> None:
    results = await asyncio.gather(*(remote.run(machines.host, f"echo {n}") for n in range(30)))
    assert [r.output for r in results] == [f"{n}\n".encode() for n in range(30)]


async def test_twenty_engines_at_once_lose_no_login(machines: Machines) -> None:
    """More logins than MaxStartups lets in: the resets are tried again."""
    remotes = [SshRemote(machines.settings) for _ in range(20)]
    host = replace(machines.host, jump_chain=())
    results = await asyncio.gather(*(remote.run(host, "echo ok") for remote in remotes))
    assert [r.output for r in results] == [b"ok\n"] * 20
    for remote in remotes:
        await remote.close()


async def test_20_mb_without_a_newline(machines: Machines, remote: SshRemote) -> None:
    job = job_of(machines.host, r"head -c 20000000 /dev/zero | tr '\000' '\377'")
    size = 0
    async for event in remote.follow(job):
        if isinstance(event, LogBytes):
            assert event.data.count(b"\xff") == len(event.data)
            size += len(event.data)
    assert size == 20_000_000


async def test_the_host_enforces_the_deadline_and_secrets_stay_hidden(machines: Machines, remote: SshRemote) -> None:
    body = "env >env; sleep 300 & echo $! >child; wait"
    job = job_of(machines.host, body, deadline_s=2, secrets={"secret_url": "needle-in-a-haystack"})
    following = asyncio.create_task(events_of(remote.follow(job)))
    await until((machines.server.home / "child").exists)
    assert processes_showing(b"needle-in-a") == []
    done = [e for e in await following if isinstance(e, StepEnded)]
    assert [e.timed_out for e in done] == [True]
    assert files_holding(machines.folder, b"needle-in-a") == []


async def test_keys_of_an_agent_are_used(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = machines.folder / "agent"
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(socket), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await until(socket.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(machines.folder))  # no usual identities there
        remote = SshRemote(replace(machines.settings, identity_files=(), agent=True))
        with pytest.raises(RemoteError) as empty:
            await remote.run(machines.host, "true")
        assert empty.value.problem.code == "permission_denied"
        call("ssh-add", "-q", str(machines.folder / "id"))
        host = replace(machines.host, jump_chain=())
        assert (await remote.run(host, "echo ok")).output == b"ok\n"
        await remote.close()
    finally:
        agent.terminate()
        await agent.wait()


async def test_an_expired_user_certificate_is_named_with_its_expiry(machines: Machines) -> None:
    folder = machines.folder
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "oncall", "-f", str(folder / "short"))
    call("ssh-keygen", "-q", "-s", str(folder / "id"), "-I", "me", "-V", "20200101:20200102", str(folder / "short.pub"))
    remote = SshRemote(replace(machines.settings, identity_files=(folder / "short",)))
    with pytest.raises(RemoteError) as expired:
        await remote.run(machines.host, "true")
    await remote.close()
    assert expired.value.problem.code == "permission_denied"
    assert "expired at 2020-01-0" in str(expired.value)


async def test_two_jump_hosts_in_a_row_and_the_outer_one_restarts_in_the_middle_of_a_job(machines: Machines) -> None:
    key = asyncssh.read_private_key(machines.folder / "id")
    outer = Sshd.make(machines.folder / "outer", key)
    with outer.serving():
        host = machines.host
        first = JumpHost("outer", "127.0.0.1", outer.port, getpass.getuser(), outer.public_key)
        host = replace(host, jump_chain=(first, *host.jump_chain))
        remote = SshRemote(machines.settings)
        job = job_of(host, "echo once >>ran; echo before; until [ -e go ]; do sleep 0.1; done; echo behind")
        events = []
        async for event in remote.follow(job):
            events.append(event)
            if isinstance(event, LogBytes) and event.data == b"before\n":
                outer.stop()
                (machines.server.home / "go").touch()
                await until(lambda: "end ok" in (job_folder(machines.server.home, job) / "steps").read_text())
                outer.start()
        assert output_of(events) == b"before\nbehind\n"
        assert (machines.server.home / "ran").read_text() == "once\n"
        machines.jump.stop()
        with pytest.raises(RemoteError) as down:
            await remote.run(replace(host, name="other"), "true")
        assert down.value.problem.code == "jump_host_unreachable", str(down.value)
        assert "gate" in str(down.value)  # the inner one, not the outer one that works
        machines.jump.start()
        await remote.close()


async def test_banners_before_the_login_and_of_the_login_shell_are_no_answer(
    machines: Machines, remote: SshRemote
) -> None:
    machines.server.stop()
    (machines.folder / "banner").write_text("Authorised use only.\n" * 50)
    with (machines.server.folder / "sshd_config").open("a") as config:
        config.write(f"Banner {machines.folder}/banner\nPrintMotd yes\n")
        config.write('ForceCommand printf "Welcome\\n\\033[1mto h1\\n"; echo noise >&2; eval "$SSH_ORIGINAL_COMMAND"\n')
    machines.server.start()
    job = job_of(machines.host, "echo hello", "exit 4")
    events = await events_of(remote.follow(job))
    assert output_of(events) == b"hello\n"
    assert [event.exit_status for event in events if isinstance(event, StepEnded)] == [0, 4]
    assert await remote.stop(job) is StopOutcome.ALREADY_ENDED


FOLLOWER = """
import asyncio, resource, sys
from pathlib import Path
from engine.domain.fleet import Host
from engine.ports import LogBytes
from engine.remote.ssh import SshRemote, SshSettings
from engine.run.logs import HostLog
from tests.support.remote_jobs import job_of

async def main(port, key, identity, user, log):
    remote = SshRemote(SshSettings(identity_files=(Path(identity),), agent=False, known_hosts=None))
    host = Host("h1", "127.0.0.1", int(port), user, "a", "a", "i", host_key=key)
    await remote.run(host, "true")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = HostLog(Path(log))
    size = 0
    async for event in remote.follow(job_of(host, "head -c 100000000 /dev/zero | tr '\\\\000' '\\\\377'")):
        if isinstance(event, LogBytes):
            kept.output(event.data, event.offset)
            size += len(event.data)
    kept.close()
    await remote.close()
    print(size, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_100_mb_without_a_newline_are_kept_in_a_few_mb_of_memory(machines: Machines) -> None:
    arguments = (str(machines.server.port), machines.server.public_key, str(machines.folder / "id"), getpass.getuser())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FOLLOWER, *arguments, str(machines.folder / "kept.log"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    size, before_kib, after_kib = map(int, (await process.stdout.read()).split())
    assert await process.wait() == 0
    assert size == 100_000_000
    # U+FFFD takes three bytes for each that was no UTF-8, and lines are wrapped: nothing is lost.
    assert (machines.folder / "kept.log").read_bytes().count(b"\xef\xbf\xbd") == 100_000_000
    assert after_kib - before_kib < 24 * 1024, f"{before_kib} KiB before, {after_kib} KiB behind"


async def test_a_certificate_that_ends_soon_is_named_and_a_renewed_one_is_read_by_itself(machines: Machines) -> None:
    folder = machines.folder
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "oncall", "-f", str(folder / "short"))

    def certify(validity: str) -> None:
        (folder / "short-cert.pub").unlink(missing_ok=True)
        call(
            "ssh-keygen", "-q", "-s", str(folder / "id"), "-I", "me", "-n", user, "-V", validity, f"{folder}/short.pub"
        )

    user = getpass.getuser()
    for sshd in (machines.server, machines.jump):
        sshd.stop()
        call("cp", str(sshd.folder / "authorized_keys"), str(sshd.folder / "authority"))
        with (sshd.folder / "sshd_config").open("a") as config:
            config.write(f"TrustedUserCAKeys {sshd.folder}/authority\n")
        sshd.start()
    certify("20200101:20200102")
    remote = SshRemote(replace(machines.settings, identity_files=(folder / "short",)))
    with pytest.raises(RemoteError) as expired:
        await remote.run(machines.host, "true")
    assert "expired at 2020-01-0" in str(expired.value)
    certify("-1m:+2h")
    host = replace(machines.host, jump_chain=())  # the jump host rests for a moment after a refusal
    assert (await remote.run(host, "echo ok")).output == b"ok\n"
    now = time.time()
    assert remote.expiring(now + 3600) == ()
    (problem,) = remote.expiring(now + 3 * 3600)
    assert problem.code == "certificate_expires"
    assert "oncall" in str(problem.what)
    await remote.close()
