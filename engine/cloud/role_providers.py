"""Recipes turned into keys by the vendor's library (alibabacloud-credentials), which is imported when the first one needs it.

One call, one answer: keeping and renewing what was got is `credentials`'. The library's own texts may hold what the service said:
whoever shows one redacts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.cloud import machine_role
from engine.cloud.calls import silence
from engine.cloud.credential_files import AssumedRole, CommandLineProfile, MachineRole, OidcRole, Recipe, StaticKey

CONNECT_MS = 3_000
ANSWER_MS = 6_000


@dataclass(frozen=True, slots=True)
class Places:
    """Where the cloud's own services are. `metadata` empty: the machine is not asked. `sts` empty: the public endpoint; `sts_ca` is
    who signs for another one."""

    metadata: str = machine_role.ADDRESS
    sts: str = ""
    sts_ca: Path | None = None
    metadata_without_token: bool = True


@dataclass(frozen=True, slots=True)
class Keys:
    access_key_id: str
    access_key_secret: str
    security_token: str
    expires_at: float | None  # epoch seconds
    who: str  # a role's name, where it is known only now

    def __repr__(self) -> str:
        return f"Keys(expires_at={self.expires_at}, who={self.who!r})"


class NoKeys(Exception):
    """Why a recipe gave nothing, as the end of a sentence. May hold what the service said: redact it."""


def get(recipe: Recipe, places: Places) -> Keys:
    """Blocks for some seconds at most. Raises NoKeys."""
    if isinstance(recipe, StaticKey):
        return Keys(recipe.access_key_id, recipe.access_key_secret, recipe.security_token, None, "")
    if isinstance(recipe, MachineRole):
        return _of_machine(recipe, places)
    library = _library()
    try:
        provider = _provider(library, recipe, places)
        found = provider.get_credentials()
    except NoKeys:
        raise
    except Exception as error:  # noqa: BLE001 - the library's edge: its own exceptions, requests', OSError for the token's file
        # from None: its text may hold the signed request, and a traceback would print it.
        raise NoKeys(_said(error)) from None
    if not found.get_access_key_id() or not found.get_access_key_secret():
        raise NoKeys("it gave no key")
    expires = getattr(found, "get_expiration", lambda: None)()
    return Keys(
        found.get_access_key_id(),
        found.get_access_key_secret(),
        found.get_security_token() or "",
        float(expires) if expires else None,
        "",
    )


def _of_machine(recipe: MachineRole, places: Places) -> Keys:
    if not places.metadata:
        raise NoKeys("the metadata service is switched off")
    try:
        found = machine_role.fetch(recipe.name, address=places.metadata, without_token=places.metadata_without_token)
    except machine_role.NoMachineRole as error:
        raise NoKeys(str(error)) from error
    return Keys(found.access_key_id, found.access_key_secret, found.security_token, found.expires_at, found.role)


def _provider(library: Any, recipe: Recipe, places: Places) -> Any:
    from alibabacloud_credentials.http import HttpOptions

    options = HttpOptions(connect_timeout=CONNECT_MS, read_timeout=ANSWER_MS)
    match recipe:
        case CommandLineProfile():
            return library.CLIProfileCredentialsProvider(profile_name=recipe.profile, profile_file=recipe.file)
        case AssumedRole():
            made = library.RamRoleArnCredentialsProvider(
                credentials_provider=_Given(get(recipe.source, places)),
                external_id=recipe.external_id,
                **_of_role(recipe, places, options),
            )
        case OidcRole():
            made = library.OIDCRoleArnCredentialsProvider(
                oidc_provider_arn=recipe.provider_arn,
                oidc_token_file_path=recipe.token_file,
                **_of_role(recipe, places, options),
            )
        case _:
            raise NoKeys(f"{type(recipe).__name__} is not for the library")
    if places.sts_ca is not None:
        made._runtime_options["ca"] = str(places.sts_ca)
    return made


def _of_role(recipe: AssumedRole | OidcRole, places: Places, options: Any) -> dict[str, Any]:
    return {
        "role_arn": recipe.role_arn,
        "role_session_name": recipe.session_name or "cockpit",
        "duration_seconds": recipe.duration_s,
        "policy": recipe.policy,
        "sts_region_id": recipe.region,
        "sts_endpoint": places.sts,
        "enable_vpc": recipe.vpc,
        "http_options": options,
    }


class _Given:
    """Keys we have, as the library takes them from one of its providers."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def get_credentials(self) -> _Given:
        return self

    def get_access_key_id(self) -> str:
        return self._keys.access_key_id

    def get_access_key_secret(self) -> str:
        return self._keys.access_key_secret

    def get_security_token(self) -> str:
        return self._keys.security_token

    def get_provider_name(self) -> str:
        return "given"


def _said(error: Exception) -> str:
    said = getattr(error, "message", None) or str(error)
    return f"{said}" if said else type(error).__name__


@cache
def _library() -> Any:
    from alibabacloud_credentials import provider

    for name in ("credentials", "alibabacloud-tea", "apscheduler"):
        silence(name)
    return provider
