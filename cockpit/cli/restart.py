"""`cockpit restart`: hosts are taken out of their balancers group by group, restarted, checked and put back."""

from __future__ import annotations

from cockpit.cli.operating import commands_of
from engine.kinds.restart import NAME

app = commands_of(
    NAME,
    "Create or preview a restart.",
    "Create an order that restarts an app's hosts, or the hosts named, and print its id.",
    "What the restart would be; nothing is created. 1 when it would be refused.",
)
