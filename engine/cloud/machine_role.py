"""The RAM role of this machine: temporary keys from the cloud's metadata service, the way without a key on a disk.

Off the cloud nobody answers at the service's address, so every step has a short deadline. Its requests never go through a proxy:
the service is this machine's own, and its answer is a secret. It asks with a token (IMDSv2) and, unless that is forbidden, without.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from datetime import UTC, datetime

ADDRESS = "100.100.100.200"
CONNECT_S = 0.5
ANSWER_S = 2.0
TOKEN_LIFE_S = 21_600
_CREDENTIALS = "/latest/meta-data/ram/security-credentials/"
_LONGEST = 65_536


class NoMachineRole(Exception):
    """Why there are no keys of a role, as the end of a sentence; never holds what was answered."""


@dataclass(frozen=True, slots=True)
class RoleKeys:
    role: str
    access_key_id: str
    access_key_secret: str
    security_token: str
    expires_at: float  # epoch seconds

    def __repr__(self) -> str:
        return f"RoleKeys({self.role!r}, expires_at={self.expires_at})"


def fetch(role: str = "", *, address: str = ADDRESS, without_token: bool = True) -> RoleKeys:
    """The keys of now. `role` empty: the machine's only one. Raises NoMachineRole within a few seconds, off the cloud within
    `CONNECT_S`."""
    token = _token(address)
    if token is None and not without_token:
        raise NoMachineRole("the metadata service gives no token, and asking without one is forbidden")
    if not role:
        role = _read(address, _CREDENTIALS, token).strip()
        if not role or "\n" in role:
            raise NoMachineRole("this machine has no RAM role")
    answer = _read(address, _CREDENTIALS + role, token)
    try:
        found = json.loads(answer)
        if found["Code"] != "Success":
            raise NoMachineRole(f"the metadata service says {str(found['Code'])[:60]!r} for role {role}")
        expires = datetime.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        return RoleKeys(role, found["AccessKeyId"], found["AccessKeySecret"], found["SecurityToken"], expires)
    except (ValueError, KeyError, TypeError):
        raise NoMachineRole(f"the metadata service's answer for role {role} cannot be read") from None


def _token(address: str) -> str | None:
    """None where the service knows no tokens. Raises NoMachineRole when there is no service."""
    status, body = _ask(
        address, "PUT", "/latest/api/token", {"X-aliyun-ecs-metadata-token-ttl-seconds": str(TOKEN_LIFE_S)}
    )
    return body.strip() if status == 200 else None


def _read(address: str, path: str, token: str | None) -> str:
    headers = {"X-aliyun-ecs-metadata-token": token} if token else {}
    status, body = _ask(address, "GET", path, headers)
    if status == 404:
        raise NoMachineRole("this machine has no such RAM role")
    if status != 200:
        raise NoMachineRole(f"the metadata service answers {status}")
    return body


def _ask(address: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=CONNECT_S)
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_S)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_LONGEST).decode("utf-8", "replace")
    except TimeoutError as error:
        raise NoMachineRole("nobody answers at the metadata service; this is no machine of the cloud") from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise NoMachineRole(f"the metadata service cannot be asked ({why})") from error
    finally:
        connection.close()
