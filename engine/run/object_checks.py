"""Packages, stack archives and SDKs as OSS has them now, against what the catalogue says of them."""

from __future__ import annotations

import asyncio

from engine.domain.fleet import ObjectRef
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.kinds.kind import Checks
from engine.ports import ObjectFacts, Packages, PackagesError


async def check_objects(checks: Checks, packages: Packages) -> tuple[str, list[tuple[str, Problem]]]:
    """Packages, stack archives and SDKs as OSS has them now."""
    found = await asyncio.gather(*(_head(ref, packages) for ref in checks.objects))
    text = ",".join(
        f"{ref.key}:{head.size}:{head.etag}:{head.crc64}" for ref, (head, _) in zip(checks.objects, found, strict=True)
    )
    return text, [("", problem) for _, problems in found for problem in problems]


async def _head(ref: ObjectRef, packages: Packages) -> tuple[ObjectFacts, list[Problem]]:
    try:
        head = await packages.head(ref)
    except PackagesError as error:
        return ObjectFacts(-1, "", "", ""), [error.problem]
    problems = []
    for name, recorded, now in (
        ("size", ref.size if ref.size >= 0 else "", head.size),
        ("ETag", ref.etag.strip('"').upper(), head.etag.upper()),
        ("CRC-64", ref.crc64, head.crc64),
    ):
        if recorded != "" and now != "" and str(recorded) != str(now):
            problems.append(
                Problem(
                    "package_changed",
                    message("{key} in bucket {bucket} has {name} {now}, the catalogue says {recorded}.",
                            key=ref.key, bucket=ref.bucket, name=name, now=str(now), recorded=str(recorded)),
                    message("Upload the right object, or correct the catalogue, then initialise again."),
                )
            )  # fmt: skip
    if not ref.sha256 and not head.md5:
        problems.append(
            Problem(
                "package_unverifiable",
                message(
                    "{key} in bucket {bucket} has no checksum that a host can verify.", key=ref.key, bucket=ref.bucket
                ),
                message("Give its sha256 in the catalogue (a multipart upload's ETag is not an MD5)."),
            )
        )
    return head, problems
