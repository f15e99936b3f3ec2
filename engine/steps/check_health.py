"""Checking the service: asks the app's own health address on the host until it passes or its deadline is over.

Never restarts anything and never takes silence for health. A stack with a check_health script uses that instead.
"""

from __future__ import annotations

import math
from dataclasses import replace
from shlex import quote

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import DEFAULTS, StepContext, parameter, port, seconds
from engine.steps.shell import paths, script_step

DEADLINE_S = 120.0
SHORT_S = 8.0
INTERVAL_S = 2.0
ANSWER_S = 10.0  # one answer may take so long
GRACE_S = 15.0  # for the last answer and the logs, before the step's own deadline ends it
TAIL_LINES = 15


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Deadline: the parameter `health_deadline_s`. Raises ProblemError `parameter_value_invalid`."""
    deadline_s = seconds(context, "health_deadline_s", DEADLINE_S)
    if step.deadline_s:  # one of its own has the last answer and the logs in it
        deadline_s = max(1.0, step.deadline_s - ANSWER_S - GRACE_S)
    if context.stack.scripts.get("check_health"):
        return script_step(context, step.key, "check_health", deadline_s)
    return RemoteStep(step.key, _body(context, deadline_s), deadline_s + ANSWER_S + GRACE_S)


def look(context: StepContext, step: StepPlan) -> RemoteStep:
    """Whether it passes at this moment. Raises as `build`."""
    short = shortened(context)
    built = build(short, replace(step, deadline_s=0.0))
    return replace(built, body=f"export HEALTH_DEADLINE_S={SHORT_S:g}\n{built.body}")


def shortened(context: StepContext) -> StepContext:
    """For a check that somebody waits for."""
    short = {"health_deadline_s": f"{SHORT_S:g}", "check_health_deadline_s": f"{SHORT_S:g}"}
    return replace(context, host=replace(context.host, variables={**context.host.variables, **short}))


def _body(context: StepContext, deadline_s: float) -> str:
    number = port(context.host, context.stack, "health_port", DEFAULTS["health_port"])
    path = parameter(context, "health_path", DEFAULTS["health_path"])
    url = f"http://localhost:{number}/{path.lstrip('/')}"
    interval_s = math.ceil(seconds(context, "health_interval_s", INTERVAL_S))  # not every sleep knows fractions
    answer_s = math.ceil(min(ANSWER_S, deadline_s))
    return f"""{paths(context)}
ck_url={quote(url)}
{_ASK.replace("@answer_s@", str(answer_s))}
ck_end=$(($(date +%s) + {math.ceil(deadline_s)}))
ck_try=0
ck_answer=none
echo "asking $ck_url"
while :; do
    ck_try=$((ck_try + 1))
    ck_ask && echo "health check passed" && exit 0
    [ $(($(date +%s) + {interval_s})) -lt "$ck_end" ] || break
    sleep {interval_s}
done
for ck_log in "$HOME/logs/sofa/sofa-healthcheck.log" "$HOME/logs/sofa/sofa-startup.log" "$LOG_DIR/common-error.log"; do
    if [ -r "$ck_log" ]; then
        echo "--- last lines of $ck_log"
        tail -n {TAIL_LINES} "$ck_log" | cut -c 1-500
    else
        echo "--- no $ck_log"
    fi
done
printf 'HEALTH CHECK NOT PASSED after %s attempts in {deadline_s:g} s; last answer: %s\\n' "$ck_try" "$ck_answer"
exit 1
"""


# The answer's first line and status come through a pipe, so that a full disk or an endless answer does no harm.
_ASK = """
ck_ask() {
    ck_seen=$(
        curl -q -g -sS --noproxy '*' --connect-timeout 5 --max-time @answer_s@ \\
            -w '\\nck_http %{http_code}\\n' "$ck_url" 2>&1 | head -c 65536 | tr -d '\\000\\015\\033' |
            awk 'NR == 1 || (NR == 2 && first == "") || (first == "" && /^curl: /) { first = substr($0, 1, 300) }
                /^ck_http / { http = $2; if (first ~ /^ck_http /) first = "" }
                /^curl: / && first == "" { first = $0 }
                END { print http + 0; print first }'
    )
    ck_http=${ck_seen%%
*}
    ck_first=${ck_seen#*
}
    ck_answer="HTTP $ck_http: $ck_first"
    [ "$ck_http" != 0 ] || ck_answer="no answer: $ck_first"
    printf 'attempt %s: %s\\n' "$ck_try" "$ck_answer"
    case $ck_http in 2??) ;; *) return 1 ;; esac
    printf '%s\\n' "$ck_first" | grep -Eq '(^|[^A-Za-z0-9_])"?passed"?[[:space:]]*:[[:space:]]*true([^A-Za-z0-9_]|$)'
}
"""
