"""`cockpit online`: offline hosts get the current version, are checked, and get the weight they had before they went offline."""

from __future__ import annotations

from cockpit.cli.operating import commands_of
from engine.kinds.online import NAME

app = commands_of(
    NAME,
    "Create or preview bringing hosts online.",
    "Create an order that brings an app's offline hosts online, or the hosts named, and print its id.",
    "What it would be; nothing is created. 1 when it would be refused.",
)
