"""`cockpit offline`: hosts leave their balancers group by group, their service is ended, and weight 0 is wanted from then on."""

from __future__ import annotations

from cockpit.cli.operating import commands_of
from engine.kinds.offline import NAME

app = commands_of(
    NAME,
    "Create or preview taking hosts offline.",
    "Create an order that takes an app's hosts offline, or the hosts named, and print its id.",
    "What it would be; nothing is created. 1 when it would be refused.",
)
