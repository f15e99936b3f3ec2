"""The catalogue file's shape, as pydantic models: what may be written, and what is meant when it is left out.

Only shapes: whether a name that is referred to exists is asked in `engine.catalogue.references`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.catalogue.words import (
    Account,
    Address,
    AppName,
    Bucket,
    Crc64,
    Endpoint,
    Etag,
    HostKey,
    Name,
    ObjectKey,
    Port,
    ScriptPath,
    Sha256,
    Text,
    Variable,
    refusal,
)

ScriptName = Literal[
    "install", "configure", "deploy", "start", "stop", "restart", "offline", "initialise", "check_health"
]
Role = Literal["viewer", "operator", "approver", "admin"]


class _Part(BaseModel):
    """Strict: nothing is converted silently, and an unknown key is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Object(_Part):
    """An object in OSS; `size` in bytes, -1 when unknown."""

    region: Name
    bucket: Bucket
    key: ObjectKey
    size: Annotated[int, Field(ge=-1)] = -1
    etag: Etag = ""
    crc64: Crc64 = ""
    sha256: Sha256 = ""


class Group(_Part):
    name: Name
    description: Text = ""


class Level(_Part):
    name: Name
    rank: int = 0
    description: Text = ""


class Parameter(_Part):
    name: Variable
    default: Text = ""
    required: bool = False
    description: Text = ""


class TechStack(_Part):
    """`supported_os` maps an operating system to its versions; no versions: all of them; no operating system: any."""

    name: Name
    version: Name
    status: Literal["draft", "published", "deprecated"] = "published"
    deprecation_reason: Text = ""
    supported_os: dict[Text, list[Text]] = Field(default_factory=dict)
    supported_regions: list[Name] = Field(default_factory=list)
    web_server: Text = ""
    install_list: list[Text] = Field(default_factory=list)
    parameters: list[Parameter] = Field(default_factory=list)
    scripts: dict[ScriptName, ScriptPath] = Field(default_factory=dict)
    archive: Object
    sdk: Object | None = None

    @model_validator(mode="after")
    def _deprecated_for_a_reason(self) -> Self:
        if self.status == "deprecated" and not self.deprecation_reason.strip():
            raise refusal("reason")
        return self


class TechStackRef(_Part):
    name: Name
    version: Name


class Package(Object):
    version: Name


class App(_Part):
    """`owner` left out: whoever applies the file, when the app is new; later the owner it has."""

    name: AppName
    alias: Text = ""
    description: Text = ""
    group: Name | None = None
    level: Name | None = None
    tech_stack: TechStackRef
    owner: Text | None = None
    metadata: dict[Text, Text] = Field(default_factory=dict)
    packages: list[Package] = Field(default_factory=list)


class Region(_Part):
    """An endpoint left out: Alibaba Cloud's public one for the region."""

    name: Name
    oss_endpoint: Endpoint = ""
    slb_endpoint: Endpoint = ""


class JumpHost(_Part):
    """`host_key` left out: the operator's known_hosts decides."""

    name: Name
    address: Address
    ssh_port: Port = 22
    ssh_user: Account
    host_key: HostKey = ""


class Host(_Part):
    """`jump_chain` is outermost first; `server_id` is the balancer's name for it (needed for mounts)."""

    name: Name
    address: Address
    ssh_port: Port = 22
    ssh_user: Account = "admin"
    host_key: HostKey = ""
    jump_chain: list[Name] = Field(default_factory=list)
    server_id: Text = ""
    os: Text = ""
    os_version: Text = ""
    variables: dict[Variable, Text] = Field(default_factory=dict)

    @field_validator("variables")
    @classmethod
    def _one_of_each_in_capitals(cls, value: dict[str, str]) -> dict[str, str]:
        if len({name.upper() for name in value}) != len(value):
            raise refusal("same_variable")
        return value


class Cell(_Part):
    name: Name
    hosts: list[Host] = Field(default_factory=list)


class DataCentre(_Part):
    name: Name
    region: Name
    cells: list[Cell] = Field(default_factory=list)


class Balancer(_Part):
    id: Name
    region: Name
    name: Text = ""


class Mount(_Part):
    """`vserver_group` empty: the balancer's default group, where a server has no port."""

    balancer: Name
    vserver_group: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,59})?$")] = ""
    host: Name
    port: Annotated[int, Field(ge=0, le=65535)] = 0

    @model_validator(mode="after")
    def _port_only_in_a_vserver_group(self) -> Self:
        if bool(self.vserver_group) != bool(self.port):
            raise refusal("default_group_port")
        return self


class ServiceInstance(_Part):
    """`version`: what ran here when it was taken over; read only when the instance is new."""

    app: AppName
    version: Name | None = None
    hosts: list[Name] = Field(default_factory=list)
    mounts: list[Mount] = Field(default_factory=list)


class Workspace(_Part):
    """`floor_percent`: of the hosts in service, rounded up, that stay in service; left out: 50 in production, else 0."""

    name: Name
    production: bool = False
    blue_green: bool = False
    floor_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    requires_staragent: bool = False
    regions: list[Region] = Field(default_factory=list)
    jump_hosts: list[JumpHost] = Field(default_factory=list)
    data_centres: list[DataCentre] = Field(default_factory=list)
    balancers: list[Balancer] = Field(default_factory=list)
    service_instances: list[ServiceInstance] = Field(default_factory=list)

    @property
    def floor(self) -> int:
        if self.floor_percent is not None:
            return self.floor_percent
        return 50 if self.production else 0


class Tenant(_Part):
    name: Name
    groups: list[Group] = Field(default_factory=list)
    levels: list[Level] = Field(default_factory=list)
    tech_stacks: list[TechStack] = Field(default_factory=list)
    apps: list[App] = Field(default_factory=list)
    workspaces: list[Workspace] = Field(default_factory=list)


class OperatorRole(_Part):
    """`workspace` left out: the role holds in the whole tenant."""

    tenant: Name
    workspace: Name | None = None
    role: Role


class Operator(_Part):
    name: Name
    roles: list[OperatorRole] = Field(default_factory=list)


class Document(_Part):
    """One file."""

    version: Literal[1]
    tenants: list[Tenant] = Field(default_factory=list)
    operators: list[Operator] = Field(default_factory=list)
