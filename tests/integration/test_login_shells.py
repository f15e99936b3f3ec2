"""Login shells over the real OpenSSH: what passes one is a line that it takes, or it is told what stands in the way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain.fleet import Host
from engine.domain.problem import Problem
from engine.ports import JobEnded, RemoteError, StepEnded, StopOutcome
from engine.remote.ssh import SshRemote
from tests.support.accounts import LOGIN_SHELLS, Accounts
from tests.support.processes import processes_showing
from tests.support.remote_jobs import events_of, job_of, output_of

SCRIPT = """
# Several lines, quotes of both kinds, and what csh, fish and rc read otherwise: ! $status (parentheses) `ticks` ^ ~ * ? [a-z]
said="it's"
for word in one 'two three'; do
    printf '%s\\n' "$said $word \\$x"
done
"""
SAID = b"it's one $x\nit's two three $x\n"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    made = Accounts.make(tmp_path)
    with made.serving():
        yield made


@pytest.fixture
async def remote(accounts: Accounts) -> AsyncIterator[SshRemote]:
    made = SshRemote(replace(accounts.settings, answer_timeout_s=5.0))
    yield made
    await made.close()


async def refusal_of(remote: SshRemote, host: Host) -> Problem:
    with pytest.raises(RemoteError) as refused:
        await remote.run(host, "true")
    return refused.value.problem


@pytest.mark.parametrize("shell", [shell for shell in LOGIN_SHELLS if shell != "nologin"])
async def test_a_check_a_job_and_its_stop_work_under_any_login_shell(
    accounts: Accounts, remote: SshRemote, shell: str
) -> None:
    host = accounts.add("op", shell, {".tcshrc": "echo hello", ".cshrc": "echo hello", ".zshenv": "echo hello"})
    result = await remote.run(host, SCRIPT + "cat; exit 3", stdin=b"from the engine", for_job=True)
    assert (result.exit_status, result.output) == (3, SAID + b"from the engine")
    job = job_of(host, SCRIPT, 'printf "%s" "$NAME"', "exit 4", variables={"NAME": "it's !$x\nnext"})
    events = await events_of(remote.follow(job))
    assert output_of(events) == SAID + b"it's !$x\nnext"
    assert [event.exit_status for event in events if isinstance(event, StepEnded)] == [0, 0, 4]
    assert isinstance(events[-1], JobEnded)
    assert await remote.stop(job) is StopOutcome.ALREADY_ENDED


async def test_nologin_is_told_with_its_own_words(accounts: Accounts, remote: SshRemote) -> None:
    problem = await refusal_of(remote, accounts.add("op", "nologin"))
    assert problem.code == "no_shell"
    assert "nologin" in str(problem.what)
    assert problem.evidence == "This account is currently not available."


async def test_what_a_login_says_is_no_part_of_an_answer(accounts: Accounts, remote: SshRemote) -> None:
    host = accounts.add("op", "bash", {".bashrc": "printf 'Welcome\\nhome=/elsewhere\\n'; echo noise >&2; set -v"})
    assert (await remote.run(host, "echo home=here")).output == b"home=here\n"


async def test_a_login_that_ends_early_is_told_with_its_status_and_words(accounts: Accounts, remote: SshRemote) -> None:
    host = accounts.add("op", "bash", {".bashrc": "echo 'quota exceeded, \x1b[31mbye' >&2; exit 3"})
    problem = await refusal_of(remote, host)
    assert problem.code == "no_shell"
    assert "status 3" in str(problem.what)
    assert problem.evidence == "quota exceeded, bye"
    with pytest.raises(RemoteError) as refused:
        await events_of(remote.follow(job_of(host, "true")))
    assert refused.value.problem == problem


async def test_a_login_that_waits_is_told_and_is_sent_nothing(accounts: Accounts, remote: SshRemote) -> None:
    host = accounts.add("op", "bash", {".bashrc": "echo 'Which project?'; read -r project; echo $project >project"})
    with pytest.raises(RemoteError) as refused:
        await events_of(remote.follow(job_of(host, "true", secrets={"secret_url": "needle-of-a-secret"})))
    assert refused.value.problem.code == "login_waits"
    assert "Which project?" in refused.value.problem.evidence
    # Its input ended when we left: it was never answered with a program or a secret.
    assert (accounts.home("op") / "project").read_text() == "\n"
    assert processes_showing(b"needle-of-a-secret") == []


async def test_a_login_that_never_stops_talking_is_bounded_and_said_at_once(
    accounts: Accounts, remote: SshRemote
) -> None:
    """It is no lost link: nobody attaches to it again and again."""
    host = accounts.add("op", "bash", {".bashrc": "head -c 3000000 /dev/zero | tr '\\000' x"})
    began = time.monotonic()
    problem = await refusal_of(remote, host)
    assert problem.code == "login_talks"
    assert "64 KiB" in str(problem.what)
    assert len(problem.evidence) <= 2000
    with pytest.raises(RemoteError) as refused:
        await events_of(remote.follow(job_of(host, "true")))
    assert refused.value.problem.code == "login_talks"
    assert time.monotonic() - began < 20


async def test_a_login_that_never_stops_talking_on_standard_error_is_told_too(
    accounts: Accounts, remote: SshRemote
) -> None:
    host = accounts.add("op", "bash", {".bashrc": "head -c 3000000 /dev/zero | tr '\\000' x >&2"})
    assert (await refusal_of(remote, host)).code == "login_talks"
    host = accounts.add("little", "bash", {".bashrc": "head -c 60000 /dev/zero | tr '\\000' x >&2"})
    assert (await remote.run(host, "echo ok")).output == b"ok\n"


async def test_64_kib_are_not_too_much(accounts: Accounts, remote: SshRemote) -> None:
    host = accounts.add("op", "bash", {".bashrc": "head -c 65000 /dev/zero | tr '\\000' x"})
    assert (await remote.run(host, "echo ok")).output == b"ok\n"


async def test_a_host_whose_start_files_lose_the_tools_is_told_what_it_lacks(
    accounts: Accounts, remote: SshRemote
) -> None:
    tools = accounts.home("op") / "tools"
    tools.mkdir(parents=True)
    (tools / "sh").symlink_to("/bin/sh")
    host = accounts.add("op", "bash", {".bashrc": f"PATH={tools}"})
    for refusing in (remote.run(host, "true", for_job=True), events_of(remote.follow(job_of(host, "true")))):
        with pytest.raises(RemoteError) as refused:
            await refusing
        assert refused.value.problem.code == "tool_missing"
        assert "setsid" in str(refused.value)
