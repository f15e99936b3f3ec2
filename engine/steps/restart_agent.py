"""Restarting StarAgent with its own command, and waiting until it runs and has reached its server. May be done again."""

from __future__ import annotations

from shlex import quote

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.check_agent import staragent
from engine.steps.context import DEFAULTS, StepContext, parameter

DEADLINE_S = 90.0
TRIES = 20


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Raises ProblemError `parameter_value_invalid`."""
    home = parameter(context, "staragent_home", DEFAULTS["staragent_home"])
    body = f"""
ck_command={quote(home.rstrip("/") + "/bin/agent.sh")}
if [ ! -f "$ck_command" ]; then
    echo "no $ck_command"
    exit 1
fi
# what it starts keeps its output: a pipe would be held open for as long as the agent lives
ck_said=$HOME/.cockpit/agent-restart.$$
mkdir -p "$HOME/.cockpit" && : >"$ck_said" || ck_said=/dev/null
sh "$ck_command" restart </dev/null >"$ck_said" 2>&1
echo "agent.sh restart ended with exit status $?"
if [ "$ck_said" != /dev/null ]; then
    cat "$ck_said"
    rm -f "$ck_said"
fi
ck_try=0
while :; do
    ck_try=$((ck_try + 1))
    ck_answer=$(
{staragent(context)}
    ) && break
    [ "$ck_try" -lt {TRIES} ] || break
    sleep 2
done
printf '%s\\n' "$ck_answer"
case $ck_answer in *'Agent status running'*) exit 0 ;; esac
exit 1
"""
    return RemoteStep(step.key, body, DEADLINE_S)
