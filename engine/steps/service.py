"""A look at the host's service: whether what listens at the app's ports is what a step has started, or nothing does.

By the ports and by /proc: the process that listens is the one that was there when the job ended, if it is not younger. What a hand
has started since is younger, whatever version it is. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from engine.domain.message import Message, message
from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import DEFAULTS, StepContext, parameter, port

DEADLINE_S = 15.0
GONE, YOUNGER, UNSEEN, THERE = "gone", "younger", "unseen", "there"
WORDS: Mapping[str, Message] = {
    GONE: message("its service does not listen any more"),
    YOUNGER: message("its service was started once more since then"),
    UNSEEN: message("nobody can tell which process serves its ports"),
    THERE: message("its service listens again"),
}

# ck_holders <port>: the processes that hold a socket listening at that port, as far as we may see; fails when there is no such
# socket.
_LISTENERS = r"""
ck_holders() {
    ck_hex=$(printf '%04X' "$1")
    ck_sockets=$(
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
            awk -v port="$ck_hex" '$4 == "0A" { k = split($2, a, ":"); if (a[k] == port) printf "%s ", $10 }'
    )
    [ -n "$ck_sockets" ] || return 1
    ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v sockets="$ck_sockets" '
        BEGIN { n = split(sockets, s, " "); for (i = 1; i <= n; i++) want["socket:[" s[i] "]"] = 1 }
        /^\/proc\/[0-9]+\/fd:$/ { split($0, part, "/"); process = part[3] }
        $NF in want && !(process in seen) { seen[process] = 1; print process }'
}

# ck_start <process>: when it began, as in /proc/<process>/stat; nothing when it is gone.
ck_start() {
    { read -r ck_line; } 2>/dev/null <"/proc/$1/stat" || return 0
    ck_line=${ck_line##*) }
    printf '%s\n' "$ck_line" | awk '{ print $20 }'
}
"""


def running(context: StepContext, step: StepPlan) -> RemoteStep:
    """Ends with 0 when each of the app's ports is served by a process that was there when the job ended. Raises ProblemError
    `parameter_value_invalid`."""
    body = f"""{_LISTENERS}
ck_ports={quote(_ports(context))}
[ -n "$ck_ports" ] || {{ echo {UNSEEN}; exit 1; }}
for ck_port in $ck_ports; do
    ck_found=$(ck_holders "$ck_port") || {{ echo {GONE}; exit 1; }}
    ck_oldest=
    for ck_process in $ck_found; do
        ck_began=$(ck_start "$ck_process")
        [ -z "$ck_began" ] || [ "${{ck_oldest:-$ck_began}}" -lt "$ck_began" ] || ck_oldest=$ck_began
    done
    [ -n "$ck_oldest" ] || {{ echo {UNSEEN}; exit 1; }}
    [ "$ck_oldest" -le "${{ck_ended:-0}}" ] || {{ echo {YOUNGER}; exit 1; }}
done
"""
    return RemoteStep(step.key, body, DEADLINE_S)


def ended(context: StepContext, step: StepPlan) -> RemoteStep:
    """Ends with 0 when nothing listens at any of the app's ports. Raises ProblemError `parameter_value_invalid`."""
    body = f"""{_LISTENERS}
ck_ports={quote(_ports(context))}
[ -n "$ck_ports" ] && [ -r /proc/net/tcp ] || {{ echo {UNSEEN}; exit 1; }}
for ck_port in $ck_ports; do
    ! ck_holders "$ck_port" >/dev/null || {{ echo {THERE}; exit 1; }}
done
"""
    return RemoteStep(step.key, body, DEADLINE_S)


def _ports(context: StepContext) -> str:
    """Where the app is asked for its health, and where it takes traffic if the catalogue says so. A stack with a health check of
    its own may have no port for it."""
    own = context.stack.scripts.get("check_health")
    defaults = {"health_port": "" if own else DEFAULTS["health_port"], "app_port": ""}
    found = {port(context.host, context.stack, name, default) for name, default in defaults.items()
             if parameter(context, name, default)}  # fmt: skip
    return " ".join(map(str, sorted(found)))
