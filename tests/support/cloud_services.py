"""The metadata service of a machine and the token service (STS), on loopback, with the real ones' words on the wire."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from tests.support.certificate import LoopbackCertificate

ROLE = "release-role"


def in_an_hour() -> str:
    return datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Metadata:
    """Asked for a token first (IMDSv2), unless `tokens` is False. `asked` are the requests, in order."""

    role: str = ROLE
    tokens: bool = True
    needs_token: bool = False
    answer: str = ""  # instead of keys
    silent: bool = False
    expires: str = field(default_factory=in_an_hour)
    asked: list[str] = field(default_factory=list)
    address: str = ""
    keys: int = 0

    def handle(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        self.asked.append(f"{method} {path}")
        if self.silent:
            time.sleep(3)
        if path == "/latest/api/token":
            given = method == "PUT" and headers.get("x-aliyun-ecs-metadata-token-ttl-seconds", "").isdigit()
            return (200, "a-token") if self.tokens and given else (404, "")
        if self.needs_token and headers.get("x-aliyun-ecs-metadata-token") != "a-token":
            return 403, ""
        base = "/latest/meta-data/ram/security-credentials/"
        if path == base:
            return (200, self.role) if self.role else (404, "")
        if path != base + self.role:
            return 404, ""
        self.keys += 1
        return 200, self.answer or json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": f"STS.machine{self.keys}",
                "AccessKeySecret": "machine-secret",
                "SecurityToken": "machine-token",
                "Expiration": self.expires,
                "LastUpdated": "2026-11-01T00:00:00Z",
            }
        )


@dataclass
class Sts:
    """Checks the signature of AssumeRole with the secrets of `keys` (access key id → (secret, token))."""

    keys: dict[str, tuple[str, str]]
    oidc_token: str = "the-pods-token"
    asked: list[dict[str, str]] = field(default_factory=list)
    refuse: str = ""
    address: str = ""
    certificate: Path = Path()

    def handle(self, method: str, query: dict[str, str], body: dict[str, str]) -> tuple[int, str]:
        parameters = {**query, **body}
        self.asked.append(parameters)
        problem = self.refuse or self._wrong(method, query, parameters)
        if problem:
            return 403, json.dumps(
                {"RequestId": "R-1", "Code": problem, "Message": f"no: {parameters.get('AccessKeyId', '')}"}
            )
        keys = {"AccessKeyId": f"STS.{len(self.asked)}", "AccessKeySecret": "sts-secret", "SecurityToken": "sts-token"}
        return 200, json.dumps({"RequestId": "R-1", "Credentials": {**keys, "Expiration": in_an_hour()}})

    def _wrong(self, method: str, query: dict[str, str], parameters: dict[str, str]) -> str:
        if parameters.get("Action") == "AssumeRoleWithOIDC":
            return "" if parameters.get("OIDCToken") == self.oidc_token else "AuthenticationFail.OIDCToken.Invalid"
        if parameters.get("Action") != "AssumeRole":
            return "InvalidAction.NotFound"
        secret, token = self.keys.get(parameters.get("AccessKeyId", ""), ("", ""))
        if not secret:
            return "InvalidAccessKeyId.NotFound"
        if token != parameters.get("SecurityToken", ""):
            return "InvalidSecurityToken.Mismatch"
        signed = "&".join(f"{_pct(k)}={_pct(v)}" for k, v in sorted(query.items()) if k != "Signature")
        text = f"{method}&{_pct('/')}&{_pct(signed)}"
        right = base64.b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), hashlib.sha1)).decode()
        return "" if parameters.get("Signature") == right else "SignatureDoesNotMatch"


def _pct(text: str) -> str:
    return quote(text, safe="~")


@contextmanager
def metadata_service(metadata: Metadata) -> Iterator[Metadata]:
    class Handler(_Handler):
        def answer(self, body: bytes) -> tuple[int, str]:
            headers = {name.lower(): value for name, value in self.headers.items()}
            return metadata.handle(self.command, self.path, headers)

    with _serving(Handler) as server:
        metadata.address = f"127.0.0.1:{server.server_port}"
        yield metadata


@contextmanager
def token_service(sts: Sts, folder: Path) -> Iterator[Sts]:
    certificate = LoopbackCertificate(folder)

    class Handler(_Handler):
        def answer(self, body: bytes) -> tuple[int, str]:
            query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            return sts.handle(self.command, query, dict(parse_qsl(body.decode(), keep_blank_values=True)))

    with _serving(Handler, certificate) as server:
        sts.address, sts.certificate = f"127.0.0.1:{server.server_port}", certificate.path
        yield sts


class _Handler(BaseHTTPRequestHandler):
    def answer(self, body: bytes) -> tuple[int, str]:
        raise NotImplementedError

    def _serve(self) -> None:
        status, text = self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def _serving(handler: type[_Handler], certificate: LoopbackCertificate | None = None) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        server.socket = certificate.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
