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
    jumps = tuple(Hop(j.name, _bare(j.address), j.ssh_port, j.ssh_user, j.host_key, True) for j in host.jump_chain)
    return (*jumps, Hop(host.name, _bare(host.address), host.ssh_port, host.ssh_user, host.host_key, False))


def _bare(address: str) -> str:
    """An IPv6 address may be written in brackets, as in a URL; nothing can be connected to under that name."""
    return address[1:-1] if address.startswith("[") and address.endswith("]") else address
