"""Which process has no access key, or one that is refused, and since when it runs: whoever set a key later set it elsewhere."""

from __future__ import annotations

from engine.domain.message import Message, message
from engine.this_process import as_fields


def without_access_key() -> Message:
    """Who has none, and how it gets one."""
    return message(
        "Process {pid} on {machine}, running since {since}, has none. Give the machine a RAM role, log in with the "
        "vendor's tools, set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or name a "
        "credentials_file in the settings, then `cockpit engine restart`; `cockpit doctor` shows what is used.",
        **as_fields(),
    )


def with_refused_access_key() -> Message:
    """Whose it is, and how it gets another."""
    return message(
        "It is the access key of process {pid} on {machine}, running since {since}. Correct it where it is set (a "
        "temporary one may have expired), then `cockpit engine restart`.",
        **as_fields(),
    )
