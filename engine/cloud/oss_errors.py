"""What OSS said, turned into a `PackagesError` that names the object and the next act. Never holds a secret or a signed URL.

The codes are those of the service's documentation; oss2 has classes for few of them, so they are told apart by `.code`.
"""

from __future__ import annotations

from engine.cloud.credentials import (
    Credentials,
    CredentialsMissing,
    redact,
)
from engine.cloud.whose_key import with_refused_access_key, without_access_key
from engine.domain.fleet import ObjectRef
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.ports import PackagesError

_CREDENTIALS = {
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidSecurityToken",
    "SecurityTokenExpired",
    "InvalidAccessKeyId.Inactive",
    "SecurityTokenNotSupported",
}


def worth_repeating(error: Exception) -> bool:
    """True for an answer of the 5xx family and for a broken connection: asking again may help."""
    status = getattr(error, "status", None)
    return _is_socket_error(error) or (isinstance(status, int) and status >= 500)


def to_packages_error(
    error: Exception, object: ObjectRef, endpoint: str, credentials: Credentials | None
) -> PackagesError:
    """Any exception of oss2 or of the requests library underneath."""
    if isinstance(error, CredentialsMissing):
        return no_credentials(object, error)
    if _is_socket_error(error):
        return _unreachable(error, object, endpoint, credentials)
    status, code = getattr(error, "status", 0), str(getattr(error, "code", "") or "")
    problem_code, what, remedy = _meaning(status, code, object, endpoint)
    return PackagesError(Problem(problem_code, what, remedy, _evidence(error, credentials)))


def _is_socket_error(error: Exception) -> bool:
    import requests
    from oss2.exceptions import RequestError

    return isinstance(error, RequestError | requests.exceptions.RequestException)


def _meaning(status: int, code: str, object: ObjectRef, endpoint: str) -> tuple[str, Message, Message]:
    if code == "NoSuchKey":
        return (
            "package_missing",
            message("{key} is not in the OSS bucket {bucket}.", key=object.key, bucket=object.bucket),
            message("Upload it again, then initialise again."),
        )
    if code == "NoSuchBucket":
        return (
            "bucket_missing",
            message("The OSS bucket {bucket} does not exist at {endpoint}.", bucket=object.bucket, endpoint=endpoint),
            message("Correct the bucket or the region of {key} in the catalogue.", key=object.key),
        )
    if code in _CREDENTIALS:
        return (
            "oss_credentials",
            message("OSS does not accept our access key for {key} ({code}).", key=object.key, code=code),
            with_refused_access_key(),
        )
    if code == "RequestTimeTooSkewed":
        return (
            "oss_clock_skew",
            message(
                "OSS refused the request for {key}: this machine's clock is wrong by more than 15 minutes.",
                key=object.key,
            ),
            message("Set the clock of this machine (NTP), then try again."),
        )
    if code == "InvalidObjectState":
        return (
            "oss_denied",
            message(
                "{key} is archived in the OSS bucket {bucket} and cannot be read.", key=object.key, bucket=object.bucket
            ),
            message("Restore the object in OSS first, then initialise again."),
        )
    if 0 < status < 500 and not code:
        return (
            "oss_failed",
            message("{endpoint} answered HTTP {status} without an OSS error code.", endpoint=endpoint, status=status),
            message("Check that the region's OSS endpoint is right and that no proxy answers in its place."),
        )
    if status == 403:
        return (
            "oss_denied",
            message("OSS does not allow reading {key} in the bucket {bucket}.", key=object.key, bucket=object.bucket),
            message(
                "Grant oss:GetObject on it to our access key, and check that the bucket is in region {region}.",
                region=object.region,
            ),
        )
    if status >= 500:
        return (
            "oss_failed",
            message("OSS failed to answer for {key} (HTTP {status} {code}).", key=object.key, status=status, code=code),
            message("Wait a moment, then try again; the request id is in the evidence."),
        )
    return (
        "oss_failed",
        message("OSS could not answer for {key} in the bucket {bucket}.", key=object.key, bucket=object.bucket),
        message("Read the evidence; correct the bucket or the key in the catalogue."),
    )


def _unreachable(error: Exception, object: ObjectRef, endpoint: str, credentials: Credentials | None) -> PackagesError:
    return PackagesError(
        Problem(
            "oss_unreachable",
            message("OSS at {endpoint} can't be reached for {key}.", endpoint=endpoint, key=object.key),
            message("Check the network, the proxy and the region's OSS endpoint, then try again."),
            _evidence(error, credentials),
        )
    )


def unanswered(object: ObjectRef, endpoint: str, deadline_s: float) -> PackagesError:
    return PackagesError(
        Problem(
            "oss_unreachable",
            message(
                "OSS at {endpoint} did not answer for {key} within {deadline_s} s.",
                endpoint=endpoint,
                key=object.key,
                deadline_s=round(deadline_s, 1),
            ),
            message("Check the network, the proxy and the region's OSS endpoint, then try again."),
        )
    )


def no_credentials(object: ObjectRef, missing: CredentialsMissing) -> PackagesError:
    return PackagesError(
        Problem(
            "oss_credentials",
            message(
                "There is no access key to read {key} from OSS. Looked in: {looked}.",
                key=object.key,
                looked=str(missing),
            ),
            without_access_key(),
        )
    )


def no_region(object: ObjectRef) -> PackagesError:
    return PackagesError(
        Problem(
            "oss_failed",
            message("{key} names no region, so no URL can be signed for it.", key=object.key),
            message("Add the package's region in the catalogue."),
        )
    )


def _evidence(error: Exception, credentials: Credentials | None) -> str:
    status = getattr(error, "status", None)
    if not isinstance(status, int) or status < 0:
        text = str(getattr(error, "body", "") or error) or type(error).__name__
        return redact(text, credentials)
    parts = [f"HTTP {status}", str(getattr(error, "code", "") or "")]
    request_id, ec = getattr(error, "request_id", ""), getattr(error, "ec", "")
    parts += [f"request id {request_id}" if request_id else "", f"EC {ec}" if ec else ""]
    said = redact(str(getattr(error, "message", "") or ""), credentials)
    if status in (401, 403) and credentials is not None and credentials.source:
        said = f"{said} (access key from: {credentials.source})".strip()
    return ", ".join(part for part in (*parts, said) if part)


def archive_broken(object: ObjectRef, error: Exception) -> PackagesError:
    return PackagesError(
        Problem(
            "archive_broken",
            message("{key} in bucket {bucket} is not a complete .tar.gz.", key=object.key, bucket=object.bucket),
            message("Rebuild the archive and upload it, then initialise again."),
            str(error)[:200],
        )
    )


def archive_not_read(object: ObjectRef, seconds: float) -> PackagesError:
    return PackagesError(
        Problem(
            "archive_not_read",
            message("The list of contents of {key} could not be read within {seconds} s.",
                    key=object.key, seconds=f"{seconds:g}"),
            message("Each host checks the archive before unpacking it. To have it checked earlier, make the "
                    "archive smaller."),
        )
    )  # fmt: skip
