"""The sh that several steps share: where things lie on the host, how a script of the stack is run, how sockets are counted.

Every value from outside goes through `quote`. Variables of the text itself start with `ck_`, so that no parameter meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from shlex import quote
from urllib.parse import quote as percent

from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.ports import RemoteStep
from engine.steps.context import StepContext, seconds


def under_home(*parts: str) -> str:
    """An sh word for a path below the login user's home; no part can leave it."""
    return '"$HOME"/' + quote("/".join(map(path_part, parts)))


def path_part(text: str) -> str:
    safe = percent(text, safe="+@:,=~ ")
    return safe.replace(".", "%2E") if safe.strip(".") == "" else safe


def stack_name(context: StepContext) -> str:
    return f"{context.stack.name}-{context.stack.version}"


def paths(context: StepContext) -> str:
    """Sets and exports the variables of `context.PATH_NAMES`."""
    file_name = PurePosixPath(context.package.object.key).name or "package"
    sdk = under_home(".cockpit", "sdk", stack_name(context)) if context.stack.sdk else "''"
    return "\n".join(
        (
            f"export STACK_DIR={under_home('.cockpit', 'stacks', stack_name(context))}",
            f"export SDK_DIR={sdk}",
            f"export PACKAGE_FILE={under_home('.cockpit', 'packages', context.app, context.version, file_name)}",
            f"export APP_HOME={under_home('apps', context.app)}",
            f"export LOG_DIR={under_home('logs', context.app)}",
        )
    )


def script_step(context: StepContext, name: str, script: str, deadline_s: float) -> RemoteStep:
    """A step that is one script of the stack; a stack without that script has nothing to do in this step."""
    path = context.stack.scripts.get(script, "")
    deadline_s = seconds(context, f"{name}_deadline_s", deadline_s)
    if not path:
        text = f"tech stack {context.stack.name} {context.stack.version} has no {script} script: nothing to do"
        return RemoteStep(name, f"printf '%s\\n' {quote(text)}\n", deadline_s)
    return RemoteStep(
        name, f"{paths(context)}\n{_SCRIPT}ck_script {quote(_inside(context, script, path))}\n", deadline_s
    )


_SCRIPT = """
ck_script() {
    if [ ! -f "$STACK_DIR/$1" ]; then
        printf 'SCRIPT MISSING: %s is not in the tech stack archive (%s)\\n' "$1" "$STACK_DIR"
        exit 1
    fi
    mkdir -p "$APP_HOME" "$LOG_DIR" "$HOME/logs/sofa" || exit 1
    cd "$HOME" || exit 1
    sh "$STACK_DIR/$1"
    ck_status=$?
    [ "$ck_status" -eq 0 ] || printf '%s ended with exit status %s\\n' "$1" "$ck_status"
    exit "$ck_status"
}
"""


def _inside(context: StepContext, script: str, path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise ProblemError(
            Problem(
                "script_path_invalid",
                message("The {script} script of tech stack {stack} {version} is {path}, outside its archive.",
                        script=script, stack=context.stack.name, version=context.stack.version, path=path),
                message("Give a path inside the archive in the catalogue, then retry."),
            )
        )  # fmt: skip
    return path


def count_connections(*, local: Sequence[int] = (), remote: Sequence[int] = ()) -> str:
    """The sh function `ck_count`: prints the number of established TCP connections at any of the ports; fails if it can't know.

    /proc comes first: it is there on every Linux and needs no tool but awk.
    """
    ports = local or remote
    hexes = " ".join(f"{number:04X}" for number in ports)
    decimals = " ".join(map(str, ports))
    column, end = (2, "L") if local else (3, "R")
    return f"""
ck_count() {{
    if [ -r /proc/net/tcp ]; then
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v ports='{hexes}' '
            BEGIN {{ n = split(ports, p, " "); for (i = 1; i <= n; i++) want[p[i]] = 1 }}
            $4 == "01" {{ k = split(${column}, a, ":"); if (a[k] in want) c++ }}
            END {{ print c + 0 }}'
    elif command -v ss >/dev/null 2>&1; then
        ss -tan 2>/dev/null | {_by_decimal(decimals, '$1 == "ESTAB"', "$4" if end == "L" else "$5")}
    elif command -v netstat >/dev/null 2>&1; then
        netstat -tan 2>/dev/null | {_by_decimal(decimals, '$6 == "ESTABLISHED"', "$4" if end == "L" else "$5")}
    else
        return 1
    fi
}}
"""


def _by_decimal(ports: str, established: str, address: str) -> str:
    return f"""awk -v ports='{ports}' '
            BEGIN {{ n = split(ports, p, " "); for (i = 1; i <= n; i++) want[p[i]] = 1 }}
            {established} {{ k = split({address}, a, ":"); if (a[k] in want) c++ }}
            END {{ print c + 0 }}'"""


def staragent_process(home: str) -> str:
    """The sh function `ck_agent_running`: true when a process has an argument that begins with that home's bin folder.

    A process that carries this very text in its arguments (`sh -c`) is known by the word ck_agent_running and not counted.
    """
    return f"""
ck_agent_running() {{
    ck_bin={quote(home.rstrip("/") + "/bin/")}
    if [ ! -r /proc/self/cmdline ]; then
        ps -ef 2>/dev/null | grep -F -e " $ck_bin" | grep -v -e ck_agent_running -e 'grep -F' >/dev/null
        return
    fi
    for ck_file in $(grep -lF -e "$ck_bin" -e ck_agent_running /proc/[0-9]*/cmdline 2>/dev/null); do
        grep -qF -e ck_agent_running "$ck_file" 2>/dev/null && continue
        tr '\\0' '\\n' <"$ck_file" 2>/dev/null | {{
            while IFS= read -r ck_word; do
                case $ck_word in "$ck_bin"*) exit 0 ;; esac
            done
            exit 1
        }} && return 0
    done
    return 1
}}
"""
