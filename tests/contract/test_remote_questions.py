"""A jump host that asks for a one-time password: who is asked, how often, and what is said when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain.fleet import Host, JumpHost
from engine.ports import LogBytes, Question, RemoteError
from engine.remote.settings import AskAt
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.remote_jobs import events_of, job_of, output_of
from tests.support.ssh_servers import TestServer, host_on, serving, until

CODE = "correct-horse-493817"


@dataclass
class Operator:
    """Answers as told; `answers` are given one after another, each when `may_answer` is set."""

    answers: list[str]
    questions: list[Question] = field(default_factory=list)
    withdrawn: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, question: Question, deadline_s: float) -> str | None:
        self.questions.append(question)
        try:
            async with asyncio.timeout(deadline_s):
                await self.may_answer.wait()
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        return self.answers.pop(0)


@dataclass
class Site:
    gate: TestServer
    servers: list[TestServer]
    settings: SshSettings
    make: Callable[[SshSettings, Operator | None], SshRemote]

    def host(self, number: int = 0) -> Host:
        server = self.servers[number]
        gate = JumpHost("gate", "127.0.0.1", self.gate.port, "op", self.gate.public_key)
        return host_on(server.port, server.public_key, gate, name=f"h{number}")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    (tmp_path / "id").chmod(0o600)

    def server() -> TestServer:
        return TestServer(tmp_path, "/usr/bin:/bin", asyncssh.generate_private_key("ssh-ed25519"), key)

    gate, servers = server(), [server() for _ in range(4)]
    gate.code = CODE
    settings = SshSettings(
        identity_files=(tmp_path / "id",),
        agent=False,
        known_hosts=None,
        connect_timeout_s=3,
        login_timeout_s=3,
        reattach_backoff_s=0.1,
        ask_deadline_s=20,
    )
    made: list[SshRemote] = []

    def make(wanted: SshSettings, operator: Operator | None) -> SshRemote:
        made.append(SshRemote(wanted, asker=operator))
        return made[-1]

    async with serving(gate, *servers):
        yield Site(gate, servers, settings, make)
        for remote in made:
            await remote.close()


async def failure(remote: SshRemote, host: Host) -> RemoteError:
    with pytest.raises(RemoteError) as failed:
        await remote.run(host, "true")
    return failed.value


async def test_one_answer_opens_the_way_to_every_host_behind(site: Site) -> None:
    operator = Operator([CODE])
    remote = site.make(site.settings, operator)
    runs = asyncio.gather(*(remote.run(site.host(number % 4), "echo ok") for number in range(16)))
    await until(lambda: bool(operator.questions))
    operator.may_answer.set()
    assert [result.output for result in await runs] == [b"ok\n"] * 16
    assert operator.questions == [
        Question("gate", f"op@127.0.0.1:{site.gate.port}", True, "Two factors", "One-time password for op:", False, 1)
    ]
    assert site.gate.logins == 1


async def test_a_person_may_take_longer_than_the_login_deadline_and_than_the_server_waits(site: Site) -> None:
    await site.gate.stop()
    site.gate.patience_s = 4
    await site.gate.start()
    operator = Operator([CODE])
    remote = site.make(replace(site.settings, login_timeout_s=3.5), operator)
    run = asyncio.create_task(remote.run(site.host(), "echo ok"))
    await until(lambda: bool(operator.questions))
    await until(lambda: not site.gate.connections)  # it hung up
    operator.may_answer.set()
    assert (await run).output == b"ok\n"
    assert len(operator.questions) == 1  # the question stayed, its answer went to the next login
    assert site.gate.asked == 2


async def test_an_answer_that_the_server_hung_up_on_is_given_once_more_and_then_asked_for_again(site: Site) -> None:
    operator = Operator([CODE, CODE])
    operator.may_answer.set()
    site.gate.hang_ups = 1
    remote = site.make(site.settings, operator)
    assert (await remote.run(site.host(), "echo ok")).output == b"ok\n"
    assert (site.gate.asked, len(operator.questions)) == (2, 1)
    await remote.close()
    site.gate.hang_ups = 2
    operator.questions.clear()
    operator.answers = [CODE, CODE]
    assert (await site.make(site.settings, operator).run(site.host(), "echo ok")).output == b"ok\n"
    assert (site.gate.asked, [question.attempt for question in operator.questions]) == (5, [1, 1])


async def test_a_server_that_takes_no_login_any_more_is_knocked_on_a_bounded_number_of_times(site: Site) -> None:
    await site.gate.stop()
    site.gate.patience_s = 2
    await site.gate.start()
    operator = Operator([CODE])
    remote = site.make(site.settings, operator)
    run = asyncio.create_task(failure(remote, site.host()))
    await until(lambda: bool(operator.questions))
    await until(lambda: not site.gate.connections)  # it hung up, while the operator still thinks
    await site.gate.stop()
    knocks = 0

    async def slam(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocks
        knocks += 1
        writer.close()

    async with await asyncio.start_server(slam, "127.0.0.1", site.gate.port):
        operator.may_answer.set()
        async with asyncio.timeout(30):
            error = await run
    assert error.problem.code == "jump_host_unreachable"
    assert knocks <= site.settings.handshake_attempts + 1


async def test_a_wrong_code_is_asked_for_again(site: Site) -> None:
    operator = Operator(["wrong", "wrong", CODE])
    operator.may_answer.set()
    remote = site.make(site.settings, operator)
    assert (await remote.run(site.host(), "echo ok")).output == b"ok\n"
    assert [question.attempt for question in operator.questions] == [1, 2, 3]


async def test_wrong_codes_are_bounded_and_never_told(site: Site) -> None:
    operator = Operator(["wrong-secret"] * 9)
    operator.may_answer.set()
    error = await failure(site.make(site.settings, operator), site.host())
    assert error.problem.code == "one_time_password_refused"
    assert "gate" in str(error.problem.what)
    assert "wrong-secret" not in repr(error) + str(error.problem.to_json())
    assert len(operator.questions) == 3


async def test_an_unanswered_question_names_the_hop_that_asked(site: Site) -> None:
    operator = Operator([])
    error = await failure(site.make(replace(site.settings, ask_deadline_s=0.3), operator), site.host())
    assert error.problem.code == "one_time_password_missing"
    assert "gate asked op “One-time password for op:”" in str(error.problem.what)


async def test_an_unanswered_question_ends_also_after_the_server_hung_up(site: Site) -> None:
    await site.gate.stop()
    site.gate.patience_s = 1.5
    await site.gate.start()
    error = await failure(site.make(replace(site.settings, ask_deadline_s=2.5), Operator([])), site.host())
    assert error.problem.code == "one_time_password_missing"


async def test_without_anybody_to_ask_the_login_is_denied_at_once(site: Site) -> None:
    assert (await failure(site.make(site.settings, None), site.host())).problem.code == "permission_denied"
    nowhere = replace(site.settings, ask_at=AskAt.NOWHERE)
    assert (await failure(site.make(nowhere, Operator([CODE])), site.host())).problem.code == "permission_denied"
    assert site.gate.asked == 0


async def test_a_host_asks_only_where_that_is_wanted(site: Site) -> None:
    site.gate.code = ""
    site.servers[0].code = CODE
    operator = Operator([CODE])
    operator.may_answer.set()
    assert (await failure(site.make(site.settings, operator), site.host())).problem.code == "permission_denied"
    everywhere = site.make(replace(site.settings, ask_at=AskAt.ALL), operator)
    assert (await everywhere.run(site.host(), "echo ok")).output == b"ok\n"
    assert [question.is_jump for question in operator.questions] == [False]


async def test_closing_withdraws_the_question(site: Site) -> None:
    operator = Operator([])
    remote = site.make(site.settings, operator)
    run = asyncio.create_task(failure(remote, site.host()))
    await until(lambda: bool(operator.questions))
    await remote.close()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert operator.withdrawn == 1


async def test_a_running_job_is_asked_for_again_until_its_jump_host_is_open(site: Site) -> None:
    """The jump host restarted in the middle: the job runs on, nobody answers the first question, the second one is."""
    operator = Operator([CODE, CODE])
    operator.may_answer.set()
    remote = site.make(replace(site.settings, ask_deadline_s=0.5), operator)
    events = []
    async for event in remote.follow(
        job_of(site.host(), "echo once >>ran; echo one; until [ -e go ]; do sleep 0.1; done; echo two")
    ):
        events.append(event)
        if isinstance(event, LogBytes) and len(operator.questions) == 1:
            operator.may_answer.clear()
            site.gate.drop()
            (site.servers[0].home / "go").touch()
            waiting = asyncio.create_task(_answer_the_third(operator))
    await waiting
    assert output_of(events) == b"one\ntwo\n"
    assert (site.servers[0].home / "ran").read_text() == "once\n"
    assert len(await events_of(remote.follow(job_of(site.host(), "")))) > 0


async def _answer_the_third(operator: Operator) -> None:
    await until(lambda: len(operator.questions) == 3)
    operator.may_answer.set()
