"""An order once more, on the screens and the command line: what the catalogue says now, and the clone that is made of it."""

from __future__ import annotations

import random
from collections import defaultdict

from engine.api import Api
from engine.kinds.clone import CatalogueNow, Clone, clone


def read_clone(api: Api, place: tuple[str, str], order_id: int) -> Clone:
    """Creates nothing. Raises ApiError `no_such_order`."""
    spec, order = api.order_spec(*place, order_id), api.order(*place, order_id)
    hosts_of: dict[str, list[str]] = defaultdict(list)
    for host in api.hosts(*place):
        for app in host.apps:
            hosts_of[app].append(host.name)
    packages = {app.name: app.packages for app in api.apps(*place)}
    was_on = tuple(dict.fromkeys(run.name for run in order.hosts))
    seed = random.SystemRandom().getrandbits(31)
    return clone(spec, order_id, was_on, CatalogueNow(packages, hosts_of), seed=seed)
