"""The sentences of RemoteError: which hop, what happened there, what to do next. Makes errors, raises none."""

from __future__ import annotations

from engine.domain.clean import clean_text
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.ports import Job, RemoteError
from engine.remote.hops import Hop


def _error(code: str, what: Message, remedy: Message, evidence: str = "") -> RemoteError:
    return RemoteError(Problem(code, what, remedy, clean_text(evidence)[:2000]))


def unreachable(hop: Hop, cause: str, via: Hop | None) -> RemoteError:
    facts = {"name": hop.name, "address": hop.address, "port": hop.port, "cause": clean_text(cause)}
    if hop.is_jump:
        return _error(
            "jump_host_unreachable",
            message("jump host {name} ({address}:{port}) cannot be reached: {cause}.", **facts),
            message("Check the network to it and its SSH service; every host behind it waits for it."),
        )
    if via is None:
        return _error(
            "host_unreachable",
            message("host {name} ({address}:{port}) cannot be reached: {cause}.", **facts),
            message("Check that it is up, its address and port, and its SSH service; then retry."),
        )
    return _error(
        "host_unreachable",
        message(
            "host {name} ({address}:{port}) cannot be reached from jump host {jump}: {cause}.", **facts, jump=via.name
        ),
        message("Check that it is up and that {jump} can connect to its SSH port; then retry.", jump=via.name),
    )


def host_key_unreadable(hop: Hop, cause: str) -> RemoteError:
    return _error(
        "host_key_unreadable",
        message("the recorded host key of {name} cannot be read: {cause}.", name=hop.name, cause=clean_text(cause)),
        message("Record it as one OpenSSH public key line (ssh-ed25519 AAAA…), as ssh-keyscan prints it."),
    )


def one_time_password_missing(hop: Hop, question: str, seconds: float) -> RemoteError:
    return _error(
        "one_time_password_missing",
        message(
            "{name} asked {user} “{question}” and nobody answered within {seconds:.0f} s.",
            name=hop.name,
            user=hop.user,
            question=question,
            seconds=seconds,
        ),
        message("Retry and answer the question on the screen, or with `cockpit prompts answer`."),
    )


def one_time_password_refused(hop: Hop, question: str, count: int) -> RemoteError:
    return _error(
        "one_time_password_refused",
        message(
            "{name} refused {count} answers to “{question}” for {user}.",
            name=hop.name,
            count=count,
            question=question,
            user=hop.user,
        ),
        message("Check that the code is meant for this account and its clock is right, then retry."),
    )


def ssh_config_unreadable(hop: Hop, file: str, cause: str) -> RemoteError:
    return _error(
        "ssh_config_unreadable",
        message("{file}, which may say how {name} is reached, cannot be read: {cause}.",
                file=file, name=hop.name, cause=clean_text(cause)),
        message("Make it readable, or unset `ssh.config` in the settings."),
    )  # fmt: skip


def folder_unwritable(hop: Hop, cause: str) -> RemoteError:
    return _error(
        "folder_unwritable",
        message(
            "{user} on {name} cannot write its job folder: {cause}.",
            user=hop.user,
            name=hop.name,
            cause=clean_text(cause),
        ),
        message("Make ~/.cockpit writable for {user} on {name}.", user=hop.user, name=hop.name),
    )


def link_lost(hop: Hop, cause: str) -> RemoteError:
    return _error(
        "link_lost",
        message(
            "the link to {name} was lost and did not come back: {cause}. What runs there goes on.",
            name=hop.name,
            cause=clean_text(cause),
        ),
        message("Check the network and the jump hosts, then retry: the job is picked up where it is."),
    )


def link_lost_once(hop: Hop, cause: str) -> RemoteError:
    return _error(
        "link_lost",
        message("the link to {name} was lost: {cause}.", name=hop.name, cause=clean_text(cause)),
        message("Retry; if it happens again, check the network and the jump hosts."),
    )


def remote_deadline(hop: Hop, seconds: float) -> RemoteError:
    return _error(
        "remote_deadline",
        message("{name} did not answer within {seconds:.0f} s.", name=hop.name, seconds=seconds),
        message("Check the load of {name}, then retry.", name=hop.name),
    )


def still_running(hop: Hop, group: str) -> RemoteError:
    return _error(
        "remote_deadline",
        message("process group {group} on {name} survived SIGKILL.", group=group, name=hop.name),
        message(
            "It hangs in the kernel (a dead disk or network mount?): look at it on {name}, then retry.", name=hop.name
        ),
    )


def epoch_refused(hop: Hop, job: Job, seen: str) -> RemoteError:
    return _error(
        "job_epoch_refused",
        message(
            "{name} refused order {order}: it has been taken over (epoch {seen}, ours is {epoch}).",
            name=hop.name,
            order=job.order_id,
            seen=seen,
            epoch=job.epoch,
        ),
        message("Nothing was changed. Another engine runs this order now; watch it there."),
    )


def job_vanished(hop: Hop, job: Job) -> RemoteError:
    return _error(
        "job_vanished",
        message(
            "the job {key} of order {order} on {name} is gone without a result (a reboot, a kill, a deleted folder).",
            key=job.key,
            order=job.order_id,
            name=hop.name,
        ),
        message("Look at the host, then retry the step; what it was doing may be half done."),
    )


def host_busy(hop: Hop, process: str, other: str) -> RemoteError:
    return _error(
        "host_busy",
        message(
            "a job of another order still runs on {name} ({other}, process {process}).",
            name=hop.name,
            other=clean_text(other),
            process=clean_text(process),
        ),
        message("Nothing was started. Let that job end, or end its process on {name}; then retry.", name=hop.name),
    )


def disk_full(hop: Hop, path: str) -> RemoteError:
    return _error(
        "disk_full",
        message("no space left on {name} for {path}.", name=hop.name, path=clean_text(path)),
        message("Free some space on {name}, then retry.", name=hop.name),
    )
