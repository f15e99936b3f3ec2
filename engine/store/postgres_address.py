"""A PostgreSQL store's address in any of libpq's forms: URLs with several hosts, `service=`, `passfile=`, key=value pairs.

libpq itself reads it, so that everything it knows works. What it would misread because of a character that a URL needs written
otherwise is refused before, in a sentence that quotes nothing: libpq's own words would show a piece of the password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engine.domain.message import Message, message
from engine.store.failures import StoreError, store_error

_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_SHOWN = ("service", "passfile", "sslmode", "target_session_attrs")
_PORTS = re.compile(r"\d{0,5}(,\d{0,5})*")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """`shown` holds no secret; `conninfo` may."""

    shown: str
    conninfo: str = field(repr=False)
    options: str = ""  # for the server, as they were given
    several_hosts: bool = False
    given: frozenset[str] = frozenset()

    def without_secrets(self, text: str) -> str:
        for name in _SECRETS:
            secret = conninfo_to_dict(self.conninfo).get(name)
            for form in {str(secret), quote(str(secret), safe="")} if secret else ():
                text = text.replace(form, "***")
        return text


def read_address(address: str) -> PostgresAddress:
    """Raises StoreError `store_address_invalid`."""
    text = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", address.strip())
    if text.startswith("postgresql://"):
        _refuse_stray_characters(text.removeprefix("postgresql://"))
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except psycopg.ProgrammingError:
        # Its words quote the text. (Not chained: a log of this error would hold them.)
        raise _invalid(message("The address of the PostgreSQL store can't be read.")) from None
    if not _PORTS.fullmatch(given.get("port", "")):
        raise _invalid(message("The port in the address of the PostgreSQL store is not a number."))
    if re.search(r"://|=", given.get("dbname", "")):
        raise _invalid(message("The database's name in the address of the PostgreSQL store is an address itself."))
    if "passfile" in given:
        given["passfile"] = str(Path(given["passfile"]).expanduser())
        if not Path(given["passfile"]).is_absolute():
            raise _invalid(
                message("The passfile of the PostgreSQL store needs its full path: the engine runs in another folder.")
            )
    options = given.pop("options", "")
    hosts = given.get("host", given.get("hostaddr", ""))
    return PostgresAddress(_shown(given), make_conninfo("", **given), options, "," in hosts, frozenset(given))


def _refuse_stray_characters(rest: str) -> None:
    """One @ at most, between the account and the hosts: any other is a part of a password or a name, and misread."""
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if rest.count("@") > 1 or ("@" in rest and "@" not in authority):
        raise _invalid(message("The address of the PostgreSQL store can't be read: it has one @ too many."))


def _shown(given: dict[str, str]) -> str:
    hosts, ports = given.get("host", "").split(","), given.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    places = ",".join(
        f"{_host(host)}:{port}" if port else _host(host) for host, port in zip(hosts, ports, strict=False)
    )
    account = f"{quote(given['user'], safe='')}@" if "user" in given else ""
    extras = "&".join(f"{name}={quote(given[name], safe='/~')}" for name in _SHOWN if name in given)
    database = quote(given.get("dbname", ""), safe="")
    return f"postgresql://{account}{places}/{database}" + (f"?{extras}" if extras else "")


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")


def _invalid(what: Message) -> StoreError:
    return store_error(
        "store_address_invalid",
        what,
        message(
            "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in names and passwords write @ as %40, / as %2F, ? as %3F and %"
            " as %25. Several hosts (HOST1,HOST2), ?service=NAME and ?passfile=FILE work as well."
        ),
    )
