"""What SLB said, turned into one of four answers: busy, throttled, unknown, refused. Which one decides what the weight ledger
does next, so a code is never put into *refused* or *busy* unless it is certain that nothing was changed.

Never holds a secret: the SDK's own text has the whole signed URL in it.
"""

from __future__ import annotations

from engine.cloud.credentials import (
    Credentials,
    CredentialsMissing,
    redact,
)
from engine.cloud.slb_meanings import error_centre, meaning_of
from engine.cloud.whose_key import with_refused_access_key, without_access_key
from engine.domain.fleet import ServerGroup
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.ports import BalancerBusy, BalancerError, BalancerRefused, BalancerThrottled, BalancerUnknown

BUSY = {
    "BackendServer.configuring",
    "VServerGroupProcessing",
    "ServiceIsConfiguring",
    "ServiceIsStopping",
    "OperationBusy",
    "SystemBusy",
    "ProcessingSameRequest",
    "OperationFailed.ListenerStatusNotSupport",
    "OperationConflict",
    "LastTokenProcessing",
}
_CREDENTIALS = {
    "InvalidAccessKeyId.NotFound",
    "InvalidAccessKeyId.Inactive",
    "Forbidden.AccessKeyDisabled",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "InvalidAccessKeySecret",
    "InvalidTimeStamp.Expired",
    "InvalidTimeStamp.Format",
    "SignatureNonceUsed",
}
_NO_ANSWER = {
    "refused": "connection refused",
    "resolve": "name not found",
    "Name or service not known": "name not found",
    "timed out": "no answer in time",
    "reset": "connection reset",
    "closed": "connection closed",
    "aborted": "connection closed",
    "unreachable": "network unreachable",
}
_DENIED = {"Forbidden", "Forbidden.RAM", "Forbidden.SubUser", "NoPermission"}
_NOT_FOUND = {
    "InvalidLoadBalancerId.NotFound",
    "InvalidServerId.NotFound",
    "ListenerNotFound",
    "InvalidVServerGroupId.NotFound",
    "VServerGroupNotFound",
    "ObtainIpFail",
}


def to_balancer_error(error: Exception, group: ServerGroup, credentials: Credentials, *, change: bool) -> BalancerError:
    """Any exception of the SDK's `do_action_with_exception`."""
    from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException

    if isinstance(error, ServerException):
        code = str(error.get_error_code() or "")
        said = redact(str(error.get_error_msg() or ""), credentials)
        status = int(error.get_http_status() or 0)
        said = _with_source(said, status, credentials)
        return _answered(group, status, code, said, str(error.get_request_id() or ""), change)
    if isinstance(error, IndexError):
        # The SDK splits the message of a 400 SignatureDoesNotMatch at ':' and fails when there is none.
        return _answered(group, 400, "SignatureDoesNotMatch", _with_source("", 400, credentials), "", change)
    if isinstance(error, ClientException) and error.get_error_code() == "SDK.InvalidRegionId":
        return _refused(group, 0, str(error.get_error_code()), redact(str(error), credentials), "")
    said = redact(str(error) or type(error).__name__, credentials)
    return _unknown(group, change, said, brief=_no_answer(said))


def _no_answer(said: str) -> str:
    """Why nobody answered, in a few words: the libraries' own text is a paragraph."""
    return next((words for part, words in _NO_ANSWER.items() if part in said), "no answer")


def _with_source(said: str, status: int, credentials: Credentials) -> str:
    """A definite no is about the access key more often than not: it is said where that came from."""
    if not 400 <= status < 500 or not credentials.source:
        return said
    return f"{said} (access key from: {credentials.source})".strip()


def _answered(group: ServerGroup, status: int, code: str, said: str, request_id: str, change: bool) -> BalancerError:
    evidence = _evidence(status, code, said, request_id)
    brief = f"{status} {code}".strip()
    if code in BUSY:
        problem = Problem(
            "balancer_busy",
            message(
                "The load balancer {group} is still busy with an earlier change ({code}).", group=str(group), code=code
            ),
            message("Nothing was changed; the same call can be repeated in a few seconds."),
            evidence,
        )
        return BalancerBusy(problem, api_code=code, request_id=request_id, brief=brief)
    if code.startswith("Throttling"):
        problem = Problem(
            "balancer_throttled",
            message(
                "The load balancer's API takes no more calls for {group} just now ({code}).",
                group=str(group),
                code=code,
            ),
            message("Nothing was changed; slow down and repeat the call."),
            evidence,
        )
        return BalancerThrottled(problem, api_code=code, request_id=request_id, brief=brief)
    # Some of the 5xx family's codes come with other statuses; and without a code of its own it is not the service that answered.
    if (
        not 400 <= status < 500
        or not code
        or code.startswith(("SDK.", "InternalError", "InternalInvokeError", "ServiceUnavailable"))
    ):
        return _unknown(group, change, evidence, code, request_id, brief)
    return _refused(group, status, code, said, request_id)


