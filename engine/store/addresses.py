"""What kind of store an address names, by its beginning alone: nothing is parsed, connected to or imported for it.

An address may hold a password, also one that was put where it does not belong. No sentence here quotes one.
"""

from __future__ import annotations

import re
from enum import Enum, auto

SQLITE = "sqlite:///"
_POSTGRES = re.compile(r"postgres(ql)?(\+psycopg)?://")
# libpq's other form: `service=prod`, `host=db1,db2 dbname=cockpit`
_KEYWORDS = re.compile(
    r"\s*(host|hostaddr|port|dbname|user|password|passfile|service|sslmode|application_name|target_session_attrs)\s*="
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,30})://")
_HALF_A_URL = re.compile(r"(postgres|postgresql|sqlite|mysql|oracle|mssql)(\+\w+)?:", re.IGNORECASE)


class Kind(Enum):
    SQLITE = auto()
    POSTGRESQL = auto()
    OTHER = auto()  # a URL of another kind, or half of one
    PATH = auto()  # of an SQLite file


def kind_of(address: str) -> Kind:
    if address.startswith(SQLITE):
        return Kind.SQLITE
    if _POSTGRES.match(address) or _KEYWORDS.match(address):
        return Kind.POSTGRESQL
    return Kind.OTHER if _SCHEME.match(address) or _HALF_A_URL.match(address) else Kind.PATH


def scheme_of(address: str) -> str:
    """`mysql://` of a MySQL URL, empty when there is none: the one part of an address that may be shown unread."""
    found = _SCHEME.match(address)
    return f"{found[1]}://" if found else ""
