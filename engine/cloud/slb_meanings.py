"""What the codes of the load balancer's API mean that are a definite no, and where Alibaba explains any of them. Data.

Source: the error lists of the SLB API (version 2014-05-15) and of its error centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from engine.domain.message import Message, message

ERROR_CENTRE = "https://api.aliyun.com/troubleshoot"

_LOCKED = message("it is locked, not paid for or protected against changes")
_OURS = message("the call itself is wrong")
_MEANINGS: Mapping[str, Message] = {
    "ActionNotAllowed": _LOCKED,
    "Operation.NotAllowed": _LOCKED,
    "OrderFailed": _LOCKED,
    "TooManyBackendServers": message("it holds as many servers as it may"),
    "OverQuota": message("a quota of the account is used up"),
    "InvalidWeight.Malformed": _OURS,
    "BackendServersMalformed": _OURS,
    "InvalidParameter": _OURS,
    "MissingParameter": _OURS,
}


def meaning_of(code: str) -> Message | None:
    return _LOCKED if code.startswith("OperationDenied") else _MEANINGS.get(code)


def error_centre(code: str, request_id: str) -> str:
    """The address of the page about it; empty without a code."""
    if not code or code.startswith("SDK."):
        return ""
    asked = {"q": code, "product": "Slb", "requestId": request_id}
    return f"{ERROR_CENTRE}?{urlencode({name: value for name, value in asked.items() if value})}"