def _refused(group: ServerGroup, status: int, code: str, said: str, request_id: str) -> BalancerRefused:
    problem_code, what, remedy = _refusal(group, status, code, said, request_id)
    problem = Problem(problem_code, what, remedy, _evidence(status, code, said, request_id))
    return BalancerRefused(problem, api_code=code, request_id=request_id)


def _refusal(group: ServerGroup, status: int, code: str, said: str, request_id: str) -> tuple[str, Message, Message]:
    if code in _CREDENTIALS or code.startswith("InvalidSecurityToken"):
        skewed = code.startswith("InvalidTimeStamp")
        return (
            "balancer_credentials",
            message(
                "The load balancer's API does not accept our request for {group} ({code}).", group=str(group), code=code
            ),
            message("Set the clock of this machine (NTP), then try again.") if skewed else with_refused_access_key(),
        )
    if code in _DENIED or code.startswith("AUTH.") or (status == 403 and code.startswith("Forbidden")):
        return (
            "balancer_denied",
            message(
                "Our access key is not allowed to use the load balancer {group} ({code}).", group=str(group), code=code
            ),
            message(
                "Grant it slb:Describe* and slb:{action} on acs:slb:{region}:*:loadbalancer/{balancer}.",
                action="SetVServerGroupAttribute" if group.vserver_group_id else "SetBackendServers",
                region=group.region,
                balancer=group.balancer_id,
            ),
        )
    if code in _NOT_FOUND or (code == "InvalidParameter" and "not exist" in said):
        return (
            "balancer_not_found",
            message(
                "The load balancer does not know {group}, or a server in it ({code}).", group=str(group), code=code
            ),
            message("Correct the mount in the catalogue, or add the server to the group, then initialise again."),
        )
    meaning = meaning_of(code)
    refused = message("The load balancer refused the call for {group} ({code}).", group=str(group), code=code)
    if meaning is not None:
        refused = message("The load balancer refused the call for {group} ({code}): {meaning}.",
                          group=str(group), code=code, meaning=meaning)  # fmt: skip
    return (
        "balancer_refused",
        refused,
        message("Correct what it says; the link explains the code. Then retry: the weights are read back first."),
    )


def _unknown(
    group: ServerGroup, change: bool, evidence: str = "", code: str = "", request_id: str = "", brief: str = ""
) -> BalancerUnknown:
    what = (
        message("It is not known whether the weights of {group} were changed: the call failed.", group=str(group))
        if change
        else message("The weights of {group} could not be read: the call failed.", group=str(group))
    )
    remedy = message("Read the weights back before anything else; check the network if it lasts.")
    problem = Problem("balancer_unknown", what, remedy, evidence)
    return BalancerUnknown(problem, api_code=code, request_id=request_id, brief=brief)


def unreadable(group: ServerGroup, *, change: bool) -> BalancerUnknown:
    """An answer that is not what the documentation promises: cut short, or a page of a proxy."""
    evidence = "the answer is not the JSON of the load balancer's API"
    return _unknown(group, change, evidence, brief="unreadable answer")


def unanswered(group: ServerGroup, deadline_s: float, *, change: bool) -> BalancerUnknown:
    return _unknown(group, change, f"no answer within {deadline_s:g} s", brief="no answer in time")


def no_credentials(group: ServerGroup, missing: CredentialsMissing) -> BalancerRefused:
    return BalancerRefused(
        Problem(
            "balancer_credentials",
            message(
                "There is no access key for the load balancer {group}. Looked in: {looked}.",
                group=str(group),
                looked=str(missing),
            ),
            without_access_key(),
        )
    )


def other_balancer(group: ServerGroup, owner: str, request_id: str) -> BalancerRefused:
    return BalancerRefused(
        Problem(
            "balancer_not_found",
            message(
                "The VServer group of {group} belongs to another load balancer, {owner}.", group=str(group), owner=owner
            ),
            message("Correct the mount in the catalogue, then initialise again."),
        ),
        request_id=request_id,
    )


def too_many(group: ServerGroup, count: int, limit: int) -> BalancerRefused:
    return BalancerRefused(
        Problem(
            "balancer_refused",
            message(
                "{count} servers of {group} can't be set in one call: 1 to {limit} can.",
                count=count,
                group=str(group),
                limit=limit,
            ),
            message("This is a fault in the cockpit; nothing was changed. Report it with the order's number."),
        )
    )


def impossible(group: ServerGroup, server_id: str, port: int, weight: int) -> BalancerRefused:
    return BalancerRefused(
        Problem(
            "balancer_refused",
            message(
                "Weight {weight} for server {server_id}, port {port}, is not possible in {group}.",
                weight=weight,
                server_id=server_id,
                port=port,
                group=str(group),
            ),
            message(
                "Nothing was changed; correct the mount: a VServer group needs a port, a default group has none, no server twice."
            ),
        )
    )


def _evidence(status: int, code: str, said: str, request_id: str) -> str:
    """What it answered, and below that where its code is explained."""
    parts = (f"HTTP {status}" if status else "", code, f"request id {request_id}" if request_id else "", said)
    return "\n".join(filter(None, (", ".join(part for part in parts if part), error_centre(code, request_id))))
