"""What a host says of a job of earlier, over real SSH under dash, bash and busybox: its record, what became of the host since, and
looks at a real service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain import step_names as names
from engine.domain.fleet import Host, ObjectRef, Package, TechStack
from engine.ports import Job, Look, Recall, RemoteStep, Since
from engine.remote import program
from engine.steps import service
from engine.steps.context import StepContext
from engine.steps.registry import look, step
from tests.contract.test_remote_contract import Site, site  # noqa: F401
from tests.support.processes import call
from tests.support.remote_jobs import events_of, job_folder, job_of
from tests.support.ssh_servers import until

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
DIGEST = "0123456789abcdef0123456789abcdef"
PACKAGE = ObjectRef("hz", "bucket", "shop-2.0.0.tgz", 6, "B1946AC92492D2347C6235B4D2611184")


def looking(job: Job, *looks: tuple[str, str]) -> Job:
    return replace(job, steps=tuple(RemoteStep(name, body, 10.0) for name, body in looks))


async def test_a_host_says_which_steps_of_an_earlier_job_ended_well(site: Site) -> None:  # noqa: F811
    job = job_of(site.host, "echo once >>ran", "exit 3", "touch never")
    await events_of(site.remote.follow(job))
    said = await site.remote.recall(looking(job))
    assert said == Recall(True, frozenset({names.CHECK_AGENT}), Since.SAME, same_setup=True)
    assert (site.home / "ran").read_text() == "once\n"  # to ask does nothing again


async def test_a_look_says_whether_it_is_still_so_and_its_last_line_why_not(site: Site) -> None:  # noqa: F811
    job = job_of(site.host, "echo first >it", variables={"WHAT": "it's $x"})
    await events_of(site.remote.follow(job))
    fits = 'read -r is <it; echo "$is of $WHAT"; [ "$is" = first ]'
    wanted = looking(job, (names.CHECK_AGENT, fits), (names.DEPLOY, "echo beside >&2; echo 'no  such thing'; exit 1"))
    said = await site.remote.recall(wanted)
    assert said.looks == {
        names.CHECK_AGENT: Look(True, "first of it's $x"),
        names.DEPLOY: Look(False, "no  such thing"),
    }
    (site.home / "it").write_text("second\n")
    assert (await site.remote.recall(wanted)).looks[names.CHECK_AGENT] == Look(False, "second of it's $x")


async def test_a_look_that_never_ends_is_ended_and_those_behind_it_are_made(site: Site) -> None:  # noqa: F811
    """A health check of a stack's own that goes on asking: the service is not healthy, and the host can be asked."""
    job = job_of(site.host, "true")
    await events_of(site.remote.follow(job))
    hangs = "(while :; do sleep 1; done) & echo $$ >looking; echo asking; while :; do sleep 1; done"
    leaves = "sleep 300 & echo $! >left; echo fine"
    wanted = looking(job, (names.CHECK_HEALTH, hangs), (names.DEPLOY, leaves))
    said = await site.remote.recall(replace(wanted, steps=(replace(wanted.steps[0], deadline_s=1.0), wanted.steps[1])))
    assert said.looks == {names.CHECK_HEALTH: Look(False, "asking"), names.DEPLOY: Look(True, "fine")}
    for left in ("looking", "left"):
        await until(lambda: is_gone(int((site.home / left).read_text())))  # noqa: B023


def is_gone(pid: int) -> bool:
    """Or what is left of it, where nobody collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[-1].startswith("Z")
    except FileNotFoundError:
        return True


async def test_a_job_that_set_up_something_else_is_told_from_one_that_set_up_the_same(site: Site) -> None:  # noqa: F811
    job = replace(job_of(site.host, "true", variables={"PORT": "80"}), setup="one")
    await events_of(site.remote.follow(job))
    assert (await site.remote.recall(looking(job))).same_setup
    assert not (await site.remote.recall(looking(replace(job, setup="another")))).same_setup
    assert not (await site.remote.recall(looking(replace(job, setup="")))).same_setup


def test_a_system_that_does_not_tell_its_boots_apart_cannot_say_that_it_was_not_restarted(tmp_path: Path) -> None:
    job = replace(job_of(Host("h1", "127.0.0.1", 22, "admin", "dc", "cell", "i-1"), "true"), steps=())
    folder = job_folder(tmp_path, job)
    folder.mkdir(parents=True)
    (folder / "nonce").write_text("n\n")
    (folder / "steps").touch()
    (folder / "ended").write_text(f"{'99999999':<20} -\n")
    text = program.recalling(job, token="t").replace("/proc/sys/kernel/random/boot_id", "/nowhere/boot_id")
    said = subprocess.run(["sh", "-c", text], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True)
    assert "\x1et since unknown\n" in said.stdout


async def test_a_folder_that_is_gone_is_no_record_and_nothing_is_made(site: Site) -> None:  # noqa: F811
    job = job_of(site.host, "true")
    assert not (await site.remote.recall(looking(job))).found
    assert not (site.home / ".cockpit").exists()
    await events_of(site.remote.follow(job))
    call("rm", "-r", str(job_folder(site.home, job)))
    assert await site.remote.recall(looking(job, (names.DEPLOY, "touch looked"))) == Recall(found=False)
    assert not (site.home / "looked").exists()


async def test_a_host_that_was_restarted_since_says_so(site: Site) -> None:  # noqa: F811
    job = job_of(site.host, "true")
    await events_of(site.remote.follow(job))
    ended = job_folder(site.home, job) / "ended"
    start, boot = ended.read_text().split()
    assert boot == BOOT
    ended.write_text(f"{start} 00000000-0000-0000-0000-000000000000\n")
    assert (await site.remote.recall(looking(job))).since is Since.RESTARTED


async def test_a_runner_that_was_killed_left_nothing_that_can_be_counted_on(site: Site) -> None:  # noqa: F811
    job = job_of(site.host, "true", "echo running >there; sleep 300")
    stream = site.remote.follow(job)
    while not (site.home / "there").exists():
        await anext(stream)
    os.kill(int((job_folder(site.home, job) / "pid").read_text().split()[0]), signal.SIGKILL)
    await stream.aclose()
    await site.remote.stop(job)
    said = await site.remote.recall(looking(job))
    assert said.done == {names.CHECK_AGENT}
    assert said.since is Since.UNKNOWN


async def test_a_job_of_another_order_that_began_since_is_told(site: Site) -> None:  # noqa: F811
    before, job = job_of(site.host, "true", order_id=6), job_of(site.host, "true")
    await events_of(site.remote.follow(before))
    await events_of(site.remote.follow(job))
    again = replace(job, key="forward-2")
    beside = replace(again, host=replace(site.host, name="h1-b"))
    for own in (again, beside):  # of the same order
        await events_of(site.remote.follow(own))
    assert (await site.remote.recall(looking(job))).since is Since.SAME
    await events_of(
        site.remote.follow(replace(job, order_created_at=1_790_000_060.5))
    )  # the same number of another store
    assert (await site.remote.recall(looking(job))).since is Since.ANOTHER


# ------------------------------------------------------------------------------------------------------------- the service


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def started(site: Site) -> Iterator[list[int]]:  # noqa: F811
    """Processes that a test has started; they end with it."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def serve(port: int) -> str:
    text = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
    return f'{sys.executable} -c "{text}" >/dev/null 2>&1 & echo $! >service'


