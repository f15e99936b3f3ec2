"""The lab's OSS: an HTTP endpoint that speaks the real wire protocol, path style, so that the unmodified SDK and a host's curl
work against it. Signatures are checked; objects are files in a folder; faults come on demand.

It is one region's service without access rules: whoever holds a key may do everything. No multipart upload, no versions.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from cockpit.lab.faults import Fault, take
from cockpit.lab.oss_objects import CHUNK, ObjectFolder, StoredObject
from cockpit.lab.oss_signature import AccessKey, Asked, OssRefusal, check

__all__ = ["AccessKey", "OssEndpoint", "OssFaults"]

_READ_FAULTS = ("missing", "unavailable", "denied", "wrong_checksum", "no_answer", "stalled_answer")
_BODY_FAULTS = ("flipped", "truncated", "stalled")


@dataclass(slots=True)
class OssFaults:
    """How many of the next reads of objects (HEAD and GET) go wrong, by the way they do; -1 = all, until set to 0. The first
    that is not 0 is taken, in the order written here; those of the body only by a GET."""

    missing: Fault = 0  # NoSuchKey although it is there
    unavailable: Fault = 0  # 503 ServiceUnavailable
    denied: Fault = 0  # 403 AccessDenied
    wrong_checksum: Fault = 0  # ETag and CRC-64 of something else
    no_answer: Fault = 0  # the connection is closed
    stalled_answer: Fault = 0  # silence until the client gives up
    flipped: Fault = 0  # one bit of the body is wrong
    truncated: Fault = 0  # half of the body, then the connection is closed
    stalled: Fault = 0  # half of the body, then silence until the client gives up
    key: str = ""  # only for this object; "" = for all


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it was answered, for tests and the lab's own screen."""

    method: str
    bucket: str
    key: str
    status: int
    code: str
    at: float


