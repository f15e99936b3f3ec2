"""Waiting on the host until the app's connections have ended: the balancer has no drain timer of its own.

Counts every established connection at the app's ports, those of health checks included; never fails a release.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.domain.fleet import Host
from engine.steps.shell import count_connections


def drain_script(host: Host, ports: Sequence[int], drain_s: float) -> str:
    """A piece of sh that waits at most `drain_s` and always exits 0.

    Prints the number of connections once a second; its last line is `drained` or `drain time over, N connections left`.
    Raises ValueError for a port outside 1–65535, none at all or a drain time that is no number.
    """
    if not ports or not all(1 <= number <= 65535 for number in ports):
        raise ValueError(f"no ports to drain on {host.name}: {list(ports)}")
    rounds = max(0, math.ceil(drain_s))
    return f"""{count_connections(local=ports)}
ck_end=$(($(date +%s) + {rounds}))
ck_round=0
while :; do
    ck_left=$(ck_count) || ck_left=unknown
    case $ck_left in
        '' | *[!0-9]*) ck_left=unknown ;;
    esac
    [ "$ck_left" = 0 ] && echo drained && exit 0
    if [ "$ck_round" -ge {rounds} ] || [ "$(date +%s)" -ge "$ck_end" ]; then
        echo "drain time over, $ck_left connections left"
        exit 0
    fi
    echo "$ck_left connections left"
    ck_round=$((ck_round + 1))
    sleep 1
done
"""
