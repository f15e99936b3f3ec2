"""What forbids an order or an act, one sentence each, whoever asks: preview, creation, the check, the start, an act."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.message import message
from engine.domain.problem import Problem

FLOOR = "floor_broken"


def floor_broken(lowest: int, in_service: int, floor: int) -> Problem:
    return Problem(
        FLOOR,
        message("It leaves {lowest} of {in_service} hosts in service at its lowest point, below the floor of {floor}.",
                lowest=lowest, in_service=in_service, floor=floor),
        message("Make smaller groups, bring other hosts back into service, or give a reason for going below the floor."),
    )  # fmt: skip


def rollback_never_succeeded(app: str, version: str, choices: Sequence[str]) -> Problem:
    if not choices:
        return Problem(
            "rollback_never_succeeded",
            message("{app} has no earlier version that succeeded in this workspace.", app=app),
            message("Release a version that works instead."),
        )
    return Problem(
        "rollback_never_succeeded",
        message("{app} {version} never succeeded in this workspace, or its package is gone.", app=app, version=version),
        message("Choose one of: {versions}.", versions=", ".join(choices)),
    )


def package_unknown(app: str, version: str) -> Problem:
    lacks = message("{app} {version} has no release package.", app=app, version=version)
    return Problem(
        "package_unknown",
        lacks if version else message("No version of {app} is named.", app=app),
        message("Upload it to OSS and add it to the catalogue, or choose another version."),
    )


def open_order(order_id: int, what: str) -> Problem:
    """`what`: the app or the host it is at work on."""
    return Problem(
        "open_order",
        message("Order #{id} is still open on {what} or one of its hosts.", id=order_id, what=what),
        message("Finish or cancel order #{id} first.", id=order_id),
    )


def no_version_for_several_apps(version: str) -> Problem:
    return Problem(
        "no_version_for_several_apps",
        message("The order has several apps: {version} can't be a version of each of them.", version=version),
        message(
            "Roll back without naming a version: each app goes back to what it ran. Or roll one app back by itself."
        ),
    )


def no_version_to_choose(version: str) -> Problem:
    return Problem(
        "no_version_to_choose",
        message("The way back of this order leads to no other version, so not to {version} either.", version=version),
        message("Roll back without naming a version: its hosts go back to what they ran."),
    )