class OssEndpoint:
    """One HTTP port with all buckets of `root`."""

    def __init__(
        self, root: Path, *, keys: tuple[AccessKey, ...] = (AccessKey("lab-key", "lab-secret"),), region: str = ""
    ) -> None:
        """`region`: the only one that V4 signatures may name; empty = any."""
        self.objects = ObjectFolder(root)
        self.keys: dict[str, AccessKey] = {key.access_key_id: key for key in keys}
        self.region = region
        self.clock_offset_s = 0.0  # added to the endpoint's clock
        self.faults = OssFaults()
        self.seen: deque[Seen] = deque(maxlen=10_000)
        self.url = ""
        self._runner: web.ServerRunner | None = None
        self._stopping = asyncio.Event()

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> str:
        """Listen and return the URL (`http://127.0.0.1:4001`); port 0 picks a free one. OSError when it is taken.
        With `tls` it speaks https, as the real service does."""
        self._stopping = asyncio.Event()
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        self._runner = runner
        self.url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def put_local(self, bucket: str, key: str, content: bytes | Path, *, parts: int = 0) -> StoredObject:
        """Put an object without a request; the bucket is created when it is missing. `parts` > 0: as a multipart upload
        would have left it (another kind of ETag)."""
        self.objects.create_bucket(bucket)
        upload = self.objects.upload(bucket)
        if isinstance(content, bytes):
            upload.write(content)
        else:
            with content.open("rb") as source:
                while chunk := source.read(CHUNK):
                    upload.write(chunk)
        return self.objects.keep(bucket, key, upload, parts=parts)

    # ---- one request

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = _asked(request)
        request_id = secrets.token_hex(12).upper()
        code = ""
        try:
            check(asked, self.keys, time.time() + self.clock_offset_s, self.region)
            answer = await self._act(request, asked, request_id)
        except OssRefusal as refusal:
            code = refusal.code
            answer = _refused(asked, request_id, refusal)
        self.seen.append(Seen(asked.method, asked.bucket, asked.key, answer.status, code, time.time()))
        return answer

    async def _act(self, request: web.BaseRequest, asked: Asked, request_id: str) -> web.StreamResponse:
        if not asked.bucket:
            return _xml(request_id, _list_buckets(self.objects.buckets()))
        if asked.bucket not in self.objects.buckets():
            raise OssRefusal(404, "NoSuchBucket", "The specified bucket does not exist.", BucketName=asked.bucket)
        if not asked.key:
            return self._bucket(asked, request_id)
        if asked.method in ("HEAD", "GET"):
            return await self._read(request, asked, request_id)
        if asked.method == "PUT":
            return await self._put(request, asked, request_id)
        if asked.method == "DELETE":
            self.objects.delete(asked.bucket, asked.key)
            return web.Response(status=204, headers=_headers(request_id))
        raise OssRefusal(400, "NotImplemented", "A header you provided implies functionality that is not implemented.")

    # ---- reading

    async def _read(self, request: web.BaseRequest, asked: Asked, request_id: str) -> web.StreamResponse:
        fault = self._fault(asked)
        if fault in ("no_answer", "stalled_answer"):
            return await self._silence(request, fault)
        stored = self.objects.get(asked.bucket, asked.key)
        if fault == "unavailable":
            raise OssRefusal(503, "ServiceUnavailable", "Please reduce your request rate.")
        if fault == "denied":
            raise OssRefusal(403, "AccessDenied", "You have no right to access this object because of bucket acl.")
        if stored is None or fault == "missing":
            raise OssRefusal(404, "NoSuchKey", "The specified key does not exist.", Key=asked.key)
        _check_conditions(asked, stored)
        start, end, status = _range(asked, stored.size)
        headers = _object_headers(request_id, stored, wrong=fault == "wrong_checksum")
        headers["Content-Length"] = str(end - start)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
        answer = web.StreamResponse(status=status, headers=headers)
        await answer.prepare(request)
        if asked.method == "GET":
            with self.objects.path(asked.bucket, asked.key).open("rb") as source:
                source.seek(start)
                await self._send(request, answer, source, end - start, fault)
        await answer.write_eof()
        return answer

    async def _send(
        self, request: web.BaseRequest, answer: web.StreamResponse, source: BinaryIO, size: int, fault: str
    ) -> None:
        left = size // 2 if fault in ("truncated", "stalled") else size
        flip = fault == "flipped"
        while left:
            data = await asyncio.to_thread(source.read, min(CHUNK, left))
            left -= len(data)
            if flip:
                data, flip = bytes([data[0] ^ 1]) + data[1:], False
            await answer.write(data)
        if fault == "stalled":
            await self._stopping.wait()
        if fault in ("truncated", "stalled") and request.transport is not None:
            request.transport.close()

    async def _silence(self, request: web.BaseRequest, fault: str) -> web.StreamResponse:
        if fault == "stalled_answer":
            await self._stopping.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    def _fault(self, asked: Asked) -> str:
        if self.faults.key and self.faults.key != asked.key:
            return ""
        names = _READ_FAULTS + (_BODY_FAULTS if asked.method == "GET" else ())
        return take(self.faults, among=names)

    # ---- writing

    async def _put(self, request: web.BaseRequest, asked: Asked, request_id: str) -> web.StreamResponse:
        if len(asked.key.encode()) > 1023 or asked.key.startswith(("/", "\\")):
            raise OssRefusal(400, "InvalidObjectName", "The specified object is not valid.", ObjectName=asked.key)
        headers = asked.headers
        if headers.get("x-oss-forbid-overwrite") == "true" and self.objects.get(asked.bucket, asked.key):
            raise OssRefusal(
                409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
            )
        upload = self.objects.upload(asked.bucket)
        try:
            async for data in request.content.iter_chunked(CHUNK):
                await asyncio.to_thread(upload.write, data)
            claimed = headers.get("content-md5", "")
            if claimed and claimed != base64.b64encode(upload.md5).decode():
                raise OssRefusal(400, "InvalidDigest", "The Content-MD5 you specified did not match what we received.")
        except BaseException:  # also when the client goes away in the middle
            upload.discard()
            raise
        stored = self.objects.keep(
            asked.bucket,
            asked.key,
            upload,
            content_type=headers.get("content-type", "") or "application/octet-stream",
            metadata={name: value for name, value in headers.items() if name.startswith("x-oss-meta-")},
        )
        facts = {"ETag": f'"{stored.etag}"', "x-oss-hash-crc64ecma": stored.crc64, "Content-MD5": _md5_header(stored)}
        return web.Response(status=200, headers={**_headers(request_id), **facts})

    # ---- buckets

    def _bucket(self, asked: Asked, request_id: str) -> web.StreamResponse:
        if asked.method == "PUT":
            self.objects.create_bucket(asked.bucket)
            return web.Response(status=200, headers=_headers(request_id))
        if asked.method != "GET" or asked.query.get("list-type") != "2":
            raise OssRefusal(400, "NotImplemented", "Only the second version of listing is implemented.")
        limit = asked.query.get("max-keys", "") or "100"
        if not limit.isdigit() or not 1 <= int(limit) <= 1000:
            raise OssRefusal(400, "InvalidArgument", "Invalid max-keys.", ArgumentName="max-keys", ArgumentValue=limit)
        found = {key: self.objects.get(asked.bucket, key) for key in self.objects.keys(asked.bucket)}
        return _xml(request_id, _list_objects(asked, found, int(limit)))


# ---- reading the request


def _asked(request: web.BaseRequest) -> Asked:
    """From the raw target: a key may hold + % // and %2F, which a URL library would tidy up."""
    path, _, query = request.raw_path.partition("?")
    bucket, _, key = path.removeprefix("/").partition("/")
    pairs = parse_qsl(query, keep_blank_values=True)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Asked(request.method, unquote(bucket), unquote(key), dict(pairs), headers)