def context_of(site: Site, port: int, **variables: str) -> StepContext:  # noqa: F811
    host = replace(site.host, variables={"health_port": str(port), **variables})
    stack = TechStack("web", "1", ObjectRef("hz", "bucket", "web.tgz", 1, DIGEST), {})
    return StepContext(host, stack, "shop", "2.0.0", Package("shop", "2.0.0", PACKAGE))


async def look_at(site: Site, job: Job, name: str, context: StepContext) -> Look:  # noqa: F811
    wanted = look(step(name), context)
    assert wanted is not None
    return (await site.remote.recall(replace(job, steps=(wanted,)))).looks[name]


async def running_at(site: Site, port: int, started: list[int]) -> Job:  # noqa: F811
    job = job_of(site.host, "true", "true", serve(port))
    await events_of(site.remote.follow(job))
    await listens(site, port, started)
    return job


async def listens(site: Site, port: int, started: list[int]) -> None:  # noqa: F811
    def there() -> bool:
        with socket.socket() as asks:
            return asks.connect_ex(("127.0.0.1", port)) == 0

    await until(there)
    started.append(int((site.home / "service").read_text()))


async def test_the_service_that_a_job_started_is_known_again(site: Site, port: int, started: list[int]) -> None:  # noqa: F811
    job = await running_at(site, port, started)
    assert await look_at(site, job, names.DEPLOY, context_of(site, port)) == Look(True, "")
    assert await look_at(site, job, "restart", context_of(site, port, app_port=str(port))) == Look(True, "")
    assert (await look_at(site, job, "offline", context_of(site, port))).said == service.THERE


async def test_a_service_that_was_started_by_hand_since_is_another_one(
    site: Site,  # noqa: F811
    port: int,
    started: list[int],
) -> None:
    job = await running_at(site, port, started)
    os.kill(started[-1], signal.SIGKILL)
    await events_of(site.remote.follow(replace(job, key="forward-by-hand", steps=job_of(site.host, serve(port)).steps)))
    await listens(site, port, started)
    assert await look_at(site, job, names.DEPLOY, context_of(site, port)) == Look(False, service.YOUNGER)


async def test_a_service_that_died_is_gone(site: Site, port: int, started: list[int]) -> None:  # noqa: F811
    job = await running_at(site, port, started)
    os.kill(started[-1], signal.SIGKILL)

    async def gone() -> bool:
        return (await look_at(site, job, names.DEPLOY, context_of(site, port))) == Look(False, service.GONE)

    await until(gone)
    assert await look_at(site, job, "offline", context_of(site, port)) == Look(True, "")


async def test_what_was_downloaded_and_unpacked_is_looked_at(site: Site, port: int) -> None:  # noqa: F811
    job = job_of(site.host, "true")
    await events_of(site.remote.follow(job))
    context = context_of(site, port)

    async def both() -> tuple[bool, bool]:
        scripts = await look_at(site, job, names.DOWNLOAD_SCRIPTS, context)
        package = await look_at(site, job, names.DOWNLOAD_PACKAGE, context)
        return scripts.holds, package.holds

    assert await both() == (False, False)
    stack, package = site.home / ".cockpit/stacks/web-1", site.home / ".cockpit/packages/shop/2.0.0/shop-2.0.0.tgz"
    for folder in (stack, package.parent):
        folder.mkdir(parents=True)
    (stack / ".cockpit-digest").write_text(f"{DIGEST}\n")
    package.write_text("hello\n")
    assert await both() == (True, True)
    (stack / ".cockpit-digest").write_text("another\n")
    package.write_text("hullo\n")
    assert await both() == (False, False)
