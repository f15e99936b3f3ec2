"""Showing what fills the disk of the login user's home: the biggest folders, and what is free. Deletes nothing.

Folders below 1 MiB are left out. Ends well when there is room again. Needs no file of its own, not even one of `sort`: the disk is
full.
"""

from __future__ import annotations

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import StepContext
from engine.steps.host_check import SPARE_KIB

DEADLINE_S = 120.0
FOLDERS = 8


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    return RemoteStep(step.key, _BODY.replace("@most@", str(FOLDERS)).replace("@spare@", str(SPARE_KIB)), DEADLINE_S)


_BODY = r"""
echo "biggest folders below $HOME:"
du -xk "$HOME" 2>/dev/null | awk -v most=@most@ '
    BEGIN { home = ENVIRON["HOME"] }
    {
        size = $1
        sub(/^[0-9]+[ \t]+/, "")
        if (index($0, home) == 1) $0 = "~" substr($0, length(home) + 1)
        for (at = most; at >= 1 && size > sizes[at]; at--) {
            sizes[at + 1] = sizes[at]
            names[at + 1] = names[at]
        }
        sizes[at + 1] = size
        names[at + 1] = $0
    }
    END {
        for (at = most; at >= 1; at--)
            if (sizes[at] >= 1024 || names[at] == "~") printf "%8d MiB  %s\n", sizes[at] / 1024, names[at]
    }'
df -Pk "$HOME" | awk 'END { printf "free: %d MiB of %d MiB on %s\n", $(NF - 2) / 1024, $(NF - 4) / 1024, $NF }'
ck_free=$(df -Pk "$HOME" | awk 'END { print $(NF - 2) + 0 }')
ck_probe="$HOME/.cockpit-probe.$$"
ck_full=
{ printf 'probe\n' | cat >"$ck_probe"; } 2>/dev/null || ck_full=yes
rm -f "$ck_probe"
[ -z "$ck_full" ] && [ "${ck_free:-0}" -ge @spare@ ]
"""
