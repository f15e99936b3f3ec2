"""Checking that the host can be commanded: tools, a writable home, and StarAgent where the workspace requires it.

Changes nothing on the host but the folder that the later steps write to.
"""

from __future__ import annotations

from shlex import quote

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import DEFAULTS, StepContext, parameter, port, seconds
from engine.steps.shell import count_connections, staragent_process

DEADLINE_S = 60.0
LOG_LINES = 20

_CHANNEL = """
ck_missing=
for ck_tool in sh curl tar gzip awk grep sed; do
    command -v "$ck_tool" >/dev/null 2>&1 || ck_missing="$ck_missing $ck_tool"
done
if [ -n "$ck_missing" ]; then
    echo "TOOL MISSING:$ck_missing"
    exit 1
fi
ck_probe="$HOME/.cockpit/.probe"
if ! mkdir -p "$HOME/.cockpit/jobs" || ! printf 'probe\\n' | cat >"$ck_probe"; then
    rm -f "$ck_probe"
    echo "HOME NOT WRITABLE: $HOME"
    exit 1
fi
rm -f "$ck_probe"
echo "command channel: tools present, $HOME writable"
"""


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Deadline: the parameter `check_agent_deadline_s`. Raises ProblemError `parameter_value_invalid`."""
    body = _CHANNEL + (staragent(context) if context.requires_staragent else "")
    return RemoteStep(step.key, body, seconds(context, "check_agent_deadline_s", DEADLINE_S))


def staragent(context: StepContext) -> str:
    home = parameter(context, "staragent_home", DEFAULTS["staragent_home"])
    server_port = port(context.host, context.stack, "staragent_port", DEFAULTS["staragent_port"])
    return f"""{staragent_process(home)}{count_connections(remote=(server_port,))}
ck_home={quote(home)}
ck_log=$ck_home/log/staragent_core.log
if [ -r "$ck_log" ]; then
    echo "last lines of $ck_log:"
    tail -n {LOG_LINES} "$ck_log"
else
    echo "no log at $ck_log"
fi
if ! ck_agent_running; then
    echo "no process of $ck_home/bin"
    echo 'Agent status not running'
    exit 1
fi
ck_connections=$(ck_count) || ck_connections=0
if [ "${{ck_connections:-0}}" -eq 0 ]; then
    echo 'no established connection to the agent server, port {server_port}'
    echo 'Agent status not running'
    exit 1
fi
echo 'Agent status running, connected to its server, port {server_port}'
"""
