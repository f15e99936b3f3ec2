"""Every shell text that the cockpit builds or ships, for shellcheck: `python -m tests.support.shell_texts` (part of `make lint`).

What is built is checked as a host gets it: the whole program of a job, and the body of each of its steps by itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import get_args

from engine.catalogue.models import ScriptName
from engine.domain.fleet import Host, ObjectRef, Package, StackParameter, TechStack
from engine.ports import Job
from engine.remote import program
from engine.steps.context import StepContext
from engine.steps.drain import drain_script
from engine.steps.health_now import health_now
from engine.steps.host_check import host_check_script
from engine.steps.registry import STEPS, look, remote_step

ROOT = Path(__file__).parents[2]
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
# What shellcheck warns of and is meant: the rest is named by a directive where it stands.
MEANT: Mapping[str, str] = {
    "SC2009": "a host need not have pgrep",
    "SC2012": "names below /proc are numbers",
    "SC2013": "names below /proc have no blanks in them",
    "SC2016": "text in single quotes is for another program: sh, awk, sed",
    "SC2329": "programs are put together from parts, and not each uses every function",
}


def shipped() -> Iterator[Path]:
    """Scripts that are files, but for the parts of programs, which make sense together only."""
    for folder in ("engine", "cockpit", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.parent != ROOT / "engine/remote/sh" and _is_script(path):
                yield path


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(64)
    return path.suffix == ".sh" or (first.startswith(b"#!") and first.split()[-1].endswith(b"sh"))


def built() -> Iterator[tuple[str, str]]:
    """The parts keep their comments here, and with them shellcheck's directives."""
    for name, context in _contexts():
        steps = tuple(remote_step(row.plan, context) for row in STEPS.values() if row.remote is not None)
        for step in steps:
            given = "".join(f"{variable}={quote(value)}\n" for variable, value in step.secrets.items())
            yield f"{name} step {step.name}", given + step.body
        job = Job(1, context.host, "forward-1", 1, steps, {"APP_NAME": "shop"}, order_created_at=1.0)
        yield f"{name} job", program.job_program(job, "nonce")
        yield f"{name} secrets", f"# shellcheck disable=SC2034\n{{\n:\n{program.job_secrets(steps)}}}\n"
        staragent = context.requires_staragent
        yield f"{name} host check", host_check_script(context.host, context.stack, requires_staragent=staragent)
        yield f"{name} health now", health_now(context)[0]
        yield f"{name} attach", program.attaching(job, token="t", nonce="n", offset=0, may_start=True, keep_days=7)
        yield f"{name} stop", program.stopping(job, token="t", nonce="n")
        looks = tuple(found for row in STEPS.values() if (found := look(row.plan, context)) is not None)
        yield f"{name} recall", program.recalling(replace(job, steps=looks), token="t")
        for found in looks:
            yield f"{name} look {found.name}", found.body
    yield "opening line", program.opening_line("0" * 32)
    yield "opening input", program.opening_input("true", "token").decode().splitlines()[0]
    for parts in (
        ("common", "process", "attach"),
        ("common", "process", "stop"),
        ("common", "process", "recall"),
        ("common", "prove"),
        ("guard",),
    ):
        yield f"{parts[-1]} program", program._program(*parts)
    yield "drain", drain_script(_HOST, (8080, 9500), 10)


def _with_comments(name: str) -> str:
    return (ROOT / "engine/remote/sh" / f"{name}.sh").read_text(encoding="utf-8")


_HOST = Host(
    "hz-01", "127.0.0.1", 22, "admin", "hz-a", "hz-a-1", "i-1", variables={"app_port": "8080", "quoted": "it's"}
)
_ARCHIVE = ObjectRef("r", "b", "s.tar.gz", 1024, sha256="a" * 64)


def _contexts() -> Iterator[tuple[str, StepContext]]:
    """With everything a stack may have, and with as little as it may have."""
    scripts = {name: f"bin/{name}.sh" for name in get_args(ScriptName)}
    whole = TechStack(
        "python-web",
        "1.0",
        _ARCHIVE,
        scripts,
        sdk=_ARCHIVE,
        parameters=(StackParameter("heap", "1g"),),
        install_list=("a", "b"),
    )
    package = Package("shop", "2.0.0", ObjectRef("r", "b", "p.tar.gz", 10, crc64="1"))
    url = "https://b.oss/x?a=%20b"
    rich = StepContext(_HOST, whole, "shop", "2.0.0", package, url, url, url, requires_staragent=True)
    bare = TechStack("python-web", "1.0", replace(_ARCHIVE, sha256="", size=-1), {"deploy": "bin/deploy.sh"})
    plain = replace(package, object=ObjectRef("r", "b", "p.bin", etag="A" * 32))
    yield "rich", rich
    yield "bare", StepContext(_HOST, bare, "shop", "2.0.0", plain, url, "", url)


def complaints() -> str:
    """What shellcheck says of all of them, empty when nothing."""
    program._part = _with_comments  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        said = _checked(list(shipped()))
        for name, text in built():
            Path(folder, name).write_text(text, encoding="utf-8")
        return said + _checked(sorted(Path(folder).iterdir()))


def _checked(files: list[Path]) -> str:
    """A script that names no shell is run by sh."""
    named = [path for path in files if path.read_bytes().startswith(b"#!")]
    command = [str(SHELLCHECK), "--format=gcc", "--norc", "-x", "-P", "SCRIPTDIR", f"--exclude={','.join(MEANT)}"]
    said = ""
    for options, paths in (([], named), (["-s", "sh"], [path for path in files if path not in named])):
        if paths:
            ran = subprocess.run(
                [*command, *options, *map(str, paths)], capture_output=True, text=True, timeout=300, check=False
            )
            said += ran.stdout + ran.stderr
    return said


if __name__ == "__main__":
    said = complaints()
    sys.stderr.write(said)
    sys.exit(1 if said else 0)
