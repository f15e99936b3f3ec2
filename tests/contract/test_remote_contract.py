"""The Remote port over real SSH and real shells: a host and a jump host of asyncssh, `sh` being dash, bash or busybox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain import step_names
from engine.domain.fleet import Host, JumpHost
from engine.ports import JobEnded, LogBytes, RemoteError, StepEnded, StepStarted, StopOutcome
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.processes import call, files_holding, processes_showing, running
from tests.support.remote_jobs import events_of, job_folder, job_of, output_of, without_output
from tests.support.ssh_servers import SHELLS, TestServer, host_on, serving, tools_of, until


@dataclass
class Site:
    remote: SshRemote
    settings: SshSettings
    server: TestServer
    jump: TestServer
    host: Host

    @property
    def home(self) -> Path:
        return self.server.home


@pytest.fixture(params=SHELLS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    (tmp_path / "id").chmod(0o600)
    home = tmp_path / "it's a home"
    home.mkdir()
    server = TestServer(
        home, tools_of(request.param, tmp_path / "tools"), asyncssh.generate_private_key("ssh-ed25519"), key
    )
    jump = TestServer(home, "/usr/bin:/bin", asyncssh.generate_private_key("ssh-ed25519"), key)
    settings = SshSettings(
        identity_files=(tmp_path / "id",),
        agent=False,
        known_hosts=None,
        reattach_backoff_s=0.1,
        reattach_backoff_max_s=0.5,
    )
    async with serving(server, jump):
        remote = SshRemote(settings)
        host = host_on(server.port, server.public_key, JumpHost("gate", "127.0.0.1", jump.port, "op", jump.public_key))
        try:
            yield Site(remote, settings, server, jump, host)
        finally:
            await remote.close()


async def test_steps_run_in_order_and_every_byte_arrives_once(site: Site) -> None:
    job = job_of(
        site.host,
        r"""printf 'no newline \377\036 '; printf '%s' "$APP_NAME" >&2""",
        "echo second; pwd",
        variables={"APP_NAME": "it's $x `y`\nz"},
    )
    events = await events_of(site.remote.follow(job))
    assert output_of(events) == b"no newline \xff\x1e it's $x `y`\nzsecond\n" + f"{site.home}\n".encode()
    first, second = step_names.CHECK_AGENT, step_names.DOWNLOAD_SCRIPTS
    marks = [(type(e), getattr(e, "step", None), getattr(e, "exit_status", None)) for e in without_output(events)]
    assert marks == [
        (StepStarted, first, None),
        (StepEnded, first, 0),
        (StepStarted, second, None),
        (StepEnded, second, 0),
        (JobEnded, None, None),
    ]
    assert [e.offset for e in events] == sorted(e.offset for e in events)
    assert events[-1].offset == (job_folder(site.home, job) / "log").stat().st_size


async def test_a_failing_step_ends_the_job(site: Site) -> None:
    job = job_of(site.host, "exit 5", "touch never")
    events = await events_of(site.remote.follow(job))
    assert [e.exit_status for e in events if isinstance(e, StepEnded)] == [5]
    assert isinstance(events[-1], JobEnded)
    assert not events[-1].stopped
    assert not (site.home / "never").exists()


async def test_a_step_that_is_no_shell_fails_alone(site: Site) -> None:
    events = await events_of(site.remote.follow(job_of(site.host, "echo before", "if then ) fi")))
    statuses = [e.exit_status for e in events if isinstance(e, StepEnded)]
    assert statuses[0] == 0
    assert statuses[1] != 0
    assert isinstance(events[-1], JobEnded)


async def test_a_finished_job_is_answered_from_its_record(site: Site) -> None:
    job = job_of(site.host, "echo once >>ran; echo hello")
    first = await events_of(site.remote.follow(job))
    assert without_output(await events_of(site.remote.follow(job))) == without_output(first)
    behind_start = first[0].offset
    again = await events_of(site.remote.follow(job, behind_start))
    assert output_of(again) == b"hello\n"
    assert not any(isinstance(e, StepStarted) for e in again)
    assert (site.home / "ran").read_text() == "once\n"


async def test_two_followers_start_it_once(site: Site) -> None:
    job = job_of(site.host, "echo once >>ran; echo hello; sleep 1")
    other = SshRemote(site.settings)
    one, two = await asyncio.gather(events_of(site.remote.follow(job)), events_of(other.follow(job)))
    await other.close()
    assert without_output(one) == without_output(two)
    assert output_of(one) == output_of(two) == b"hello\n"
    assert (site.home / "ran").read_text() == "once\n"


@pytest.mark.parametrize("broken", ["host", "jump"])
async def test_a_link_lost_in_the_middle_is_attached_again_and_nothing_runs_twice(site: Site, broken: str) -> None:
    counting = 'echo once >>ran; i=0; while [ $i -lt 40 ]; do echo "line $i"; i=$((i+1)); sleep 0.05; done'
    job = job_of(site.host, counting, "echo after")
    events = []
    async for event in site.remote.follow(job):
        events.append(event)
        if isinstance(event, LogBytes) and len(events) in (3, 9):
            (site.server if broken == "host" else site.jump).drop()
    expected = "".join(f"line {i}\n" for i in range(40)) + "after\n"
    assert output_of(events) == expected.encode()
    assert len([e for e in events if isinstance(e, StepStarted)]) == 2
    assert len([e for e in events if isinstance(e, StepEnded)]) == 2
    assert (site.home / "ran").read_text() == "once\n"
    assert (site.server if broken == "host" else site.jump).logins >= 2


async def test_a_new_engine_attaches_where_the_old_one_was(site: Site) -> None:
    job = job_of(site.host, "echo once >>ran; echo one; until [ -e go ]; do sleep 0.1; done; echo two")
    seen = []
    async for event in site.remote.follow(job):
        seen.append(event)
        if isinstance(event, LogBytes):
            break
    await site.remote.close()
    (site.home / "go").touch()
    heir = SshRemote(site.settings)
    seen += await events_of(heir.follow(replace(job, epoch=2), seen[-1].offset))
    await heir.close()
    assert output_of(seen) == b"one\ntwo\n"
    assert (site.home / "ran").read_text() == "once\n"


async def test_closing_the_remote_ends_its_followers_and_no_job(site: Site) -> None:
    job = job_of(site.host, "echo one; until [ -e go ]; do sleep 0.1; done; echo two")
    stream = site.remote.follow(job)
    while not isinstance(await anext(stream), LogBytes):
        pass
    await site.remote.close()
    with pytest.raises(RemoteError) as closed:
        await events_of(stream)
    assert closed.value.problem.code == "link_lost"
    (site.home / "go").touch()
    await until(lambda: "end ok" in (job_folder(site.home, job) / "steps").read_text())


async def test_an_older_epoch_is_refused(site: Site) -> None:
    await events_of(site.remote.follow(job_of(site.host, "true", epoch=5)))
    stale = job_of(site.host, "touch never", epoch=4, key="forward-2")
    for act in (events_of(site.remote.follow(stale)), site.remote.stop(stale)):
        with pytest.raises(RemoteError) as refused:
            await act
        assert refused.value.problem.code == "job_epoch_refused"
        assert "epoch 5" in str(refused.value.problem.what)
    assert not (site.home / "never").exists()


async def test_stop_ends_the_running_step_and_leaves_the_service_of_an_earlier_one(site: Site) -> None:
    job = job_of(
        site.host,
        "sleep 300 >/dev/null 2>&1 & echo $! >service",
        "sleep 301 & echo $! >child; trap '' TERM; echo running; while :; do sleep 1; done",
        "touch never",
    )
    following = asyncio.create_task(events_of(site.remote.follow(job)))
    await until(lambda: (site.home / "child").exists() and (site.home / "child").read_text() != "")
    assert await site.remote.stop(job) is StopOutcome.STOPPED
    events = await following
    assert events[-1] == JobEnded(True, events[-1].offset)
    service, child = (int((site.home / name).read_text()) for name in ("service", "child"))
    assert running(service)
    assert not running(child)
    assert not (site.home / "never").exists()
    assert await site.remote.stop(job) is StopOutcome.ALREADY_ENDED
    os.kill(service, 9)


async def test_a_job_stopped_before_its_start_can_no_longer_be_started(site: Site) -> None:
    job = job_of(site.host, "touch never")
    assert await site.remote.stop(job) is StopOutcome.NEVER_STARTED
    events = await events_of(site.remote.follow(job))
    assert [type(e) for e in events] == [JobEnded]
    assert events[0] == JobEnded(True, events[0].offset)
    assert not (site.home / "never").exists()
    assert await site.remote.stop(job) is StopOutcome.NEVER_STARTED


async def test_the_host_itself_enforces_a_deadline(site: Site) -> None:
    job = job_of(
        site.host, "trap '' TERM; sleep 300 & echo $! >child; while :; do sleep 1; done", "touch never", deadline_s=1
    )
    stream = site.remote.follow(job)
    assert isinstance(await anext(stream), StepStarted)
    await stream.aclose()
    await site.remote.close()  # nobody watches
    ended = job_folder(site.home, job) / "steps"
    await until(lambda: "end failed" in ended.read_text(), 20)
    assert not running(int((site.home / "child").read_text()))
    heir = SshRemote(site.settings)
    done = [e for e in await events_of(heir.follow(job)) if isinstance(e, StepEnded)]
    await heir.close()
    assert [e.timed_out for e in done] == [True]
    assert not (site.home / "never").exists()


async def test_secrets_are_in_no_argument_list_environment_or_file(site: Site) -> None:
    secret = "https://bucket/key?Signature=abc%2Fdef'quoted\nsecond line"
    body = 'env >env; printf "%s" "$secret_url" | wc -c; until [ -e go ]; do sleep 0.1; done'
    job = job_of(site.host, body, secrets={"secret_url": secret})
    following = asyncio.create_task(events_of(site.remote.follow(job)))
    await until(lambda: (site.home / "env").exists() and "HOME" in (site.home / "env").read_text())
    needle = b"abc%2Fdef"
    assert processes_showing(needle) == []
    (site.home / "go").touch()
    assert output_of(await following).split() == [str(len(secret)).encode()]
    assert files_holding(site.home, needle) == []


async def test_output_of_20_mb_without_a_newline_arrives_byte_for_byte_at_a_slow_reader(site: Site) -> None:
    job = job_of(site.host, r"head -c 20000000 /dev/zero | tr '\000' '\377'; printf end")
    size, last, log = 0, b"", job_folder(site.home, job) / "log"
    async for event in site.remote.follow(job):
        if isinstance(event, LogBytes):
            if not size:
                # It is all there, and we have read one piece of it
                await until(lambda: log.stat().st_size > 20_000_000)
            assert len(event.data) <= 65_536 + 64
            assert event.data.strip(b"\xff") in (b"", b"end")
            size, last = size + len(event.data), event.data
    assert size == 20_000_003
    assert last.endswith(b"\xffend")


async def test_a_runner_that_is_gone_without_a_last_word_is_told(site: Site) -> None:
    job = job_of(site.host, "echo running; sleep 300")
    stream = site.remote.follow(job)
    while not isinstance(await anext(stream), LogBytes):
        pass
    folder = job_folder(site.home, job)
    os.kill(int((folder / "pid").read_text().split()[0]), 9)
    with pytest.raises(RemoteError) as gone:
        await events_of(stream)
    assert gone.value.problem.code == "job_vanished"
    with pytest.raises(RemoteError) as still_gone:
        await events_of(site.remote.follow(job))
    assert still_gone.value.problem.code == "job_vanished"
    group = int((folder / "group").read_text())
    assert running(group)  # what it ran runs on until somebody stops it
    assert await site.remote.stop(job) is StopOutcome.STOPPED
    assert not running(group)
    assert isinstance((await events_of(site.remote.follow(job)))[-1], JobEnded)


async def test_an_end_that_found_no_room_in_the_log_is_still_an_end(site: Site) -> None:
    job = job_of(site.host, "echo once >>ran")
    events = await events_of(site.remote.follow(job))
    log = job_folder(site.home, job) / "log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    again = await events_of(site.remote.follow(job, events[-2].offset))
    assert again == [JobEnded(False, again[-1].offset)]
    assert (site.home / "ran").read_text() == "once\n"


async def test_an_order_of_another_store_with_the_same_number_is_another_order(site: Site) -> None:
    before = replace(job_of(site.host, "echo first >>ran", epoch=5), order_created_at=1_790_000_000.125)
    job = replace(before, epoch=1, order_created_at=1_790_000_060.5)
    for each in (before, job, before):
        assert isinstance((await events_of(site.remote.follow(each)))[-1], JobEnded)
    assert (site.home / "ran").read_text() == "first\n" * 2


async def test_a_job_does_not_start_beside_one_of_another_order(site: Site) -> None:
    left = job_of(site.host, "echo running; sleep 300")
    following = asyncio.create_task(events_of(site.remote.follow(left)))
    await until(lambda: (job_folder(site.home, left) / "log").exists())
    await until(lambda: b"running" in (job_folder(site.home, left) / "log").read_bytes())
    job = replace(job_of(site.host, "touch ran"), order_id=left.order_id + 1)
    with pytest.raises(RemoteError) as busy:
        await events_of(site.remote.follow(job))
    assert busy.value.problem.code == "host_busy"
    assert left.key in str(busy.value)
    beside = replace(job, order_id=left.order_id, host=replace(site.host, name="h1-b"))
    await events_of(site.remote.follow(beside))  # another host of the same order, with the same login
    (site.home / "ran").unlink()
    assert not job_folder(site.home, job).exists()
    assert await site.remote.stop(left) is StopOutcome.STOPPED
    await following
    await events_of(site.remote.follow(job))
    assert (site.home / "ran").exists()


async def test_a_job_whose_folder_was_deleted_is_never_started_again(site: Site) -> None:
    job = job_of(site.host, "echo once >>ran")
    last = (await events_of(site.remote.follow(job)))[-1]
    call("rm", "-r", str(job_folder(site.home, job)))
    with pytest.raises(RemoteError) as gone:
        await events_of(site.remote.follow(job, last.offset))
    assert gone.value.problem.code == "job_vanished"
    assert (site.home / "ran").read_text() == "once\n"


async def test_a_talkative_login_shell_is_no_answer(site: Site) -> None:
    site.server.talk = "echo Welcome; echo to the machine >&2; "
    job = job_of(site.host, "echo hello")
    assert output_of(await events_of(site.remote.follow(job))) == b"hello\n"
    assert await site.remote.stop(job) is StopOutcome.ALREADY_ENDED


async def test_a_host_may_have_any_name(site: Site) -> None:
    host = replace(site.host, name="../a b'c$(x)/主机")
    assert output_of(await events_of(site.remote.follow(job_of(host, "echo hello", key="..")))) == b"hello\n"
    assert [p.name for p in (site.home / ".cockpit" / "jobs").iterdir()] == [
        "7-0-..%2Fa%20b%27c%24%28x%29%2F%E4%B8%BB%E6%9C%BA"
    ]


async def test_old_job_folders_are_cleaned_and_young_ones_stay(site: Site) -> None:
    jobs = site.home / ".cockpit" / "jobs"
    for name in ("1-old", "2-young"):
        (jobs / name / "forward-1").mkdir(parents=True)
    os.utime(jobs / "1-old", (1_700_000_000, 1_700_000_000))
    await events_of(site.remote.follow(job_of(site.host, "true")))
    await until(lambda: not (jobs / "1-old").exists())
    assert sorted(p.name for p in jobs.iterdir()) == ["2-young", "7-0-h1"]


async def test_a_full_disk_is_told_before_and_during_a_job(site: Site, tmp_path: Path) -> None:
    assert os.geteuid() == 0, "this test mounts a small file system and needs root"
    small = tmp_path / "small"
    small.mkdir()
    call("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small))
    try:
        site.server.home = small
        (small / "fill").write_bytes(b"")
        during = job_of(site.host, "cat /dev/zero >fill; cat /dev/zero; true", "touch never")
        with pytest.raises(RemoteError) as full:
            await events_of(site.remote.follow(during))
        assert full.value.problem.code == "disk_full"
        assert not (small / "never").exists()
        before = job_of(site.host, "touch never", key="forward-2")
        with pytest.raises(RemoteError) as full:
            await events_of(site.remote.follow(before))
        assert full.value.problem.code == "disk_full"
        (small / "fill").unlink()
        assert isinstance((await events_of(site.remote.follow(before)))[-1], JobEnded)
        assert (small / "never").exists()
    finally:
        await site.remote.close()
        await site.server.stop()
        call("umount", "-l", str(small))


async def test_run_gives_output_and_exit_status(site: Site) -> None:
    result = await site.remote.run(site.host, "cat; echo err >&2; kill -9 $$", stdin=b"in\xff")
    assert (result.exit_status, result.output) == (137, b"in\xfferr\n")
    result = await site.remote.run(site.host, "head -c 100000 /dev/zero; exit 3", limit=10)
    assert (result.exit_status, result.output) == (3, b"\0" * 10)


async def test_run_ends_at_its_deadline_on_both_sides(site: Site) -> None:
    with pytest.raises(RemoteError) as late:
        await site.remote.run(site.host, "sleep 300 & echo $! >pid; wait; touch never", deadline_s=1)
    assert late.value.problem.code == "remote_deadline"
    pid = int((site.home / "pid").read_text())
    await until(lambda: not running(pid))


async def test_run_over_a_link_that_breaks_knows_no_exit_status(site: Site) -> None:
    running = asyncio.create_task(site.remote.run(site.host, "echo hello; touch up; sleep 2"))
    await until(lambda: (site.home / "up").exists())
    site.server.drop()
    result = await running
    assert result.exit_status is None


async def test_a_host_clock_that_jumps_changes_no_deadline(site: Site, tmp_path: Path) -> None:
    """`date` of this host goes back a day each time it is asked: TERM is ignored, so that both graces are waited for."""
    date = tmp_path / "tools" / "date"
    date.unlink(missing_ok=True)  # busybox's link
    (tmp_path / "day").write_text("2000000000")
    date.write_text(f"#!/bin/sh\nread -r at <'{tmp_path}/day'\necho $((at - 86400)) >'{tmp_path}/day'\necho $at\n")
    date.chmod(0o755)
    late = job_of(site.host, "trap '' TERM; while :; do sleep 0.2; done", deadline_s=1)
    async with asyncio.timeout(30):
        ended = [event for event in await events_of(site.remote.follow(late)) if isinstance(event, StepEnded)]
    assert [event.timed_out for event in ended] == [True]
    stubborn = job_of(site.host, "trap '' TERM; echo there; while :; do sleep 0.2; done", key="forward-2")
    following = asyncio.create_task(events_of(site.remote.follow(stubborn)))
    folder = job_folder(site.home, stubborn)
    await until(lambda: (folder / "log").exists() and b"there" in (folder / "log").read_bytes())
    async with asyncio.timeout(30):
        assert await site.remote.stop(stubborn) is StopOutcome.STOPPED
        assert isinstance((await following)[-1], JobEnded)
