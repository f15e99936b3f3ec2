"""Who may ask the lab's OSS endpoint what: V1 and V4 signatures, in headers and in presigned URLs, checked as documented.

Pure functions of a request and a clock; it knows nothing of objects.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

CLOCK_LIMIT_S = 15 * 60
LONGEST_URL_S = 604_800
V4 = "OSS4-HMAC-SHA256"

# The query parameters that V1 signs (of those that this endpoint may ever see).
_V1_SUBRESOURCES = {
    "acl",
    "uploadId",
    "uploads",
    "partNumber",
    "delete",
    "location",
    "objectMeta",
    "bucketInfo",
    "continuation-token",
    "security-token",
    "response-content-type",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-cache-control",
    "response-expires",
    "x-oss-process",
    "x-oss-traffic-limit",
}


class OssRefusal(Exception):
    """An OSS error answer: HTTP status, code, message and the extra elements of its XML."""

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.details = status, code, message, details


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key the endpoint accepts. With a `security_token` it is a temporary one and the token must come with it."""

    access_key_id: str
    secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The signed parts of a request: everything decoded; header names in lower case."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


def check(asked: Asked, keys: Mapping[str, AccessKey], now: float, region: str = "") -> None:
    """Raise OssRefusal unless the request is signed by one of `keys`. `now`: epoch seconds. `region`: the only one that V4
    signatures may name, empty = any."""
    authorization = asked.headers.get("authorization", "")
    if authorization.startswith(V4):
        _check_v4_header(asked, authorization, keys, now, region)
    elif authorization.startswith("OSS "):
        _check_v1_header(asked, authorization, keys, now)
    elif "x-oss-signature-version" in asked.query:
        _check_v4_url(asked, keys, now, region)
    elif "OSSAccessKeyId" in asked.query:
        _check_v1_url(asked, keys, now)
    else:
        raise OssRefusal(403, "AccessDenied", "You have no right to access this object because of bucket acl.")


def _key(keys: Mapping[str, AccessKey], access_key_id: str, token: str) -> AccessKey:
    key = keys.get(access_key_id)
    if key is None:
        raise OssRefusal(
            403,
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist in our records.",
            OSSAccessKeyId=access_key_id,
        )
    if key.security_token != token:
        raise OssRefusal(403, "InvalidSecurityToken", "The security token you provided is invalid.")
    return key


def _same(given: str, expected: str, to_sign: str) -> None:
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise OssRefusal(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            SignatureProvided=given,
            StringToSign=to_sign,
        )


def _fresh(at: float, now: float) -> None:
    if abs(now - at) > CLOCK_LIMIT_S:
        raise OssRefusal(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            ServerTime=_iso(now),
        )


def _expired(expires: float, now: float) -> OssRefusal:
    return OssRefusal(403, "AccessDenied", "Request has expired.", Expires=_iso(expires), ServerTime=_iso(now))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


# ---- V1


def _check_v1_header(asked: Asked, authorization: str, keys: Mapping[str, AccessKey], now: float) -> None:
    access_key_id, _, signature = authorization.removeprefix("OSS ").partition(":")
    key = _key(keys, access_key_id, asked.headers.get("x-oss-security-token", ""))
    date = asked.headers.get("x-oss-date", "") or asked.headers.get("date", "")
    if not date:
        raise OssRefusal(403, "AccessDenied", "OSS authentication requires a valid Date.")
    to_sign = _v1_string(asked, date)
    _same(signature, _v1_sign(key.secret, to_sign), to_sign)
    try:
        at = parsedate_to_datetime(date).timestamp()
    except ValueError:
        raise OssRefusal(403, "AccessDenied", "OSS authentication requires a valid Date.") from None
    _fresh(at, now)


def _check_v1_url(asked: Asked, keys: Mapping[str, AccessKey], now: float) -> None:
    expires = asked.query.get("Expires", "")
    if not expires.isdigit():
        raise OssRefusal(403, "AccessDenied", "Invalid date (should be seconds since epoch).")
    if float(expires) < now:
        raise _expired(float(expires), now)
    key = _key(keys, asked.query["OSSAccessKeyId"], asked.query.get("security-token", ""))
    to_sign = _v1_string(asked, expires)
    _same(asked.query.get("Signature", ""), _v1_sign(key.secret, to_sign), to_sign)


