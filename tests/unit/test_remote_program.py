"""The shell text a job becomes: what goes where, and what never does."""

from __future__ import annotations

import subprocess

import pytest

from engine.remote import program
from tests.support.remote_jobs import job_of
from tests.support.ssh_servers import host_on

HOST = host_on(22, "")


def test_secrets_are_in_the_input_but_not_in_the_program_or_the_command() -> None:
    job = job_of(HOST, "true", secrets={"secret_url": "s3cr3t"})
    command = program.attach_command(job, token="t", nonce="n", offset=0, may_start=True, keep_days=1)
    assert "s3cr3t" not in program.job_program(job, "n")
    assert "s3cr3t" not in command
    assert b"s3cr3t" in program.attach_input(job, token="t", nonce="n")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_every_part_is_sh(shell: str) -> None:
    job = job_of(HOST, "echo 'it''s'", variables={"A": "'\n\"$x`"}, secrets={"b": "'"})
    command = [shell, "sh"] if shell == "busybox" else [shell]
    texts = [
        program.job_program(job, "n"),
        program.stop_command(job, token="t", nonce="n"),
        program.job_secrets(job.steps),
    ]
    for text in texts:
        subprocess.run([*command, "-n"], input=text.encode(), check=True)


@pytest.mark.parametrize("name", ["a b", "1a", "a;rm", ""])
def test_a_variable_sh_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        program.job_program(job_of(HOST, "true", variables={name: "x"}), "n")


@pytest.mark.parametrize(("key", "name"), [("forward-1", "forward-1"), ("..", "%2E."), ("a/b", "a%2Fb")])
def test_a_key_is_a_safe_name(key: str, name: str) -> None:
    assert program.key_of(job_of(HOST, "true", key=key)) == name
