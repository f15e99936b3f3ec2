"""Every remote step, really run under dash, busybox (its own tools, too) and bash, against a real HTTP server with real curl."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shlex import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.cloud.archives import member_of
from engine.diagnose import explain
from engine.domain import step_names
from engine.domain.archive import Member, unsafe
from engine.domain.fleet import Host, ObjectRef, Package, StackParameter, TechStack
from engine.ports import RemoteStep
from engine.steps.context import StepContext, variables
from engine.steps.drain import drain_script
from engine.steps.host_check import host_check_script, parse_host_check
from engine.steps.registry import remote_step, step
from engine.steps.unpack import UNPACK

SECRET_QUERY = "?x-oss-signature=s3cr3t"
APPLETS = [
    "awk",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "df",
    "env",
    "grep",
    "gzip",
    "head",
    "ls",
    "mkdir",
    "mv",
    "ps",
    "rm",
    "sed",
]
APPLETS += ["sh", "sha256sum", "md5sum", "sleep", "tail", "tar", "tee", "tr", "true", "wc"]


@dataclass
class Oss:
    """Objects by path; `cut_once` paths break off in the middle the first time, `damaged_once` come as zeros; `requests` are
    (path, Range header)."""

    objects: dict[str, bytes] = field(default_factory=dict)
    cut_once: set[str] = field(default_factory=set)
    damaged_once: set[str] = field(default_factory=set)
    status: dict[str, int] = field(default_factory=dict)
    hang: threading.Event | None = None
    requests: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}{SECRET_QUERY}"


class _Handler(BaseHTTPRequestHandler):
    oss: Oss

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        wanted = self.headers.get("Range", "")
        self.oss.requests.append((path, wanted))
        if self.oss.hang is not None:
            self.oss.hang.wait(30)
            return
        body = self.oss.objects.get(path)
        status = self.oss.status.get(path, 200 if body is not None else 404)
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and status == 200 else 0
        self.send_response(206 if start else status)
        whole = body or b"no"
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(whole) - start))
        self.send_header("ETag", f'"{hashlib.md5(whole).hexdigest().upper()}"')
        self.end_headers()
        rest = whole[start:]
        if path in self.oss.cut_once:
            self.oss.cut_once.discard(path)
            rest = rest[: len(rest) // 2]
        if path in self.oss.damaged_once:
            self.oss.damaged_once.discard(path)
            rest = bytes(len(rest))
        self.wfile.write(rest)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def oss() -> Iterator[Oss]:
    found = Oss()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"oss": found}))
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    if found.hang is not None:
        found.hang.set()
    server.shutdown()
    server.server_close()


@dataclass
class Shell:
    name: str
    command: list[str]
    path: str
    home: Path

    def run(
        self, text: str, exported: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """As the runner does: secrets are unexported variables read before the body, the body runs by eval in $HOME."""
        lines = [f"export {name}={quote(value)}" for name, value in (exported or {}).items()]
        lines += [f"unset {name}; {name}={quote(value)}" for name, value in (secrets or {}).items()]
        lines += ['cd "$HOME"', "eval " + quote(text)]
        script = self.home.parent / "step.sh"
        script.write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [*self.command, str(script)], env={"HOME": str(self.home), "PATH": self.path}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def step(self, step: RemoteStep, context: StepContext) -> tuple[int, str]:
        status, output = self.run(step.body, dict(variables(context)), dict(step.secrets))
        assert "s3cr3t" not in output
        return status, output


@pytest.fixture(params=["dash", "busybox", "bash"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return _shell(request.param, tmp_path)


def _shell(name: str, tmp_path: Path) -> Shell:
    home = tmp_path / "home it's"
    home.mkdir(exist_ok=True)
    if name != "busybox":
        return Shell(name, [str(shutil.which(name))], os.environ["PATH"], home)
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    for applet in APPLETS:
        (tools / applet).symlink_to(str(shutil.which("busybox")))
    (tools / "curl").symlink_to(str(shutil.which("curl")))
    return Shell(name, [str(tools / "sh")], str(tools), home)


def archive(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return out.getvalue()


def ref(key: str, body: bytes) -> ObjectRef:
    return ObjectRef("cn-hangzhou", "lab", key, len(body), sha256=hashlib.sha256(body).hexdigest())


SCRIPTS = {
    "bin/install.sh": 'echo "install $INSTALL_LIST"\n',
    "bin/configure.sh": "echo configuring >&2\nexit 3\n",
    "bin/deploy.sh": 'mkdir -p "$APP_HOME"\ncp "$PACKAGE_FILE" "$APP_HOME/package"\nenv | grep -c s3cr3t\necho "$PWD"\n'
    'printf "%s" "$ODD" >"$HOME/odd"\n',
}


def release(oss: Oss, files: dict[str, str] | None = None, **given: str) -> StepContext:
    stack_body = archive(SCRIPTS if files is None else files)
    package_body = os.urandom(200_000)
    oss.objects |= {"/stack.tar.gz": stack_body, "/package.tar.gz": package_body}
    stack = TechStack(
        "python-web", "1.0", ref("stack.tar.gz", stack_body),
        {"install": "bin/install.sh", "configure": "bin/configure.sh", "deploy": "bin/deploy.sh"},
        install_list=("jdk", "nginx"),
        parameters=(StackParameter("odd"),),
    )  # fmt: skip
    host = Host("hz-01", "127.0.0.1", 22, "admin", "hz-a", "hz-a-1", "i-1", variables=given)
    return StepContext(
        host, stack, "trade-core", "2.0.0", Package("trade-core", "2.0.0", ref("package.tar.gz", package_body)),
        oss.url("/stack.tar.gz"), "", oss.url("/package.tar.gz"),
    )  # fmt: skip


def one(name: str, context: StepContext) -> RemoteStep:
    return remote_step(step(name), context)


def do(shell: Shell, context: StepContext, *names: str) -> tuple[int, str]:
    status, output = 1, ""
    for name in names:
        status, output = shell.step(one(name, context), context)
    return status, output


def code(name: str, status: int, output: str) -> str:
    return explain(step(name), status, False, output, host="hz-01", app="trade-core").code


def test_a_release_runs_its_steps_and_scripts_see_no_secret(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    for name in (
        step_names.CHECK_AGENT,
        step_names.DOWNLOAD_SCRIPTS,
        step_names.INSTALL_SOFTWARE,
        step_names.DOWNLOAD_PACKAGE,
    ):
        status, output = do(shell, context, name)
        assert status == 0, output
    status, output = do(shell, context, step_names.DEPLOY)
    assert (status, output.splitlines()[0]) == (0, "0")
    assert (shell.home / "apps/trade-core/package").read_bytes() == oss.objects["/package.tar.gz"]
    assert (shell.home / "logs/trade-core").is_dir()


def test_a_failing_script_gives_its_own_exit_status(shell: Shell, oss: Oss) -> None:
    status, output = do(shell, release(oss), step_names.DOWNLOAD_SCRIPTS, step_names.CONFIGURE_ENVIRONMENT)
    assert status == 3
    assert "configuring" in output
    assert code(step_names.CONFIGURE_ENVIRONMENT, status, output) == "script_failed"


def test_a_script_that_the_archive_lacks_is_named(shell: Shell, oss: Oss) -> None:
    status, output = do(shell, release(oss, {"readme": ""}), step_names.DOWNLOAD_SCRIPTS, step_names.DEPLOY)
    assert (status, code(step_names.DEPLOY, status, output)) == (1, "script_missing")
    assert "bin/deploy.sh" in output


def test_a_stack_without_the_script_has_nothing_to_do(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    status, output = do(shell, replace(context, stack=replace(context.stack, scripts={})), step_names.INSTALL_SOFTWARE)
    assert status == 0
    assert "nothing to do" in output


def test_what_is_there_with_the_right_checksum_is_not_downloaded_again(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    steps = (step_names.DOWNLOAD_SCRIPTS, step_names.DOWNLOAD_PACKAGE)
    do(shell, context, *steps)
    before = len(oss.requests)
    status, output = do(shell, context, *steps)
    assert (status, len(oss.requests)) == (0, before)
    assert "already here" in output


def test_a_damaged_package_on_the_host_is_downloaded_again(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    do(shell, context, step_names.DOWNLOAD_PACKAGE)
    (package,) = (shell.home / ".cockpit/packages/trade-core/2.0.0").iterdir()
    package.write_bytes(b"damaged")
    assert do(shell, context, step_names.DOWNLOAD_PACKAGE)[0] == 0
    assert package.read_bytes() == oss.objects["/package.tar.gz"]


def test_a_download_that_breaks_off_is_resumed(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    oss.cut_once.add("/package.tar.gz")
    status, output = do(shell, context, step_names.DOWNLOAD_PACKAGE)
    assert status == 0, output
    assert oss.requests[-1] == ("/package.tar.gz", "bytes=100000-")


def test_a_rest_that_does_not_fit_is_thrown_away(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    folder = shell.home / ".cockpit/packages/trade-core/2.0.0"
    folder.mkdir(parents=True)
    (folder / f"package.tar.gz.{context.package.object.sha256}.part").write_bytes(b"x" * 1000)
    status, output = do(shell, context, step_names.DOWNLOAD_PACKAGE)
    assert status == 0, output
    assert [path.name for path in folder.iterdir()] == ["package.tar.gz"]


@pytest.mark.parametrize(
    ("http", "step", "wanted"),
    [
        (404, step_names.DOWNLOAD_SCRIPTS, "stack_missing"),
        (404, step_names.DOWNLOAD_PACKAGE, "package_missing"),
        (403, step_names.DOWNLOAD_PACKAGE, "download_denied"),
    ],
)
def test_a_refused_download_is_not_repeated(shell: Shell, oss: Oss, http: int, step: str, wanted: str) -> None:
    context = release(oss)
    oss.status = {"/stack.tar.gz": http, "/package.tar.gz": http}
    status, output = do(shell, context, step)
    assert (status, code(step, status, output)) == (1, wanted)
    assert len(oss.requests) == 1
    assert f"ERROR {http}: " in output


def test_what_was_damaged_on_its_way_is_fetched_once_more_from_the_start(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    oss.damaged_once.add("/package.tar.gz")
    status, output = do(shell, context, step_names.DOWNLOAD_PACKAGE)
    assert status == 0, output
    assert [wanted for path, wanted in oss.requests] == ["", ""]
    assert "once more from the start" in output
    (package,) = (shell.home / ".cockpit/packages/trade-core/2.0.0").iterdir()
    assert package.read_bytes() == oss.objects["/package.tar.gz"]


def test_another_content_than_the_catalogues_is_refused(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    oss.objects["/package.tar.gz"] = b"y" * 200_000
    status, output = do(shell, context, step_names.DOWNLOAD_PACKAGE)
    assert (status, code(step_names.DOWNLOAD_PACKAGE, status, output)) == (1, "checksum_mismatch")
    assert context.package.object.sha256 in output
    assert len(oss.requests) == 2
    assert not list((shell.home / ".cockpit/packages/trade-core/2.0.0").iterdir())


@pytest.mark.parametrize("known", ["md5", "nothing"])
def test_without_a_sha256_the_etag_verifies(shell: Shell, oss: Oss, known: str) -> None:
    context = release(oss)
    body = oss.objects["/package.tar.gz"]
    etag = hashlib.md5(body).hexdigest().upper() if known == "md5" else ""
    given = replace(context.package.object, sha256="", etag=etag, size=len(body) if known == "md5" else -1)
    context = replace(context, package=replace(context.package, object=given))
    status, output = do(shell, context, step_names.DOWNLOAD_PACKAGE)
    assert (status, "verified" in output) == (0, True), output


def test_a_full_disk_is_said(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(shell.home)], check=True)
    try:
        status, output = do(shell, context, step_names.DOWNLOAD_PACKAGE)
    finally:
        subprocess.run(["umount", str(shell.home)], check=True)
    assert (status, code(step_names.DOWNLOAD_PACKAGE, status, output)) == (1, "disk_full"), output


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644, owner: str = ""
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.uname = kind, target, mode, owner
    return made


def link(name: str, target: str, owner: str = "") -> tarfile.TarInfo:
    return entry(name, tarfile.SYMTYPE, target, 0o777, owner)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return entry(name, tarfile.LNKTYPE, target)


def archive_of(*entries: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for one in entries:
            tar.addfile(one)
    return out.getvalue()


def unpack(shell: Shell, oss: Oss, body: bytes) -> tuple[int, str, Path]:
    """What the host makes of a stack archive, and the folder it should be in."""
    context = release(oss)
    oss.objects["/stack.tar.gz"] = body
    context = replace(context, stack=replace(context.stack, archive=ref("stack.tar.gz", body)))
    status, output = do(shell, context, step_names.DOWNLOAD_SCRIPTS)
    return status, output, shell.home / ".cockpit/stacks/python-web-1.0"


OUTSIDE = [
    (entry("../evil"),),
    (entry("/tmp/evil"),),
    (entry("a/../../evil"),),
    (link("l", "/etc"),),
    (link("l", "a/../../b"),),
    (link("bin/npm", "../../lib"),),
    (link("l", "."), link("m", "l/..")),
    (link("d/up", ".."), link("x", "d/up/../evil")),
    (link("d/up", "../d"), link("x", "d/up/../../evil")),
    (link("a", "b"), link("b", "a")),
    (link("d", "e"), entry("d/evil")),
    (link("d", "e"), entry("d")),
    (link("d", "e"), link("d", "f")),
    (hard("h", "/etc/passwd"),),
    (hard("h", "../h"),),
    (hard("b", "../x b"),),
    (link("up", "."), hard("h", "up/../h")),
    (hard("a", ".."), hard("a", "a")),
    (link("a", "../../evil", "x a -> inside"),),
    (link("a", "../../x a -> inside"),),
    (entry("dev", tarfile.CHRTYPE),),
    (entry("disk", tarfile.BLKTYPE),),
    (entry("pipe", tarfile.FIFOTYPE),),
]


@pytest.mark.parametrize(
    "entries", OUTSIDE, ids=lambda entries: " ".join(f"{one.name}>{one.linkname}" for one in entries)
)
def test_an_archive_that_would_leave_its_folder_is_not_unpacked(
    shell: Shell, oss: Oss, entries: tuple[tarfile.TarInfo, ...]
) -> None:
    status, output, folder = unpack(shell, oss, archive_of(*entries))
    assert (status, code(step_names.DOWNLOAD_SCRIPTS, status, output)) == (1, "archive_unsafe"), output
    assert not folder.exists()
    assert unsafe(members_of(entries))


def members_of(entries: tuple[tarfile.TarInfo, ...]) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(archive_of(*entries))) as tar:
        return [member_of(one) for one in tar]


def test_links_that_stay_inside_are_unpacked_as_they_are(shell: Shell, oss: Oss) -> None:
    entries = (
        entry("./lib/node_modules/npm/bin/npm-cli.js"),
        link("./bin/npm", "../lib/node_modules/npm/bin/npm-cli.js"),
        entry("jdk/legal/java.base/LICENSE"),
        link("jdk/legal/java.xml/LICENSE", "../java.base/LICENSE"),
        link("jdk/current", "."),
        link("deep/down/root", "../.."),
        link("by-two", "deep/down/root/bin/npm"),
        link("dangling", "not/there"),
        hard("jdk/same", "jdk/legal/java.base/LICENSE"),
        entry("a name -> with an arrow"),
        link("sp ace", "jdk/legal/java.base/LICENSE"),
    )
    status, output, folder = unpack(shell, oss, archive_of(*entries))
    assert status == 0, output
    assert os.readlink(folder / "bin/npm") == "../lib/node_modules/npm/bin/npm-cli.js"
    assert (folder / "by-two").resolve() == (folder / "lib/node_modules/npm/bin/npm-cli.js").resolve()
    assert (folder / "jdk/same").samefile(folder / "jdk/legal/java.xml/LICENSE")
    assert unsafe(members_of(entries)) == ()


def test_the_bits_that_run_a_file_as_its_owner_are_dropped(shell: Shell, oss: Oss) -> None:
    entries = (entry("bin/as-root", mode=0o4755), entry("bin/as-group", mode=0o2755))
    status, output, folder = unpack(shell, oss, archive_of(*entries))
    assert status == 0, output
    assert {path.stat().st_mode & 0o7777 for path in (folder / "bin").iterdir()} == {0o755}


NAMES = st.sampled_from(["a", "b", "c", "a/b", "a/c", "a/b/c", "b/a", "./c/a"])
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=5).map("/".join).filter(bool)
ENTRIES = st.one_of(
    st.builds(entry, NAMES),
    st.builds(link, NAMES, TARGETS),
    st.builds(hard, NAMES, TARGETS),
    st.builds(lambda name: entry(name, tarfile.DIRTYPE, mode=0o755), NAMES),
)


@settings(max_examples=120, deadline=None)
@example([hard("a", ".."), hard("a", "a")])
@given(entries=st.lists(ENTRIES, min_size=1, max_size=6))
def test_the_hosts_look_and_the_checks_look_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tarfile.TarInfo]
) -> None:
    folder = tmp_path_factory.mktemp("look")
    made = folder / "a.tar.gz"
    made.write_bytes(archive_of(*entries))
    with tarfile.open(made) as tar:
        wanted = bool(unsafe(member_of(one) for one in tar))
    for shell, tar_command in ((["dash"], "tar"), (["busybox", "sh"], "busybox tar")):
        script = (
            f"{UNPACK}\nLC_ALL=C {tar_command} -tzf a.tar.gz >names 2>said\n"
            f"LC_ALL=C {tar_command} -tvzf a.tar.gz >list 2>/dev/null\n"
            "grep -E '^tar: [Rr]emoving leading' said; ck_look names list\n"
        )
        done = subprocess.run(
            [*shell, "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=30
        )
        assert bool(done.stdout) == wanted, (shell, done.stdout, done.stderr)


def test_an_archive_that_is_none_is_refused(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    oss.objects["/stack.tar.gz"] = b"not a tar"
    context = replace(context, stack=replace(context.stack, archive=ref("stack.tar.gz", b"not a tar")))
    status, output = do(shell, context, step_names.DOWNLOAD_SCRIPTS)
    assert (status, code(step_names.DOWNLOAD_SCRIPTS, status, output)) == (1, "archive_broken"), output


# --------------------------------------------------------------------------------------------------------------- health


def health(oss: Oss, answer: bytes, deadline_s: str = "1") -> StepContext:
    oss.objects["/checkService"] = answer
    return release(oss, health_port=str(oss.port), health_deadline_s=deadline_s, health_interval_s="1")


@pytest.mark.parametrize("answer", [b"passed:true\nmore", b'{"passed": true}', b"passed : true", b"passed:true,x\r\n"])
def test_health_passes_when_the_first_line_says_so(shell: Shell, oss: Oss, answer: bytes) -> None:
    status, output = do(shell, health(oss, answer), step_names.CHECK_HEALTH)
    assert status == 0, output
    assert "attempt 1: HTTP 200: " in output


@pytest.mark.parametrize("answer", [b"passed:false", b"no\npassed:true", b"notpassed:true", b"passed:truely", b""])
def test_health_that_never_passes_shows_the_logs(shell: Shell, oss: Oss, answer: bytes) -> None:
    (shell.home / "logs/trade-core").mkdir(parents=True)
    (shell.home / "logs/trade-core/common-error.log").write_text("BeanCreationException\n")
    status, output = do(shell, health(oss, answer), step_names.CHECK_HEALTH)
    assert (status, code(step_names.CHECK_HEALTH, status, output)) == (1, "health_check_failed"), output
    assert "BeanCreationException" in output


def test_an_error_status_is_no_health(shell: Shell, oss: Oss) -> None:
    context = health(oss, b"passed:true")
    oss.status["/checkService"] = 500
    assert do(shell, context, step_names.CHECK_HEALTH)[0] == 1


def test_nobody_listening_is_no_health(shell: Shell, oss: Oss) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = release(oss, health_port=str(port), health_deadline_s="1")
    status, output = do(shell, context, step_names.CHECK_HEALTH)
    assert (status, code(step_names.CHECK_HEALTH, status, output)) == (1, "health_check_failed")
    assert "no answer: curl: (7)" in output


def test_a_hung_health_address_times_out(shell: Shell, oss: Oss) -> None:
    context = health(oss, b"")
    oss.hang = threading.Event()
    status, output = do(shell, context, step_names.CHECK_HEALTH)
    assert (status, code(step_names.CHECK_HEALTH, status, output)) == (1, "health_check_timed_out"), output


# ----------------------------------------------------------------------------------------------------- drain, agent, host


def test_drain_waits_for_the_last_connection(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        host = Host("h", "", 22, "a", "", "", "")
        status, output = shell.run(drain_script(host, [port], 1))
        assert (status, output.splitlines()[-1]) == (0, "drain time over, 1 connections left")
        client.close()
        accepted.close()
        status, output = shell.run(drain_script(host, [port], 5))
        assert (status, output) == (0, "drained\n")


def test_the_agent_must_run_and_be_connected(shell: Shell, oss: Oss, tmp_path: Path) -> None:
    home = tmp_path / "staragent"
    (home / "bin").mkdir(parents=True)
    (home / "log").mkdir()
    (home / "log/staragent_core.log").write_text("the agent's last words\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        context = replace(release(oss, staragent_home=str(home), staragent_port=str(port)), requires_staragent=True)
        status, output = do(shell, context, step_names.CHECK_AGENT)
        assert (status, code(step_names.CHECK_AGENT, status, output)) == (1, "agent_not_running"), output
        assert "last words" in output
        shutil.copy(str(shutil.which("sleep")), home / "bin/staragentd")
        agent = subprocess.Popen([str(home / "bin/staragentd"), "60"])
        try:
            status, output = do(shell, context, step_names.CHECK_AGENT)
            assert (status, "no established connection" in output) == (1, True), output
            client = socket.create_connection(("127.0.0.1", port))
            status, output = do(shell, context, step_names.CHECK_AGENT)
            client.close()
            assert status == 0, output
            script = host_check_script(context.host, context.stack, requires_staragent=True)
            assert parse_host_check(shell.run(script)[1].encode()).agent_running is True
        finally:
            agent.kill()
            agent.wait()


def test_the_host_tells_about_itself_and_does_not_take_itself_for_the_agent(shell: Shell, oss: Oss) -> None:
    context = release(oss)
    script = host_check_script(context.host, context.stack, requires_staragent=True)
    environment = {"HOME": str(shell.home), "PATH": shell.path}
    elsewhere = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", f"{shell.home}/home/staragent/bin/agent"]
    )
    try:
        # Each sees what the others start
        at_once = [
            subprocess.Popen([*shell.command, "-c", script], env=environment, stdout=subprocess.PIPE) for _ in range(6)
        ]
        for check in at_once:
            facts = parse_host_check(check.communicate(timeout=60)[0])
            assert check.returncode == 0
            assert facts.os
            assert facts.clock
            assert facts.disk_free_kib
            assert facts.home_writable
            assert facts.agent_running is False
    finally:
        elsewhere.kill()
        elsewhere.wait()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), min_size=1, max_size=19))
@pytest.mark.parametrize("name", ["dash", "busybox", "bash"])
def test_any_value_is_inert(name: str, tmp_path_factory: pytest.TempPathFactory, oss: Oss, value: str) -> None:
    shell = _shell(name, tmp_path_factory.mktemp("inert"))
    context = release(oss, odd=value, health_path="/" + value, health_deadline_s="0.1", health_port="1")
    scripts = {"bin/deploy.sh": 'printf "%s" "$ODD" >"$HOME/odd"\n'}
    folder = shell.home / ".cockpit/stacks/python-web-1.0/bin"
    folder.mkdir(parents=True)
    (folder / "deploy.sh").write_text(scripts["bin/deploy.sh"])
    context = replace(context, app="a" + value, version=value)
    before = {path.name for path in shell.home.iterdir()}
    assert do(shell, context, step_names.DEPLOY)[0] == 0
    assert (shell.home / "odd").read_text() == value
    assert do(shell, context, step_names.CHECK_HEALTH)[0] == 1
    assert {path.name for path in shell.home.iterdir()} - before <= {"odd", "apps", "logs"}
