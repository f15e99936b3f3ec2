"""What the vendor's files say about credentials: an INI file of the SDKs and the command line's config.json, read into recipes.

Reads, decides nothing and asks nobody: what a recipe is good for is `credentials`', asking the cloud is `role_providers`'. No
message quotes a line of a file: it may hold a secret.
"""

from __future__ import annotations

import configparser
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHAIN = 5  # profiles that take their keys from another profile
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class StaticKey:
    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MachineRole:
    """The RAM role of the machine; `name` empty: whichever it has."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """A role that is taken on with the keys of `source`."""

    source: StaticKey | MachineRole | AssumedRole | OidcRole
    role_arn: str
    session_name: str = ""
    policy: str = ""
    external_id: str = ""
    duration_s: int = 3600
    region: str = ""
    vpc: bool | None = None


@dataclass(frozen=True, slots=True)
class OidcRole:
    """A role that is taken on with a token of an identity provider (a pod's service account)."""

    role_arn: str
    provider_arn: str
    token_file: str
    session_name: str = ""
    policy: str = ""
    duration_s: int = 3600
    region: str = ""
    vpc: bool | None = None


@dataclass(frozen=True, slots=True)
class CommandLineProfile:
    """A profile of config.json of a kind that the vendor's library alone knows how to use and to renew."""

    file: str
    profile: str
    mode: str


Recipe = StaticKey | MachineRole | AssumedRole | OidcRole | CommandLineProfile


class Useless(Exception):
    """Why a file gives no recipe, as the end of a sentence."""


def stamp(path: Path) -> tuple[int, int, int]:
    """What tells that the file has changed. Raises Useless."""
    try:
        facts = path.stat()
    except OSError as error:
        raise Useless(error.strerror or "cannot be read") from error
    if not stat.S_ISREG(facts.st_mode):
        raise Useless("it is a folder" if stat.S_ISDIR(facts.st_mode) else "it is not a file")
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def read_ini(path: Path, profile: str) -> Recipe:
    """Raises Useless."""
    # No interpolation: a secret may hold a %. The parser's own messages quote the line, so they are not repeated.
    parser = configparser.ConfigParser(interpolation=None, default_section="", inline_comment_prefixes=None)
    try:
        parser.read_string(_text(path))
    except configparser.Error as error:
        raise Useless("not an INI file") from error
    if not parser.has_section(profile):
        raise Useless(f"no section [{profile}]")
    section = {key: value.strip() for key, value in parser[profile].items()}
    kind = section.get("type", "access_key")
    match kind:
        case "access_key" | "sts":
            return _static(section, "access_key_id", "access_key_secret", "security_token", f"[{profile}]")
        case "ecs_ram_role":
            return MachineRole(section.get("role_name", ""))
        case "ram_role_arn":
            key = _static(section, "access_key_id", "access_key_secret", "security_token", f"[{profile}]")
            return AssumedRole(
                key,
                _needed(section, "role_arn", f"[{profile}]"),
                section.get("role_session_name", ""),
                section.get("policy", ""),
            )
        case "oidc_role_arn":
            return OidcRole(
                _needed(section, "role_arn", f"[{profile}]"),
                _needed(section, "oidc_provider_arn", f"[{profile}]"),
                _needed(section, "oidc_token_file_path", f"[{profile}]"),
                section.get("role_session_name", ""),
                section.get("policy", ""),
            )
        case _:
            raise Useless(f"type {kind[:40]} is not supported")


def read_command_line(path: Path, profile: str) -> tuple[str, Recipe]:
    """(the profile's name, its recipe); an empty `profile` is the file's current one. Raises Useless."""
    try:
        config = json.loads(_text(path))
    except ValueError as error:
        raise Useless("not JSON") from error
    profiles = config.get("profiles") if isinstance(config, dict) else None
    if not isinstance(profiles, list):
        raise Useless("no profiles in it")
    named = {str(each.get("name")): each for each in profiles if isinstance(each, dict)}
    wanted = profile or str(config.get("current") or "")
    return wanted, _of_profile(path, named, wanted, _CHAIN)


def _of_profile(path: Path, named: Mapping[str, Mapping[str, Any]], wanted: str, left: int) -> Recipe:
    if wanted not in named:
        raise Useless(f"no profile {wanted!r}")
    found, where = named[wanted], f"profile {wanted!r}"
    mode = str(found.get("mode") or "")
    match mode:
        case "AK":
            return _static(found, "access_key_id", "access_key_secret", "", where)
        case "StsToken":
            return _static(found, "access_key_id", "access_key_secret", "sts_token", where)
        case "EcsRamRole":
            return MachineRole(str(found.get("ram_role_name") or ""))
        case "RamRoleArn":
            return _assumed(_static(found, "access_key_id", "access_key_secret", "", where), found, where)
        case "ChainableRamRoleArn":
            if left == 0:
                raise Useless(f"{where}: too many profiles, one taking its keys from another")
            source = _of_profile(path, named, str(found.get("source_profile") or ""), left - 1)
            if isinstance(source, CommandLineProfile):
                return CommandLineProfile(str(path), wanted, mode)
            return _assumed(source, found, where)
        case "OIDC":
            return OidcRole(
                _needed(found, "ram_role_arn", where),
                _needed(found, "oidc_provider_arn", where),
                _needed(found, "oidc_token_file", where),
                str(found.get("role_session_name") or found.get("ram_session_name") or ""),
                str(found.get("policy") or ""),
                _duration(found),
                str(found.get("sts_region") or ""),
                _vpc(found),
            )
        case "CloudSSO" | "OAuth" | "External":
            return CommandLineProfile(str(path), wanted, mode)
        case _:
            raise Useless(f"{where}: mode {mode[:40]!r} is not supported")


def _assumed(
    source: StaticKey | MachineRole | AssumedRole | OidcRole, found: Mapping[str, Any], where: str
) -> AssumedRole:
    return AssumedRole(
        source,
        _needed(found, "ram_role_arn", where),
        str(found.get("ram_session_name") or ""),
        str(found.get("policy") or ""),
        str(found.get("external_id") or ""),
        _duration(found),
        str(found.get("sts_region") or ""),
        _vpc(found),
    )


def _duration(found: Mapping[str, Any]) -> int:
    value = found.get("expired_seconds")
    return max(900, value) if isinstance(value, int) and value else 3600


def _vpc(found: Mapping[str, Any]) -> bool | None:
    return bool(found["enable_vpc"]) if found.get("enable_vpc") is not None else None


def _static(found: Mapping[str, Any], key_id: str, secret: str, token: str, where: str) -> StaticKey:
    return StaticKey(
        _needed(found, key_id, where),
        _needed(found, secret, where),
        str(found.get(token) or "").strip() if token else "",
    )


def _needed(found: Mapping[str, Any], name: str, where: str) -> str:
    value = str(found.get(name) or "").strip()
    if not value:
        raise Useless(f"{name} is missing in {where}")
    return value


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST:
            raise Useless("too long")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Useless(error.strerror or "cannot be read") from error
    except UnicodeDecodeError as error:
        raise Useless("not UTF-8") from error