def _v1_string(asked: Asked, date: str) -> str:
    headers = asked.headers
    signed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-oss-"))
    parameters = sorted((name, value) for name, value in asked.query.items() if name in _V1_SUBRESOURCES)
    resource = f"/{asked.bucket}/{asked.key}" if asked.bucket else "/"
    if parameters:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in parameters)
    first = [asked.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    return "\n".join([*first, signed + resource])


def _v1_sign(secret: str, to_sign: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), to_sign.encode(), hashlib.sha1).digest()).decode()


# ---- V4


def _check_v4_header(asked: Asked, authorization: str, keys: Mapping[str, AccessKey], now: float, region: str) -> None:
    fields = dict(part.strip().partition("=")[::2] for part in authorization.removeprefix(V4).split(",") if "=" in part)
    headers = asked.headers
    additional = [name for name in fields.get("AdditionalHeaders", "").split(";") if name]
    at = _v4_time(headers.get("x-oss-date", ""))
    key, scope = _v4_scope(fields.get("Credential", ""), keys, headers.get("x-oss-security-token", ""), region)
    payload = headers.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
    to_sign = _v4_string(asked, headers.get("x-oss-date", ""), scope, additional, payload)
    _same(fields.get("Signature", ""), _v4_sign(key.secret, scope, to_sign), to_sign)
    _fresh(at, now)


def _check_v4_url(asked: Asked, keys: Mapping[str, AccessKey], now: float, region: str) -> None:
    query = asked.query
    date, lifetime = query.get("x-oss-date", ""), query.get("x-oss-expires", "")
    if query["x-oss-signature-version"] != V4 or not lifetime.isdigit() or not 1 <= int(lifetime) <= LONGEST_URL_S:
        raise OssRefusal(403, "AccessDenied", "Invalid signing version or expires in the query.")
    at = _v4_time(date)
    if at > now + CLOCK_LIMIT_S:
        raise OssRefusal(403, "AccessDenied", "Request is not valid yet.", ServerTime=_iso(now))
    if at + int(lifetime) < now:
        raise _expired(at + int(lifetime), now)
    key, scope = _v4_scope(query.get("x-oss-credential", ""), keys, query.get("x-oss-security-token", ""), region)
    additional = [name for name in query.get("x-oss-additional-headers", "").split(";") if name]
    to_sign = _v4_string(asked, date, scope, additional, "UNSIGNED-PAYLOAD")
    _same(query.get("x-oss-signature", ""), _v4_sign(key.secret, scope, to_sign), to_sign)


def _v4_time(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise OssRefusal(403, "AccessDenied", "OSS authentication requires a valid x-oss-date.") from None


def _v4_scope(credential: str, keys: Mapping[str, AccessKey], token: str, region: str) -> tuple[AccessKey, str]:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[3:] != ["oss", "aliyun_v4_request"]:
        raise OssRefusal(400, "InvalidArgument", "The signing credential is malformed.")
    if not parts[2] or (region and parts[2] != region):
        raise OssRefusal(400, "InvalidArgument", f"Invalid signing region: {parts[2] or 'none'}.")
    return _key(keys, parts[0], token), "/".join(parts[1:])


def _v4_string(asked: Asked, date: str, scope: str, additional: list[str], payload: str) -> str:
    query = {quote(k, safe="-_.~"): quote(v, safe="-_.~") for k, v in asked.query.items() if k != "x-oss-signature"}
    names = [
        name
        for name in sorted(asked.headers)
        if name.startswith("x-oss-") or name in ("content-type", "content-md5") or name in additional
    ]
    resource = f"/{asked.bucket}/{asked.key}" if asked.bucket else "/"
    canonical = "\n".join(
        [
            asked.method,
            quote(resource, safe="/-_.~"),
            "&".join(f"{name}={query[name]}" if query[name] else name for name in sorted(query)),
            "".join(f"{name}:{asked.headers[name].strip()}\n" for name in names),
            ";".join(sorted(additional)),
            payload,
        ]
    )
    return "\n".join([V4, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])


def _v4_sign(secret: str, scope: str, to_sign: str) -> str:
    key = f"aliyun_v4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
