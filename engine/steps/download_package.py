"""Downloading the release package, verified, under its version's own folder. It is unpacked by the deploy script, not here."""

from __future__ import annotations

from shlex import quote

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import StepContext, seconds
from engine.steps.download import FETCH, checked_url, checksum, fetch
from engine.steps.shell import paths

DEADLINE_S = 900.0
LOOK_S = 60.0  # for the checksum of a big one


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Deadline: the parameter `download_package_deadline_s`. Raises ProblemError `url_invalid`, `parameter_value_invalid`."""
    ref = context.package.object
    secrets = {"secret_package_url": checked_url(context.package_url, ref.key)}
    body = paths(context) + FETCH + fetch(ref, "secret_package_url", '"$PACKAGE_FILE"')
    deadline_s = seconds(context, "download_package_deadline_s", DEADLINE_S)
    return RemoteStep(step.key, body, deadline_s, secrets)


def look(context: StepContext, step: StepPlan) -> RemoteStep:
    """Ends with 0 when the package is there, with its checksum."""
    ref = context.package.object
    algorithm, digest = checksum(ref)
    if not digest:
        return RemoteStep(step.key, "exit 1", LOOK_S)
    body = paths(context) + FETCH
    body += f"""
[ -f "$PACKAGE_FILE" ] &&
    ck_verify "$PACKAGE_FILE" {ref.size} {quote(algorithm)} {quote(digest)} || exit 1
"""
    return RemoteStep(step.key, body, LOOK_S)