def _range(asked: Asked, size: int) -> tuple[int, int, int]:
    """(start, end behind, status). As OSS does: a range that is not entirely inside is answered with the whole object, unless
    `x-oss-range-behavior: standard` is sent."""
    whole = (0, size, 200)
    text = asked.headers.get("range", "")
    first, dash, last = text.removeprefix("bytes=").partition("-")
    if not text.startswith("bytes=") or not dash or not (first + last).isdigit():
        return whole
    if first:
        start, end = int(first), int(last) + 1 if last else size
    else:
        start, end = size - int(last), size
    if 0 <= start < end <= size:
        return start, end, 206
    if asked.headers.get("x-oss-range-behavior", "") != "standard":
        return whole
    start, end = max(start, 0), min(end, size)
    if start >= end:
        raise OssRefusal(416, "InvalidRange", "The requested range cannot be satisfied.", RangeHeader=text)
    return start, end, 206


def _check_conditions(asked: Asked, stored: StoredObject) -> None:
    wanted, unwanted = asked.headers.get("if-match"), asked.headers.get("if-none-match")
    if wanted is not None and wanted.strip('"') != stored.etag:
        raise OssRefusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
    if unwanted is not None and unwanted.strip('"') == stored.etag:
        raise OssRefusal(304, "NotModified", "Not Modified.")


# ---- writing answers


def _headers(request_id: str) -> dict[str, str]:
    return {"Server": "AliyunOSS", "x-oss-request-id": request_id}


def _object_headers(request_id: str, stored: StoredObject, *, wrong: bool) -> dict[str, str]:
    etag, crc64 = ("0" * 32, "1") if wrong else (stored.etag, stored.crc64)
    return {
        **_headers(request_id),
        "Content-Type": stored.content_type,
        "ETag": f'"{etag}"',
        "x-oss-hash-crc64ecma": crc64,
        "x-oss-object-type": stored.type,
        "x-oss-storage-class": "Standard",
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        **stored.metadata,
    }


def _md5_header(stored: StoredObject) -> str:
    return base64.b64encode(bytes.fromhex(stored.etag)).decode()


def _refused(asked: Asked, request_id: str, refusal: OssRefusal) -> web.Response:
    body = {
        "Code": refusal.code,
        "Message": refusal.message,
        "RequestId": request_id,
        "HostId": asked.headers.get("host", ""),
        **refusal.details,
        "EC": "0000-00000000",
    }
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in body.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error>{inner}</Error>'
    headers = {**_headers(request_id), "x-oss-ec": body["EC"]}
    if asked.method == "HEAD" or refusal.status == 304:  # no body: what would be in it goes into a header
        headers["x-oss-err"] = base64.b64encode(text.encode()).decode()
        return web.Response(status=refusal.status, headers=headers)
    return web.Response(status=refusal.status, text=text, content_type="application/xml", headers=headers)


def _xml(request_id: str, inner: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>{inner}'
    return web.Response(text=text, content_type="application/xml", headers=_headers(request_id))


def _list_buckets(buckets: tuple[str, ...]) -> str:
    rows = "".join(
        f"<Bucket><Name>{escape(name)}</Name><Location>oss-lab</Location>"
        "<CreationDate>2026-01-01T00:00:00.000Z</CreationDate><StorageClass>Standard</StorageClass></Bucket>"
        for name in buckets
    )
    return (
        "<ListAllMyBucketsResult><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
        f"<Buckets>{rows}</Buckets></ListAllMyBucketsResult>"
    )


def _list_objects(asked: Asked, found: Mapping[str, StoredObject | None], limit: int) -> str:
    """Version 2: keys and common prefixes together, in order, `limit` a page; the token is the last name given out."""
    query = asked.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    encode = quote if query.get("encoding-type") == "url" else escape
    token = query.get("continuation-token", "")
    after = base64.urlsafe_b64decode(token).decode() if token else query.get("start-after", "")
    names: dict[str, StoredObject | None] = {}
    for key, stored in found.items():
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                names.setdefault(key[: cut + len(delimiter)], None)
            else:
                names[key] = stored
    left = [name for name in names if name.encode() > after.encode()]
    page = left[:limit]
    rows = "".join(
        f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>"
        if (stored := names[name]) is None
        else f"<Contents><Key>{encode(name)}</Key><LastModified>{_stamp(stored.modified)}</LastModified>"
        f"<ETag>&quot;{stored.etag}&quot;</ETag><Type>{stored.type}</Type><Size>{stored.size}</Size>"
        "<StorageClass>Standard</StorageClass></Contents>"
        for name in page
    )
    more = len(left) > limit
    following = (
        f"<NextContinuationToken>{base64.urlsafe_b64encode(page[-1].encode()).decode()}</NextContinuationToken>"
        if more
        else ""
    )
    return (
        f"<ListBucketResult><Name>{escape(asked.bucket)}</Name><Prefix>{encode(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
        f"<Delimiter>{encode(delimiter)}</Delimiter><EncodingType>{escape(query.get('encoding-type', ''))}</EncodingType>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(page)}</KeyCount>{following}{rows}</ListBucketResult>"
    )


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
