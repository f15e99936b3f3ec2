"""What a plan and a host run need to know of an app's place in a workspace: hosts, mounts, weights, stack, package.

These are snapshots, read from the store and the balancer at one moment; nothing here changes by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.health import answers
from engine.domain.states import Health, HostState, StackStatus


@dataclass(frozen=True, slots=True)
class JumpHost:
    """One hop of a jump chain. `host_key` is an OpenSSH public key line (`ssh-ed25519 AAAA…`); empty: known_hosts decides."""

    name: str
    address: str
    ssh_port: int
    ssh_user: str
    host_key: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A server. `variables` are the values its scripts see (ports, paths); `jump_chain` is outermost first, empty = direct."""

    name: str
    address: str
    ssh_port: int
    ssh_user: str
    data_centre: str
    cell: str
    server_id: str
    host_key: str = ""
    jump_chain: tuple[JumpHost, ...] = ()
    os: str = ""
    os_version: str = ""
    state: HostState = HostState.READY
    version: str = ""  # the version it runs, empty when none
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Region:
    """A cloud region as a workspace sees it; an empty endpoint means Alibaba Cloud's public one for that region."""

    name: str
    oss_endpoint: str = ""
    slb_endpoint: str = ""


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group of a load balancer. `vserver_group_id` empty means the balancer's default group (it has no port)."""

    region: str
    balancer_id: str
    vserver_group_id: str = ""

    def __str__(self) -> str:
        return f"{self.balancer_id}/{self.vserver_group_id or 'default'}"


@dataclass(frozen=True, slots=True)
class Mount:
    """A host and port in a server group. `port` is 0 in a default group."""

    host: str
    server_id: str
    server_group: ServerGroup
    port: int = 0


@dataclass(frozen=True, slots=True)
class MountWeight:
    """A mount with a weight of 0–100."""

    mount: Mount
    weight: int


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object in OSS. `etag` is the MD5 in upper-case hex when the object was put in one piece; `size` in bytes, -1 unknown."""

    region: str
    bucket: str
    key: str
    size: int = -1
    etag: str = ""
    crc64: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class StackParameter:
    name: str
    default: str = ""
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class TechStack:
    """A published tech stack. `scripts` maps install, configure, deploy, start, stop, restart, offline, initialise and
    check_health to a path inside the unpacked archive. `supported_os` maps an operating system to its versions (empty = any)."""

    name: str
    version: str
    archive: ObjectRef
    scripts: Mapping[str, str]
    sdk: ObjectRef | None = None
    supported_os: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    supported_regions: tuple[str, ...] = ()
    web_server: str = ""
    install_list: tuple[str, ...] = ()
    parameters: tuple[StackParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    app: str
    version: str
    object: ObjectRef


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """A service instance with everything an order of it needs, as the catalogue has it (no weights: those are the balancer's)."""

    service_instance_id: int
    workspace_id: int
    app_id: int
    app: str
    production: bool
    floor_percent: int
    requires_staragent: bool
    current_version: str
    succeeded_versions: tuple[str, ...]
    regions: tuple[Region, ...]
    hosts: tuple[Host, ...]
    host_regions: dict[str, str]
    mounts: tuple[Mount, ...]
    stack: TechStack
    stack_status: StackStatus


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything an order is planned from, as it was at one moment.

    `packages` are those of the versions asked for, and of those a way back may go to, that are there, by (app, version). `weights`
    are those of every mount of the apps; `given` the last weight above 0 that an order has recorded of a mount; `left` what a mount
    is due that an ended order has left at 0 although nobody wanted it there. `open_orders` are others that act on one of the apps
    or hosts. `objects` tells size and checksum of what is in OSS: it enters the plan's hash. `unread` are hosts of whose weight
    nothing is known yet. `health` is what is known of the hosts behind the mounts; a mount that is not in it was never asked for.
    """

    apps: tuple[InstanceFacts, ...]
    packages: Mapping[tuple[str, str], Package] = field(default_factory=dict)
    weights: tuple[MountWeight, ...] = ()
    given: Mapping[Mount, int] = field(default_factory=dict)
    left: Mapping[Mount, int] = field(default_factory=dict)
    open_orders: tuple[int, ...] = ()
    objects: str = ""
    unread: tuple[str, ...] = ()
    health: Mapping[Mount, Health] = field(default_factory=dict)

    @property
    def down(self) -> frozenset[Mount]:
        """Mounts that are out of service whatever their weight."""
        return frozenset(mount for mount, health in self.health.items() if not answers(health))

    def before_orders(self, line: MountWeight) -> MountWeight:
        """The weight a mount had before the order that left it at 0; else the one it has."""
        due = self.left.get(line.mount, 0)
        return MountWeight(line.mount, due) if line.weight == 0 < due else line

    @property
    def floor_percent(self) -> int:
        """Of the hosts in service at the start, those that must stay: the apps of an order are of one workspace."""
        return max((app.floor_percent for app in self.apps), default=0)

    def app(self, name: str) -> InstanceFacts:
        return next(app for app in self.apps if app.app == name)
