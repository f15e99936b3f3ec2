"""A balancer whose API is away: since when an order waits for it, until when at most, and what it said last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.fleet import ServerGroup
from engine.domain.message import Message, message
from engine.domain.time_of_day import at


@dataclass(frozen=True, slots=True)
class Outage:
    """`since` and `until` are epoch seconds; `why` is short (`503 ServiceUnavailable`, `connection refused`)."""

    group: ServerGroup
    since: float
    until: float
    why: str

    def to_json(self) -> dict[str, Any]:
        return {
            "region": self.group.region,
            "balancer": self.group.balancer_id,
            "vserver_group": self.group.vserver_group_id,
            "since": self.since,
            "until": self.until,
            "why": self.why,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Outage:
        group = ServerGroup(data["region"], data["balancer"], data["vserver_group"])
        return Outage(group, data["since"], data["until"], data["why"])

    @property
    def sentence(self) -> Message:
        return message(
            "waiting for the balancer {balancer} since {since} ({why}), at most until {until}",
            balancer=self.group.balancer_id,
            since=at(self.since),
            why=self.why,
            until=at(self.until),
        )


def answered_again(balancer: str, seconds: float) -> Message:
    return message("the balancer {balancer} answers again after {seconds} s", balancer=balancer, seconds=round(seconds))
