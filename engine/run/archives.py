"""A look into a tech stack's archives before any host has them: what could not be unpacked there, and scripts they lack."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

from engine.domain.archive import Member, missing, unsafe
from engine.domain.fleet import ObjectRef, TechStack
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.ports import Packages, PackagesError

SHOWN = 5
# The others are missed by orders that run them; this one is only told of them.
RUN_BY_A_RELEASE = ("install", "configure", "deploy")


async def look_into_archives(stack: TechStack, packages: Packages) -> tuple[list[Problem], list[Problem]]:
    """(what forbids the order, what only warns)."""
    archives = [stack.archive] + ([stack.sdk] if stack.sdk else [])
    read = await asyncio.gather(*(_read(archive, packages) for archive in archives))
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for archive, (members, error) in zip(archives, read, strict=True):
        if error is not None:
            (warnings if error.code == "archive_not_read" else problems).append(error)
            continue
        problems += _unsafe(archive, members)
        if archive is stack.archive:
            lacking = dict(_scripts_missing(stack, members))
            problems += [problem for name, problem in lacking.items() if name in RUN_BY_A_RELEASE]
            warnings += [problem for name, problem in lacking.items() if name not in RUN_BY_A_RELEASE]
    return problems, warnings


async def _read(archive: ObjectRef, packages: Packages) -> tuple[tuple[Member, ...], Problem | None]:
    try:
        return await packages.contents(archive), None
    except PackagesError as error:
        return (), error.problem


def _unsafe(archive: ObjectRef, members: tuple[Member, ...]) -> list[Problem]:
    found = unsafe(members)
    if not found:
        return []
    return [
        Problem(
            "archive_unsafe",
            message("{key} in bucket {bucket} would write outside its folder on a host: {what}.",
                    key=archive.key, bucket=archive.bucket, what="; ".join(found[:SHOWN])[:400]),
            message("Find out who made the archive, rebuild it, then initialise again."),
        )
    ]  # fmt: skip


def _scripts_missing(stack: TechStack, members: tuple[Member, ...]) -> list[tuple[str, Problem]]:
    inside = {name: path for name, path in stack.scripts.items() if path and ".." not in PurePosixPath(path).parts}
    absent = set(missing(members, list(inside.values())))
    return [(name, _script_missing(stack, path)) for name, path in inside.items() if path in absent]


def _script_missing(stack: TechStack, path: str) -> Problem:
    return Problem(
        "script_missing",
        message("Tech stack {stack} {version} names the script {path}, which is not in its archive {key}.",
                stack=stack.name, version=stack.version, path=path, key=stack.archive.key),
        message("Correct the path in the catalogue or upload the right archive, then initialise again."),
    )  # fmt: skip
