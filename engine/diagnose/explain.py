"""Matches a failed step against the failure cards. Reads what it is given; asks nobody and repairs nothing."""

from __future__ import annotations

import re

from engine.diagnose.card import Card
from engine.diagnose.deck import CARDS
from engine.domain import step_names
from engine.domain.clean import clean_text
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.steps import StepPlan

EVIDENCE_LINES = 5
LAST_LINES = 4
LINE_LIMIT = 400  # characters

_HEALTH_LOGS = message(
    "Read sofa-healthcheck.log and common-error.log of {app} on {host}, then retry the host.",
    app="",
    host="",
)
_ERROR = re.compile(r"\b(ERROR|FATAL|Caused by|[A-Z]\w+(Exception|Error))\b")
_NO_ANSWER = re.compile(r"HEALTH CHECK NOT PASSED.*no answer: .*(timed out|timeout)", re.IGNORECASE)


def explain(step: StepPlan, exit_status: int | None, timed_out: bool, log_tail: str, *, host: str, app: str) -> Problem:
    """The first card that fits, else `script_failed`, `step_timed_out`, `health_check_failed` or `health_check_timed_out`.

    `exit_status` None: unknown. `evidence` holds at most five cleaned lines of the log.
    """
    lines = _lines_of(step.key, log_tail)
    values = {"step": step.title or step.key, "host": host, "app": app}
    if step.does == step_names.CHECK_HEALTH:
        return _health(timed_out, lines, values)
    for card in CARDS:
        if (card.steps is None or step.does in card.steps) and (card.when_late or not timed_out):
            seen = _seen(card, exit_status, lines)
            if seen is not None:
                return Problem(card.code, _filled(card.what, values), _filled(card.remedy, values), _evidence(seen))
    if timed_out:
        return _late(lines, values)
    return _script_failed(exit_status, lines, values)


def _lines_of(step: str, log_tail: str) -> list[str]:
    """The lines behind the step's own heading, cleaned: an earlier step's words explain nothing."""
    lines = [line.strip()[:LINE_LIMIT] for line in clean_text(log_tail).splitlines()]
    heading = re.compile(rf"── \d\d:\d\d:\d\d {re.escape(step)}\Z")
    starts = [number for number, line in enumerate(lines) if heading.match(line)]
    return [line for line in lines[starts[-1] + 1 if starts else 0 :] if line]


def _filled(text: Message, values: dict[str, str]) -> Message:
    return message(text.text, **{name: value for name, value in values.items() if f"{{{name}}}" in text.text})


def _seen(card: Card, exit_status: int | None, lines: list[str]) -> list[str] | None:
    """The lines it is known by, None when it does not fit. Known by its exit status alone: the last lines."""
    found = [line for line in lines[-card.last :] if re.search(card.pattern, line)]
    if found:
        return found
    return lines[-LAST_LINES:] if exit_status in card.statuses else None


def _evidence(lines: list[str]) -> str:
    return "\n".join(lines[-EVIDENCE_LINES:])


def _complaint(lines: list[str], *, but: list[str]) -> list[str]:
    """What the app itself complained of last: of all that was seen it says most, so it stands last."""
    found = [line for line in lines if _ERROR.search(line) and line not in but]
    return found[-1:]


def _health(timed_out: bool, lines: list[str], values: dict[str, str]) -> Problem:
    answers = [line for line in lines if re.match(r"attempt \d+: |HEALTH CHECK NOT PASSED", line)]
    seen = _evidence([*(answers or lines[-LAST_LINES:]), *_complaint(lines, but=answers)])
    if timed_out or any(_NO_ANSWER.search(line) for line in lines):
        what = message("The health check of {app} on {host} got no answer before its deadline (health_deadline_s).",
                       app=values["app"], host=values["host"])  # fmt: skip
        return Problem("health_check_timed_out", what, _filled(_HEALTH_LOGS, values), seen)
    what = message("{app} on {host} did not pass its health check.", app=values["app"], host=values["host"])
    return Problem("health_check_failed", what, _filled(_HEALTH_LOGS, values), seen)


def _late(lines: list[str], values: dict[str, str]) -> Problem:
    return Problem(
        "step_timed_out",
        message("{step} on {host} was ended at its deadline ({deadline}).",
                step=values["step"], host=values["host"], deadline=f"{values['step']}_deadline_s"),
        message("Read the log and the start-up log; raise {deadline} if it is only slow, then retry the host.",
                deadline=f"{values['step']}_deadline_s"),
        _evidence(lines[-LAST_LINES:]),
    )  # fmt: skip


def _script_failed(exit_status: int | None, lines: list[str], values: dict[str, str]) -> Problem:
    status = "unknown" if exit_status is None else str(exit_status)
    return Problem(
        "script_failed",
        message("{step} on {host} ended with exit status {status}: an unknown failure, no card fits.",
                step=values["step"], host=values["host"], status=status),
        message("Read its last lines and the host's log, correct what they say, then retry the host."),
        _evidence(lines[-LAST_LINES:]),
    )  # fmt: skip
