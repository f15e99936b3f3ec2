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
    text = program.attaching(job, token="t", nonce="n", offset=0, may_start=True, keep_days=1)
    assert "s3cr3t" not in program.job_program(job, "n")
    assert "s3cr3t" not in text
    assert "s3cr3t" not in program.opening_line("t" * 32)
    assert b"s3cr3t" in program.attach_input(job, token="t", nonce="n")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_every_part_is_sh(shell: str) -> None:
    job = job_of(HOST, "echo 'it''s'", variables={"A": "'\n\"$x`"}, secrets={"b": "'"})
    command = [shell, "sh"] if shell == "busybox" else [shell]
    texts = [
        program.job_program(job, "n"),
        program.stopping(job, token="t", nonce="n"),
        program.attaching(job, token="t", nonce="n", offset=0, may_start=True, keep_days=1),
        program.proving("t"),
        program.job_secrets(job.steps),
    ]
    for text in texts:
        subprocess.run([*command, "-n"], input=text.encode(), check=True)


def test_what_passes_the_login_shell_is_one_plain_line_that_does_not_say_the_token_itself() -> None:
    token = "0123456789abcdef0123456789abcdef"
    line = program.opening_line(token)
    assert token not in line
    assert not set(line) & set("\n!\\#%^`*?[]~")
    assert line.count("'") == 2


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_program_that_was_cut_off_is_not_run(shell: str, whole: bool) -> None:
    command = [shell, "sh"] if shell == "busybox" else [shell]
    sent = program.opening_input("echo 'one\n  two'\nread -r line\necho \"$line\"", "token") + b"rest\n"
    sent = sent if whole else sent.partition(b"token\nrest")[0]
    done = subprocess.run(
        [*command, "-c", 'IFS= read -r c && eval "$c"'], input=sent, stdout=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stdout) == ((0, b"one\n  two\nrest\n") if whole else (74, b""))


@pytest.mark.parametrize("name", ["a b", "1a", "a;rm", ""])
def test_a_variable_sh_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        program.job_program(job_of(HOST, "true", variables={name: "x"}), "n")


@pytest.mark.parametrize(("key", "name"), [("forward-1", "forward-1"), ("..", "%2E."), ("a/b", "a%2Fb")])
def test_a_key_is_a_safe_name(key: str, name: str) -> None:
    assert program.key_of(job_of(HOST, "true", key=key)) == name
