"""What a host says instead of running our sh, told as what it is: in a sentence of its own, with the host's own words beside it.

Recognises words, decides nothing. A login that refused so is never used again: whoever repairs the account logs in anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from engine.domain.clean import clean_text
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.ports import RemoteError
from engine.remote.hops import Hop

EVIDENCE_CHARACTERS = 2_000
_EXPIRED = re.compile(
    r"password (has )?expired|password change required|required to change your password|密码已过期", re.I
)
_NOLOGIN = re.compile(r"account is (currently )?not available|nologin|login is disabled|logins are disabled", re.I)
_SFTP_ONLY = re.compile(r"allows sftp connections only", re.I)
_NO_SH = re.compile(r"\bsh: (command )?not found|unknown command:? ?sh\b|no such file or directory: sh\b", re.I)


def _error(code: str, what: Message, remedy: Message, words: str) -> RemoteError:
    return RemoteError(Problem(code, what, remedy, clean_text(words).strip()[-EVIDENCE_CHARACTERS:]))


def no_shell(hop: Hop, status: int | None, words: str) -> RemoteError:
    """The login ended before our sh was there; `words` is what it said, `status` what it ended with."""
    who = {"name": hop.name, "user": hop.user}
    said = _quoted(words)
    if _EXPIRED.search(words):
        return _error(
            "password_expired",
            message("{name} lets {user} in, but the password of {user} has expired, so nothing runs there: {said}",
                    **who, said=said),
            message("Give {user} on {name} a new password (or none that expires), then retry: it is logged in anew.",
                    **who),
            words,
        )  # fmt: skip
    if _NOLOGIN.search(words):
        what = message("{name} lets {user} in, but the account is closed to logins (nologin): {said}", **who, said=said)
    elif _SFTP_ONLY.search(words):
        what = message("{name} lets {user} in for files only (ForceCommand internal-sftp): {said}", **who, said=said)
    elif _NO_SH.search(words):
        what = message("{name} lets {user} in, but its login shell finds no sh: {said}", **who, said=said)
    elif said:
        what = message(
            "{name} lets {user} in, but ended the session with status {status} before it ran anything. It said: {said}",
            **who, status="?" if status is None else status, said=said,
        )  # fmt: skip
    else:
        what = message(
            "{name} lets {user} in, but ended the session with status {status} before it ran anything, saying nothing.",
            **who, status="?" if status is None else status,
        )  # fmt: skip
    remedy = message(
        "See what runs before a command of {user} on {name}: the login shell, its start-up files, a ForceCommand "
        "in sshd_config, a command= in authorized_keys. It must run `sh -c`; then retry.",
        **who,
    )
    return _error("no_shell", what, remedy, words)


def no_session(hop: Hop, cause: str) -> RemoteError:
    return _error(
        "no_shell",
        message("{name} lets {user} in, but opens no session for a command: {cause}.",
                name=hop.name, user=hop.user, cause=clean_text(cause)),
        message("Check that sshd on {name} allows sessions (MaxSessions) and commands for {user}; then retry.",
                name=hop.name, user=hop.user),
        cause,
    )  # fmt: skip


def login_waits(hop: Hop, seconds: float, words: str) -> RemoteError:
    said = _quoted(words)
    facts = {"name": hop.name, "user": hop.user, "seconds": seconds}
    what = (
        message(
            "the login shell of {user} on {name} ran nothing within {seconds:.0f} s. It said: {said}",
            **facts,
            said=said,
        )
        if said
        else message(
            "the login shell of {user} on {name} ran nothing within {seconds:.0f} s and said nothing.", **facts
        )
    )
    remedy = message(
        "A shell start-up file may be waiting for input or for something unreachable (a network home?): log in as "
        "{user} on {name} and see, then retry.",
        name=hop.name,
        user=hop.user,
    )
    return _error("login_waits", what, remedy, words)


def login_talks(hop: Hop, limit: int, words: str) -> RemoteError:
    return _error(
        "login_talks",
        message("the login of {user} on {name} prints more than {limit} KiB before it runs a command.",
                name=hop.name, user=hop.user, limit=limit // 1024),
        message("Let the start-up files of {user} on {name} print only for a terminal (`[ -t 1 ]`), then retry.",
                name=hop.name, user=hop.user),
        words,
    )  # fmt: skip


def not_set_up(hop: Hop, words: str, status: int | None) -> RemoteError:
    """Our sh was there, and then ended without the answer it owes."""
    said = _quoted(words)
    facts = {"name": hop.name, "status": "?" if status is None else status}
    what = (
        message("the job could not be set up on {name} (exit status {status}): {said}", **facts, said=said)
        if said
        else message("the job could not be set up on {name}: sh ended with status {status} and said nothing.", **facts)
    )
    remedy = message(
        "Log in as {user} on {name} and check that `sh` runs there, then retry.", user=hop.user, name=hop.name
    )
    return _error("job_refused", what, remedy, words)


def tools_missing(hop: Hop, tools: str) -> RemoteError:
    return _error(
        "tool_missing",
        message("{host} lacks {tools}.", host=hop.name, tools=clean_text(tools)),
        message("Install what is missing on the host, then retry."),
        "",
    )


def broken_off(hop: Hop, cause: str, banner: str) -> RemoteError:
    """The server hung up in the middle of the login, again and again: PAM says no so."""
    said = _quoted(banner)
    facts = {"name": hop.name, "user": hop.user}
    what = (
        message("{name} hung up while {user} was logging in. It said: {said}", **facts, said=said)
        if said
        else message("{name} hung up while {user} was logging in: {cause}.", **facts, cause=clean_text(cause))
    )
    remedy = message(
        "Check the account of {user} on {name} (expired, locked, refused by PAM) and sshd's log there, then retry.",
        **facts,
    )
    return _error("permission_denied", what, remedy, banner)


def algorithm_unknown(hop: Hop, setting: str, name: str, known: Sequence[str]) -> RemoteError:
    return _error(
        "ssh_algorithm_unknown",
        message("{setting} in the settings names {algorithm}, which the cockpit does not have; {name} was not tried.",
                setting=setting, algorithm=clean_text(name), name=hop.name),
        message("Write one or more of: {known}.", known=", ".join(known)),
        "",
    )  # fmt: skip


def no_common_algorithm(hop: Hop, kind: str, ours: Sequence[str], theirs: Sequence[str]) -> RemoteError:
    """`kind` is the setting that says which of them are offered."""
    facts = {"name": hop.name, "address": hop.address, "port": hop.port}
    what = {
        "kex": message("{name} ({address}:{port}) and the cockpit have no key exchange in common.", **facts),
        "ciphers": message("{name} ({address}:{port}) and the cockpit have no cipher in common.", **facts),
        "macs": message("{name} ({address}:{port}) and the cockpit have no MAC in common.", **facts),
    }.get(kind, message("{name} ({address}:{port}) has no host key of a kind that is asked for.", **facts))
    offered, has = clean_text(", ".join(ours)), clean_text(", ".join(theirs))
    return _error(
        "no_common_algorithm",
        what,
        message(
            "Offered: {ours}. The server has: {theirs}. Allow one of the first on the server, or set `ssh.{kind}`.",
            ours=offered, theirs=has, kind=kind,
        ),
        f"offered: {offered}\nserver: {has}",
    )  # fmt: skip


def forwarding_refused(hop: Hop, via: Hop, cause: str) -> RemoteError:
    return _error(
        "forwarding_refused",
        message(
            "jump host {jump} refuses to connect to {name} ({address}:{port}): {cause}.",
            jump=via.name, name=hop.name, address=hop.address, port=hop.port, cause=clean_text(cause),
        ),
        message(
            "Allow TCP forwarding for {user} on {jump} (AllowTcpForwarding, PermitOpen, DisableForwarding), then retry: it is "
            "logged in anew.",
            user=via.user, jump=via.name,
        ),
        cause,
    )  # fmt: skip


def with_words(error: RemoteError, words: str) -> RemoteError:
    """With what the server said before its evidence, if it said something."""
    said = clean_text(words).strip()[-EVIDENCE_CHARACTERS:]
    evidence = "\n".join(filter(None, (said, error.problem.evidence)))
    return RemoteError(replace(error.problem, evidence=evidence)) if said else error


def _quoted(words: str) -> str:
    """The last lines of it, as one."""
    lines = [" ".join(line.split()) for line in clean_text(words).splitlines()]
    return " / ".join(line for line in lines if line)[-300:]
