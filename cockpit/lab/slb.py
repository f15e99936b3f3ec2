"""The lab's Classic Load Balancer API: what the unmodified vendor SDK needs to read and change weights, on loopback."""

from __future__ import annotations

from cockpit.lab.slb_state import DEFAULT_GROUP, LabBalancer, Listener, Server, SlbState, WeightChange

__all__ = ["DEFAULT_GROUP", "LabBalancer", "Listener", "Server", "SlbState", "WeightChange"]
