"""The sentences for a host key or host certificate that is not trusted: one per reason, each with its next act.

None of them passes by itself, so none of their codes is among those that are tried again. Makes errors, raises none.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncssh

from engine.domain.clean import clean_text
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.ports import RemoteError
from engine.remote.hops import Hop
from engine.remote.host_key_trust import Distrust, Verdict
from engine.remote.known_keys import TrustedKeys

_ASK_THE_AUTHORITY = message("Get a new host certificate for {name} and have its SSH server present it, then retry.")
_LEAVE_IT = message(
    "Do not log in: whoever has the key can pretend to be {name}. Give the host a new key, record that one, then retry."
)

# reason: (code, what, remedy)
_SENTENCES: dict[Distrust, tuple[str, Message, Message]] = {
    Distrust.UNKNOWN: (
        "host_key_unknown",
        message("{name} ({address}:{port}) showed a host key nobody has vouched for: {key}."),
        message(
            "Compare the fingerprint with the one on the machine itself, then record the key in the catalogue or in known_hosts."
        ),
    ),
    Distrust.CHANGED: (
        "host_key_changed",
        message(
            "{name} ({address}:{port}) showed another host key than the recorded one: {key}; recorded: {recorded}."
        ),
        message(
            "Find out why before anything else: a reinstalled machine, or someone in the middle. Record the new "
            "key only after comparing it on the machine itself."
        ),
    ),
    Distrust.REVOKED: (
        "host_key_revoked",
        message("{name} ({address}:{port}) showed a host key that is revoked: {key}."),
        _LEAVE_IT,
    ),
    Distrust.AUTHORITY_REVOKED: (
        "host_authority_revoked",
        message(
            "{name} ({address}:{port}) showed a host certificate of an authority that is revoked: {authority}, for key {key}."
        ),
        _LEAVE_IT,
    ),
    Distrust.AUTHORITY_UNKNOWN: (
        "host_authority_unknown",
        message(
            "{name} ({address}:{port}) showed a host certificate of an unknown authority: {authority}, for key {key}; "
            "known for it: {recorded}."
        ),
        message(
            "Ask whoever signs host keys whether that authority is theirs; only then record it as @cert-authority in known_hosts."
        ),
    ),
    Distrust.EXPIRED: (
        "host_certificate_expired",
        message("The host certificate of {name} ({address}:{port}) expired at {at}; its key is {key}."),
        _ASK_THE_AUTHORITY,
    ),
    Distrust.EARLY: (
        "host_certificate_early",
        message("The host certificate of {name} ({address}:{port}) is valid only from {at}; its key is {key}."),
        message("Check this machine's clock; if it is right, wait, or get a new host certificate for {name}."),
    ),
    Distrust.OTHER_NAME: (
        "host_certificate_other_name",
        message("The host certificate of {name} ({address}:{port}) is issued for {principals}, not for {wanted}."),
        message(
            "Reach the host by a name in its certificate (its address in the catalogue, or HostKeyAlias), or get "
            "one that names {wanted}."
        ),
    ),
    Distrust.NOT_FOR_HOSTS: (
        "host_certificate_no_host",
        message("{name} ({address}:{port}) showed a certificate that is not for hosts; its key is {key}."),
        _ASK_THE_AUTHORITY,
    ),
    Distrust.UNREADABLE: (
        "host_key_undecodable",
        message("{name} ({address}:{port}) showed a host key that cannot be read: {cause}."),
        message("Compare with `ssh-keyscan -p {port} {address}`; give the host a key or a certificate of a common "
                "type."),
    ),
}  # fmt: skip


def distrusted(hop: Hop, verdict: Verdict, known: TrustedKeys) -> RemoteError:
    """Files that could not be asked are the evidence."""
    assert verdict.reason is not None, "a trusted key is no problem"
    code, what, remedy = _SENTENCES[verdict.reason]
    facts = {
        "name": hop.name,
        "address": hop.address,
        "port": hop.port,
        "key": named(verdict.key),
        "authority": named(verdict.authority),
        "recorded": ", ".join(named(each) for each in known.every),
        "principals": ", ".join(clean_text(each) for each in verdict.principals[:8]),
        "wanted": known.name,
        "at": verdict.at,
        "cause": clean_text(verdict.detail),
    }
    evidence = "\n".join(clean_text(str(file)) for file in known.skipped)
    return RemoteError(Problem(code, _filled(what, facts), _filled(remedy, facts), evidence[:2000]))


def named(key: asyncssh.SSHKey | None) -> str:
    """Its algorithm and fingerprint."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}" if key is not None else "?"


def _filled(template: Message, facts: Mapping[str, object]) -> Message:
    return message(template.text, **{name: value for name, value in facts.items() if "{" + name + "}" in template.text})
