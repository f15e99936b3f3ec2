"""Downloading and unpacking the tech stack's archive of scripts and its SDK. The URLs travel as secrets."""

from __future__ import annotations

from shlex import quote

from engine.domain.fleet import ObjectRef
from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import StepContext, seconds
from engine.steps.download import FETCH, checked_url, checksum, fetch
from engine.steps.shell import paths
from engine.steps.unpack import DIGEST, UNPACK

DEADLINE_S = 600.0
LOOK_S = 10.0


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Deadline: the parameter `download_scripts_deadline_s`. Raises ProblemError `url_invalid`, `parameter_value_invalid`."""
    stack = context.stack
    secrets = {"secret_archive_url": checked_url(context.archive_url, stack.archive.key)}
    body = paths(context) + FETCH + UNPACK + _bring(stack.archive, "secret_archive_url", "STACK_DIR")
    if stack.sdk is not None:
        secrets["secret_sdk_url"] = checked_url(context.sdk_url, stack.sdk.key)
        body += _bring(stack.sdk, "secret_sdk_url", "SDK_DIR")
    deadline_s = seconds(context, "download_scripts_deadline_s", DEADLINE_S)
    return RemoteStep(step.key, body, deadline_s, secrets)


def look(context: StepContext, step: StepPlan) -> RemoteStep:
    """Ends with 0 when what is unpacked is the stack's archive, and its SDK."""
    stack = context.stack
    body = paths(context) + "\n" + _is_unpacked(stack.archive, "STACK_DIR")
    if stack.sdk is not None:
        body += _is_unpacked(stack.sdk, "SDK_DIR")
    return RemoteStep(step.key, body, LOOK_S)


def _is_unpacked(ref: ObjectRef, folder: str) -> str:
    digest = checksum(ref)[1]
    if not digest:
        return "exit 1\n"
    return f'[ "$(cat "${folder}/{DIGEST}" 2>/dev/null)" = {quote(digest)} ] || exit 1\n'


def _bring(ref: ObjectRef, url_variable: str, folder: str) -> str:
    archive = f'"${folder}.tar.gz"'
    return fetch(ref, url_variable, archive) + f'ck_unpack {archive} "${folder}" {quote(checksum(ref)[1])}\n'
