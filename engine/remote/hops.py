"""A hop is one SSH server on the way to a host: each jump host of its chain, then the host itself."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.fleet import Host


@dataclass(frozen=True, slots=True)
class Hop:
    name: str
    address: str
    port: int
    user: str
    host_key: str  # OpenSSH public key line, or empty
    is_jump: bool


Route = tuple[Hop, ...]


def route_to(host: Host) -> Route:
    """The hops to `host`, outermost first, itself last. Equal routes share their connections."""
    jumps = tuple(Hop(j.name, j.address, j.ssh_port, j.ssh_user, j.host_key, True) for j in host.jump_chain)
    return (*jumps, Hop(host.name, host.address, host.ssh_port, host.ssh_user, host.host_key, False))
