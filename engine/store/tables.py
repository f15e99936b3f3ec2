"""The tables, as SQLAlchemy Core. The rows are the state: whatever an engine or a screen knows, it read here.

All times are epoch seconds (UTC, float). States are the strings of `engine.domain.states`. Catalogue tables have surrogate ids
and natural unique keys; the tables of a running order refer to hosts by name, which is unique in the order's workspace.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", BigId, primary_key=True, autoincrement=True)


def _ref(target: str, *, nullable: bool = False, name: str | None = None) -> sa.Column[int]:
    return sa.Column(name or f"{target}_id", sa.ForeignKey(f"{target}.id"), nullable=nullable)


def _text(name: str, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, default=default)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False, default=dict)


# ------------------------------------------------------------------------------------------------ catalogue: the tenant's

tenant = sa.Table("tenant", metadata, _id(), _text("name", None), sa.UniqueConstraint("name"))

app_group = sa.Table(
    "app_group", metadata, _id(), _ref("tenant"), _text("name", None), _text("description"),
    sa.UniqueConstraint("tenant_id", "name"),
)  # fmt: skip

level = sa.Table(
    "level", metadata, _id(), _ref("tenant"), _text("name", None), _text("description"),
    sa.Column("rank", sa.Integer, nullable=False, default=0),
    sa.UniqueConstraint("tenant_id", "name"),
)  # fmt: skip

tech_stack = sa.Table(
    "tech_stack", metadata, _id(), _ref("tenant"), _text("name", None), _text("version", None),
    _text("status", "published"), _text("deprecation_reason"),
    _json("supported_os"), _json("supported_regions"), _text("web_server"), _json("install_list"), _json("parameters"),
    _json("scripts"), _json("archive"), sa.Column("sdk", sa.JSON, nullable=True),
    sa.UniqueConstraint("tenant_id", "name", "version"),
)  # fmt: skip

app = sa.Table(
    "app", metadata, _id(), _ref("tenant"), _text("name", None), _text("alias"), _text("description"),
    _ref("app_group", nullable=True), _ref("level", nullable=True), _ref("tech_stack"),
    _text("owner"), _text("creator"), _text("status", "created"), _json("app_metadata"),
    sa.Column("created_at", sa.Float, nullable=False, default=0.0),
    sa.UniqueConstraint("tenant_id", "name"),
)  # fmt: skip

package = sa.Table(
    "package", metadata, _id(), _ref("app"), _text("version", None), _text("region"), _text("bucket", None),
    _text("key", None), sa.Column("size", sa.BigInteger, nullable=False, default=-1), _text("etag"), _text("crc64"),
    _text("sha256"), _text("uploaded_by"), sa.Column("uploaded_at", sa.Float, nullable=False, default=0.0),
    sa.UniqueConstraint("app_id", "version"),
)  # fmt: skip

# --------------------------------------------------------------------------------------------- catalogue: the workspace's

workspace = sa.Table(
    "workspace", metadata, _id(), _ref("tenant"), _text("name", None),
    sa.Column("production", sa.Boolean, nullable=False, default=False),
    sa.Column("blue_green", sa.Boolean, nullable=False, default=False),
    sa.Column("floor_percent", sa.Integer, nullable=False, default=0),
    sa.Column("requires_staragent", sa.Boolean, nullable=False, default=False),
    sa.UniqueConstraint("tenant_id", "name"),
)  # fmt: skip

region = sa.Table(
    "region", metadata, _id(), _ref("workspace"), _text("name", None), _text("oss_endpoint"), _text("slb_endpoint"),
    sa.UniqueConstraint("workspace_id", "name"),
)  # fmt: skip

data_centre = sa.Table(
    "data_centre", metadata, _id(), _ref("workspace"), _ref("region"), _text("name", None),
    sa.UniqueConstraint("workspace_id", "name"),
)  # fmt: skip

cell = sa.Table(
    "cell", metadata, _id(), _ref("workspace"), _ref("data_centre"), _text("name", None),
    sa.UniqueConstraint("workspace_id", "name"),
)  # fmt: skip

jump_host = sa.Table(
    "jump_host", metadata, _id(), _ref("workspace"), _text("name", None), _text("address", None),
    sa.Column("ssh_port", sa.Integer, nullable=False, default=22), _text("ssh_user"), _text("host_key"),
    sa.UniqueConstraint("workspace_id", "name"),
)  # fmt: skip

host = sa.Table(
    "host", metadata, _id(), _ref("workspace"), _ref("cell"), _text("name", None), _text("address", None),
    sa.Column("ssh_port", sa.Integer, nullable=False, default=22), _text("ssh_user", "admin"), _text("host_key"),
    _json("jump_chain"),  # names of jump hosts, outermost first
    _text("server_id"), _text("os"), _text("os_version"), _json("variables"),
    _text("state", "ready"), _text("version"),
    sa.UniqueConstraint("workspace_id", "name"),
)  # fmt: skip

balancer = sa.Table(
    "balancer", metadata, _id(), _ref("workspace"), _ref("region"), _text("balancer_id", None), _text("name"),
    sa.UniqueConstraint("workspace_id", "balancer_id"),
)  # fmt: skip

service_instance = sa.Table(
    "service_instance", metadata, _id(), _ref("workspace"), _ref("app"), _text("current_version"),
    sa.UniqueConstraint("workspace_id", "app_id"),
)  # fmt: skip

service_instance_host = sa.Table(
    "service_instance_host", metadata,
    sa.Column("service_instance_id", sa.ForeignKey("service_instance.id"), primary_key=True),
    sa.Column("host_id", sa.ForeignKey("host.id"), primary_key=True),
)  # fmt: skip

mount = sa.Table(
    "mount", metadata, _id(), _ref("service_instance"), _ref("balancer"), _ref("host"),
    _text("vserver_group_id"), sa.Column("port", sa.Integer, nullable=False, default=0),
    sa.UniqueConstraint("balancer_id", "vserver_group_id", "host_id", "port"),
)  # fmt: skip

succeeded_version = sa.Table(
    "succeeded_version", metadata, _id(), _ref("service_instance"), _text("version", None),
    sa.Column("order_id", BigId, nullable=True), sa.Column("at", sa.Float, nullable=False),
)  # fmt: skip

operator = sa.Table("operator", metadata, _id(), _text("name", None), sa.UniqueConstraint("name"))

operator_role = sa.Table(
    "operator_role", metadata, _id(), _ref("operator"), _ref("tenant"), _ref("workspace", nullable=True),
    _text("role", None),
    sa.UniqueConstraint("operator_id", "tenant_id", "workspace_id"),
)  # fmt: skip

audit = sa.Table(
    "audit", metadata, _id(), _ref("tenant", nullable=True), _ref("workspace", nullable=True),
    sa.Column("at", sa.Float, nullable=False), _text("operator", None), _text("act", None), _text("target", None),
    _text("reason"), sa.Column("before", sa.JSON, nullable=True), sa.Column("after", sa.JSON, nullable=True),
    sa.Column("order_id", BigId, nullable=True),  # whose history it belongs to
    sa.Column("command_id", BigId, nullable=True),  # what the engine answers
    _text("outcome", "done"), sa.Column("problem", sa.JSON, nullable=True),  # done | refused, and why
    sa.Index(None, "order_id"),
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------ orders and journal

order = sa.Table(
    "order", metadata, _id(), _ref("workspace"),
    _text("kind", None), _text("title"), _text("state", None), _text("direction", "forward"),
    _json("spec"), sa.Column("plan", sa.JSON, nullable=True), sa.Column("back_plan", sa.JSON, nullable=True),
    _json("problems"),  # a list of {host, problem}: what initialisation found
    sa.Column("problem", sa.JSON, nullable=True),  # why it halted or failed
    sa.Column("outages", sa.JSON(none_as_null=True), nullable=True),  # a list: the balancers it waits for
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("parallelism", sa.Integer, nullable=False, default=50),
    sa.Column("max_failures", sa.Integer, nullable=True),  # what it was changed to while the order ran
    sa.Column("pauses_before", sa.JSON(none_as_null=True), nullable=True),  # a list: keys of groups
    _text("handed_to"),  # who is responsible for it instead of whoever created it
    sa.Column("epoch", sa.Integer, nullable=False, default=0), _text("engine_id"),
    _text("reason"), _text("created_by"),
    sa.Column("created_at", sa.Float, nullable=False), sa.Column("started_at", sa.Float, nullable=True),
    sa.Column("ended_at", sa.Float, nullable=True), sa.Column("changed_at", sa.Float, nullable=False),
    sa.Index(None, "workspace_id", "state"),
)  # fmt: skip

# The apps of an order, in its order: what each ran when the order was made and is to run, and the apps it waits for.
order_app = sa.Table(
    "order_app", metadata,
    sa.Column("order_id", sa.ForeignKey("order.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True), _ref("service_instance"),
    _text("from_version"), _text("to_version"), _json("needs"),
    sa.Index(None, "service_instance_id"),
)  # fmt: skip

# The hosts an order acts on: another order of one of them waits.
order_host = sa.Table(
    "order_host", metadata,
    sa.Column("order_id", sa.ForeignKey("order.id"), primary_key=True), sa.Column("host", sa.Text, primary_key=True),
    sa.Index(None, "host"),
)  # fmt: skip

order_node = sa.Table(
    "order_node", metadata,
    sa.Column("order_id", sa.ForeignKey("order.id"), primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True), sa.Column("key", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False), _text("kind", None), _text("state", "pending"),
    sa.Column("started_at", sa.Float, nullable=True), sa.Column("ended_at", sa.Float, nullable=True),
    _text("confirmed_by"),
)  # fmt: skip

# One host in one node of the plan. `job` begins the names of its attempts' folders on the host and of their logs.
host_run = sa.Table(
    "host_run", metadata,
    sa.Column("order_id", sa.ForeignKey("order.id"), primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True), sa.Column("node", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, primary_key=True), sa.Column("position", sa.Integer, nullable=False, default=0),
    _text("job"), _text("state", "pending"), sa.Column("attempt", sa.Integer, nullable=False, default=1),
    _text("from_version"), _text("to_version"),
    # it may no longer be what it was before: a way back returns it
    sa.Column("touched", sa.Boolean, nullable=False, default=False),
    sa.Column("problem", sa.JSON, nullable=True),
    sa.Column("started_at", sa.Float, nullable=True), sa.Column("ended_at", sa.Float, nullable=True),
    # the step at which the attempt failed that failed last
    _text("failed_at"),
    # the present attempt does again what an earlier one has done
    sa.Column("from_start", sa.Boolean, nullable=False, default=False),
    sa.Column("skips", sa.JSON(none_as_null=True), nullable=True),  # a list: keys of steps that a person has skipped
    _text("leaving"),  # it leaves the order before its end: skipped or excluded
)  # fmt: skip

step = sa.Table(
    "step", metadata,
    sa.Column("order_id", BigId, primary_key=True), sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("node", sa.Text, primary_key=True), sa.Column("host", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True), sa.Column("position", sa.Integer, primary_key=True),
    _text("key", None), _text("state", "pending"),
    sa.Column("epoch", sa.Integer, nullable=False, default=0),
    sa.Column("started_at", sa.Float, nullable=True), sa.Column("ended_at", sa.Float, nullable=True),
    sa.Column("problem", sa.JSON, nullable=True),
    # the earlier attempt that did it and whose work is kept; 0: it is this attempt's to do
    sa.Column("kept_from", sa.Integer, nullable=False, default=0),
    sa.ForeignKeyConstraint(
        ["order_id", "direction", "node", "host"],
        ["host_run.order_id", "host_run.direction", "host_run.node", "host_run.host"],
    ),
)  # fmt: skip

# The weight ledger's current line for each mount of an order's server groups.
weight = sa.Table(
    "weight", metadata,
    sa.Column("order_id", sa.ForeignKey("order.id"), primary_key=True),
    sa.Column("balancer_id", sa.Text, primary_key=True), sa.Column("vserver_group_id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, primary_key=True), sa.Column("port", sa.Integer, primary_key=True),
    _text("region"), _text("server_id"),
    sa.Column("recorded", sa.Integer, nullable=False),  # when the plan was made
    sa.Column("asked", sa.Integer, nullable=True),  # what the last call asked for
    sa.Column("confirmed", sa.Integer, nullable=True),  # what was last read back
    sa.Column("verified", sa.Text, nullable=True), sa.Column("confirmed_at", sa.Float, nullable=True),
    sa.Column("owned", sa.Boolean, nullable=False, default=False),  # we moved it and have not given it back yet
    sa.Column("outside", sa.Integer, nullable=True),  # what somebody else set it to during the order, as noticed last
    sa.Column("outside_at", sa.Float, nullable=True),
    sa.Column("cut_again", sa.Boolean, nullable=False, default=False),  # raised by somebody else, cut once more
    sa.Column("problem", sa.JSON, nullable=True),
    # What the balancer's health check said last, and ours.
    sa.Column("balancer_health", sa.Text, nullable=True), sa.Column("own_health", sa.Text, nullable=True),
    sa.Index(None, "owned"),
)  # fmt: skip

# The ledger's history: one row per mount and call, written before the call, completed after it.
weight_call = sa.Table(
    "weight_call", metadata, _id(), sa.Column("order_id", sa.ForeignKey("order.id"), nullable=False),
    _text("balancer_id", None), _text("vserver_group_id"), _text("host", None),
    sa.Column("port", sa.Integer, nullable=False, default=0),
    sa.Column("before", sa.Integer, nullable=True), sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("read_back", sa.Integer, nullable=True), _text("verified"), _text("request_id"), _text("api_code"),
    sa.Column("epoch", sa.Integer, nullable=False), sa.Column("at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=True), sa.Index(None, "order_id"),
)  # fmt: skip

command = sa.Table(
    "command", metadata, _id(), sa.Column("order_id", sa.ForeignKey("order.id"), nullable=False), _text("act", None),
    _json("params"), _text("operator", None), _text("reason"), _text("state", "sent"),
    sa.Column("problem", sa.JSON, nullable=True),
    sa.Column("waits_for", sa.JSON, nullable=True),  # while it is working: what it waits for, as a message
    sa.Column("sent_at", sa.Float, nullable=False), sa.Column("begun_at", sa.Float, nullable=True),
    sa.Column("answered_at", sa.Float, nullable=True),
    sa.Index(None, "state"), sa.Index(None, "order_id"),
)  # fmt: skip

# A remedy that was a step: one row per command and host, written before it is done and when it has ended. `node` empty: it
# concerned what the check of the order had found.
remedy = sa.Table(
    "remedy", metadata,
    sa.Column("command_id", sa.ForeignKey("command.id"), primary_key=True),
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("order_id", sa.ForeignKey("order.id"), nullable=False),
    _text("direction"), _text("node"), sa.Column("attempt", sa.Integer, nullable=False, default=0), _text("step"),
    _text("code", None), _text("remedy", None), _text("state", None),
    sa.Column("deadline_s", sa.Float, nullable=False, default=0.0), sa.Column("problem", sa.JSON, nullable=True),
    sa.Column("begun_at", sa.Float, nullable=False), sa.Column("ended_at", sa.Float, nullable=True),
    sa.Index(None, "order_id"), sa.Index(None, "remedy", "code"),
)  # fmt: skip

event = sa.Table(
    "event", metadata, _id(), sa.Column("order_id", sa.ForeignKey("order.id"), nullable=False),
    sa.Column("at", sa.Float, nullable=False), _text("kind", None), _json("data"),
    sa.Index(None, "order_id", "id"),
)  # fmt: skip

engine = sa.Table(
    "engine", metadata, sa.Column("id", sa.Text, primary_key=True), _text("machine"), sa.Column("pid", sa.Integer),
    sa.Column("started_at", sa.Float, nullable=False), sa.Column("heartbeat_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=True), _text("state", "standby"),  # standby | active | ended
    sa.Column("started_with", sa.JSON, nullable=True),  # what it has of its starter: for operators; no secret
)  # fmt: skip

# What an SSH server asks at a login; the answer is there for moments, sealed for the engine that asks.
prompt = sa.Table(
    "prompt", metadata, _id(), _text("asked_by", None), _text("hop", None), _text("login", None),
    sa.Column("is_jump", sa.Boolean, nullable=False), _text("instruction"), _text("question", None),
    sa.Column("echo", sa.Boolean, nullable=False), sa.Column("attempt", sa.Integer, nullable=False, default=1),
    _text("public_key", None), sa.Column("sealed_answer", sa.Text, nullable=True), _text("answered_by"),
    sa.Column("asked_at", sa.Float, nullable=False), sa.Column("deadline_at", sa.Float, nullable=False),
    sa.Column("beat_at", sa.Float, nullable=False),  # whoever asks is alive and still waits
    sa.Column("answered_at", sa.Float, nullable=True), sa.Column("ended_at", sa.Float, nullable=True),
    _text("outcome"),  # answered | missed | withdrawn
    sa.Index(None, "ended_at"),
)  # fmt: skip
