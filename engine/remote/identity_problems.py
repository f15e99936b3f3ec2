"""The sentences for a login that was refused: whose keys were no good, and the agent where it is the cause.

The evidence lists what was offered and what was not used. Makes errors, raises none.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.clean import clean_text
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.ports import RemoteError
from engine.remote.agent import AgentTrouble, Ailment
from engine.remote.hops import Hop
from engine.remote.identities import Expiry
from engine.remote.skipped import SkippedFile
from engine.this_process import as_fields

_MOST_FILES = 4  # in a sentence; the evidence has them all

_START_ANOTHER = message(
    "Process {pid} on {machine}, running since {since}, uses it. Start one (or forward yours with `ssh -A`), add "
    "the key with ssh-add, and open the cockpit there or run `cockpit engine restart`; then retry."
)
# ailment: (code, what, remedy)
_AGENT: dict[Ailment, tuple[str, Message, Message]] = {
    Ailment.DEAD: (
        "agent_dead",
        message("{name} did not let {user} in, and the SSH agent at {socket} is dead: nothing answers there."),
        _START_ANOTHER,
    ),
    Ailment.STRANGE: (
        "agent_dead",
        message("{name} did not let {user} in; the SSH agent at {socket} belongs to another user and was not asked."),
        _START_ANOTHER,
    ),
    Ailment.SILENT: (
        "agent_silent",
        message(
            "{name} did not let {user} in, and the SSH agent at {socket} did not answer within {seconds:.0f} s when it was asked "
            "for its keys."
        ),
        message("Check it with `ssh-add -l`; if it hangs, end it and start another one; then retry."),
    ),
    Ailment.WAITS: (
        "agent_silent",
        message(
            "{name} did not let {user} in: the SSH agent at {socket} did not sign with {key} within {seconds:.0f} s."
        ),
        message("See whether it is asking for a confirmation or a PIN where it runs, or hangs (`ssh-add -l`); then "
                "retry."),
    ),
    Ailment.TOUCH: (
        "agent_needs_touch",
        message(
            "{name} did not let {user} in: {key} in the SSH agent at {socket} needs a touch or a PIN on its "
            "device, and got neither within {seconds:.0f} s."
        ),
        message(
            "Retry and touch the key when it blinks, or offer another key; a whole fleet is better reached with a certificate."
        ),
    ),
    Ailment.REFUSES: (
        "agent_refuses",
        message("{name} did not let {user} in: the SSH agent at {socket} refused to sign with {key}."),
        message("Unlock the agent (ssh-add -X), give the PIN or plug the device in; try `ssh-add -T`, then retry."),
    ),
}  # fmt: skip


def agent_of_no_use(hop: Hop, trouble: AgentTrouble, evidence: str) -> RemoteError:
    code, what, remedy = _AGENT[trouble.ailment]
    return _error(
        code,
        message(
            what.text,
            name=hop.name,
            user=hop.user,
            socket=trouble.socket,
            key=clean_text(trouble.key),
            seconds=trouble.seconds,
        ),
        message(remedy.text, **as_fields()),
        evidence,
    )


def no_key(hop: Hop, skipped: Sequence[SkippedFile], evidence: str) -> RemoteError:
    if skipped:
        files = clean_text("; ".join(str(file) for file in skipped[:_MOST_FILES]))
        what = message(
            "{name} did not let {user} in, and no key could be offered: {files}.",
            name=hop.name,
            user=hop.user,
            files=files,
        )
    else:
        what = message("{name} did not let {user} in, and there was no key to offer.", name=hop.name, user=hop.user)
    return _error(
        "permission_denied",
        what,
        message(
            "Process {pid} on {machine}, running since {since}, has none. Load one into your agent (ssh-add) or "
            "name an identity file in the settings; after a change of agent or settings `cockpit engine restart`, "
            "then retry.",
            **as_fields(),
        ),
        evidence,
    )


def permission_denied(hop: Hop, cause: str, evidence: str) -> RemoteError:
    return _error(
        "permission_denied",
        message("{name} did not let {user} in: {cause}.", name=hop.name, user=hop.user, cause=clean_text(cause)),
        message(
            "The keys are those of process {pid} on {machine}, running since {since}. Check that {user} on {name} "
            "accepts one of them; `cockpit doctor` shows which keys it has.",
            user=hop.user,
            name=hop.name,
            **as_fields(),
        ),
        evidence,
    )


def certificate_expired(hop: Hop, expired: Expiry, evidence: str) -> RemoteError:
    return _error(
        "permission_denied",
        message(
            "{name} did not let {user} in; the user certificate of {identity} expired at {at}.",
            name=hop.name,
            user=hop.user,
            identity=clean_text(expired.identity),
            at=expired.text,
        ),
        message("Get a new certificate from whoever signs them, then retry."),
        evidence,
    )


def certificate_expires(expiry: Expiry) -> Problem:
    return Problem(
        "certificate_expires",
        message("the SSH user certificate of {identity} expires at {at}, perhaps before the order ends.",
                identity=clean_text(expiry.identity), at=expiry.text),
        message("Get a new one in time; the engine reads it by itself."),
    )  # fmt: skip


def _error(code: str, what: Message, remedy: Message, evidence: str) -> RemoteError:
    return RemoteError(Problem(code, what, remedy, clean_text(evidence)[:2000]))
