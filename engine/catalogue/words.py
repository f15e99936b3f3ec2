"""The scalar types of the catalogue's models: names, versions, keys and free text, each with a sentence when it does not fit.

The errors raised here carry one of `SENTENCES`; `engine.catalogue.read` turns them into problems with a file and a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from engine.domain.clean import HIDDEN
from engine.domain.message import Message, message

# One sentence a rule, so that every one of them can be translated.
SENTENCES: dict[str, Message] = {
    "name": message("must be 1 to 60 letters, digits, dots, dashes or underscores and begin with a letter or digit"),
    "app_name": message("must be 1 to 60 letters, digits, dashes or underscores and begin with a letter"),
    "variable": message(
        "must be letters, digits and underscores and not begin with a digit, because scripts see it as a variable"
    ),
    "bucket": message("must be a bucket's name: 3 to 63 lower-case letters, digits and dashes"),
    "object_key": message("must be an object's key: not empty, not beginning with / or \\"),
    "dots": message(
        "must not have . or .. as a part between slashes: each program on the way reads such a key differently"
    ),
    "hidden": message(
        "must not hold characters that can't be seen or that turn text around (zero-width, joiner, bidi, tag)"
    ),
    "script_path": message("must be a path inside the stack's archive: relative, without .. in it"),
    "endpoint": message("must be an address that begins with http:// or https://, or be left out"),
    "address": message("must be a host name or an IP address"),
    "account": message("must be the name of an account"),
    "host_key": message("must be a public host key as ssh-keyscan prints it, such as ssh-ed25519 AAAA…"),
    "checksum": message(
        "must be a checksum: hexadecimal digits for etag and sha256 (64 of them), decimal digits for crc64"
    ),
    "text": message("must not hold control characters"),
    "reason": message("a deprecated tech stack needs a deprecation_reason"),
    "same_variable": message("two of these names are the same variable in capitals"),
    "default_group_port": message("a mount in a VServer group needs a port; one in the default group has none"),
}


def refusal(rule: str) -> PydanticCustomError:
    """`rule` is a key of `SENTENCES`."""
    return PydanticCustomError("catalogue", "{rule}", {"rule": rule})


Check = Callable[[str, ValidationInfo], str]
# What a store took over from an earlier version may be read, though a file may not say it any more.
FROM_A_FILE = "from a file"


def _matching(rule: str, pattern: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: str, info: ValidationInfo) -> str:
        _nothing_hidden(value, info)
        if not compiled.fullmatch(value):
            raise refusal(rule)
        return value

    return check


def _nothing_hidden(value: str, info: ValidationInfo) -> None:
    if info.context == FROM_A_FILE and HIDDEN.search(value):
        raise refusal("hidden")


def _object_key(value: str, info: ValidationInfo) -> str:
    _matches_object_key(value, info)
    if info.context == FROM_A_FILE and {".", ".."} & set(re.split(r"[/\\]", value)):
        raise refusal("dots")
    return value


_matches_object_key = _matching("object_key", r"[^/\\\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,1022}")


def _plain(value: str, info: ValidationInfo) -> str:
    _nothing_hidden(value, info)
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t" for c in value):
        raise refusal("text")
    return value


def _etag(value: str) -> str:
    tag = value.strip('"').upper()
    if not re.fullmatch(r"([0-9A-F]+(-[0-9]+)?)?", tag):
        raise refusal("checksum")
    return tag


def _sha256(value: str) -> str:
    if not re.fullmatch(r"([0-9a-fA-F]{64})?", value):
        raise refusal("checksum")
    return value.lower()


Name = Annotated[str, AfterValidator(_matching("name", r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}"))]
AppName = Annotated[str, AfterValidator(_matching("app_name", r"[A-Za-z][A-Za-z0-9_-]{0,59}"))]
Variable = Annotated[str, AfterValidator(_matching("variable", r"[A-Za-z_][A-Za-z0-9_]{0,99}"))]
Text = Annotated[str, AfterValidator(_plain)]
Bucket = Annotated[str, AfterValidator(_matching("bucket", r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"))]
ObjectKey = Annotated[str, AfterValidator(_object_key)]
ScriptPath = Annotated[
    str, AfterValidator(_matching("script_path", r"(?!.*(^|/)\.\.(/|$))[A-Za-z0-9_.][A-Za-z0-9_./+-]{0,199}"))
]
Endpoint = Annotated[str, AfterValidator(_matching("endpoint", r"(https?://[^\s/][^\s]*)?"))]
Address = Annotated[str, AfterValidator(_matching("address", r"[A-Za-z0-9:\[][A-Za-z0-9.:%_\[\]-]{0,252}"))]
Account = Annotated[str, AfterValidator(_matching("account", r"[^\s\-:'\"\x00-\x1f][^\s:'\"\x00-\x1f]{0,99}"))]
HostKey = Annotated[
    str, AfterValidator(_matching("host_key", r"([a-z][a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}( \S.*)?)?"))
]
Etag = Annotated[str, AfterValidator(_etag)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Crc64 = Annotated[str, AfterValidator(_matching("checksum", r"[0-9]{0,20}"))]
Port = Annotated[int, Field(ge=1, le=65535)]
