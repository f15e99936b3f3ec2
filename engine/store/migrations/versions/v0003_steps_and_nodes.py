"""Steps are data, a host runs in nodes, an order has apps and hosts: orders of the version before are carried over.

Open orders go on: their plans are rewritten step for step, and the jobs they have on hosts keep their names (`host_run.job`).
This file reads what 0002 wrote and knows nothing of the code around it, which goes on changing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# name → where it runs, in doubt, what it sets, what it does to the traffic, whether it may be skipped
_STEPS: dict[str, tuple[str, str, tuple[str, ...], str, bool]] = {
    "cut_traffic": ("balancer", "rerun", (), "out", False),
    "check_agent": ("host", "rerun", (), "", True),
    "download_scripts": ("host", "rerun", (), "", True),
    "install_software": ("host", "ask", (), "", True),
    "configure_environment": ("host", "ask", (), "", True),
    "download_package": ("host", "rerun", (), "", True),
    "deploy": ("host", "ask", ("version",), "", True),
    "check_health": ("host", "probe", ("health",), "", True),
    "restore_traffic": ("balancer", "rerun", (), "back", False),
}
_GIVE_BACK = ("check_health", "restore_traffic")


def upgrade() -> None:
    _make_tables()
    connection = op.get_bind()
    _carry_orders_over(connection)
    _carry_events_over(connection)
    _drop_what_is_gone()


def _make_tables() -> None:
    op.create_table(
        "order_app",
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("service_instance_id", _ID, nullable=False),
        sa.Column("from_version", sa.Text(), nullable=False),
        sa.Column("to_version", sa.Text(), nullable=False),
        sa.Column("needs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_order_app_order_id")),
        sa.ForeignKeyConstraint(
            ["service_instance_id"], ["service_instance.id"], name=op.f("fk_order_app_service_instance_id")
        ),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_order_app")),
    )
    op.create_index(op.f("ix_order_app_service_instance_id"), "order_app", ["service_instance_id"])
    op.create_table(
        "order_host",
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_order_host_order_id")),
        sa.PrimaryKeyConstraint("order_id", "host", name=op.f("pk_order_host")),
    )
    op.create_index(op.f("ix_order_host_host"), "order_host", ["host"])
    op.rename_table("host_run", "host_run_0002")
    op.rename_table("step", "step_0002")
    if op.get_bind().dialect.name == "postgresql":
        # names of constraints are the schema's, not the table's
        op.execute("ALTER TABLE step_0002 DROP CONSTRAINT fk_step_order_id")
        op.execute("ALTER TABLE step_0002 DROP CONSTRAINT pk_step")
        op.execute("ALTER TABLE host_run_0002 DROP CONSTRAINT fk_host_run_order_id")
        op.execute("ALTER TABLE host_run_0002 DROP CONSTRAINT pk_host_run")
    op.drop_index("ix_host_run_order_id_node", "host_run_0002")
    op.create_table(
        "host_run",
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("from_version", sa.Text(), nullable=False),
        sa.Column("to_version", sa.Text(), nullable=False),
        sa.Column("touched", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.JSON(), nullable=True),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_host_run_order_id")),
        sa.PrimaryKeyConstraint("order_id", "direction", "node", "host", name=op.f("pk_host_run")),
    )
    op.create_table(
        "step",
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("problem", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_id", "direction", "node", "host"],
            ["host_run.order_id", "host_run.direction", "host_run.node", "host_run.host"],
            name=op.f("fk_step_order_id"),
        ),
        sa.PrimaryKeyConstraint("order_id", "direction", "node", "host", "attempt", "position", name=op.f("pk_step")),
    )


# ------------------------------------------------------------------------------------------------------------- orders

_order = sa.table(
    "order",
    sa.column("id"),
    sa.column("service_instance_id"),
    sa.column("spec", sa.JSON),
    sa.column("plan", sa.JSON),
    sa.column("back_plan", sa.JSON),
)
_order_app = sa.table(
    "order_app",
    *(sa.column(name) for name in ("order_id", "position", "service_instance_id", "from_version", "to_version")),
    sa.column("needs", sa.JSON),
)
_order_host = sa.table("order_host", sa.column("order_id"), sa.column("host"))


def _carry_orders_over(connection: sa.Connection) -> None:
    instances = connection.execute(sa.text("SELECT id, current_version FROM service_instance"))
    current: dict[int, str] = {row.id: row.current_version for row in instances}
    hosts_of = _hosts_of_instances(connection)
    for order_id, instance, spec, plan, back_plan in connection.execute(sa.select(_order)).all():
        new_plan, new_back = _plan(plan, spec["app"]), _plan(back_plan, spec["app"])
        connection.execute(
            sa.update(_order)
            .where(_order.c.id == order_id)
            .values(spec=_spec(spec), plan=new_plan or sa.null(), back_plan=new_back or sa.null())
        )
        connection.execute(
            sa.insert(_order_app).values(
                order_id=order_id,
                position=0,
                service_instance_id=instance,
                from_version=_from_version(plan) or current.get(instance, ""),
                to_version=spec["version"],
                needs=[],
            )
        )
        hosts = sorted(plan["hosts"]) if plan else hosts_of.get(instance, [])
        if hosts:
            connection.execute(sa.insert(_order_host), [{"order_id": order_id, "host": host} for host in hosts])
        _carry_runs_over(connection, order_id, "forward", plan)
        _carry_runs_over(connection, order_id, "back", back_plan)


def _hosts_of_instances(connection: sa.Connection) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = (
        "SELECT link.service_instance_id, host.name FROM service_instance_host AS link"
        " JOIN host ON host.id = link.host_id ORDER BY host.name"
    )
    for instance, host in connection.execute(sa.text(query)):
        found.setdefault(instance, []).append(host)
    return found


def _from_version(plan: dict[str, Any] | None) -> str:
    versions = [run["from_version"] for run in plan["hosts"].values()] if plan else []
    return max(versions, key=versions.count, default="")


def _carry_runs_over(connection: sa.Connection, order_id: int, direction: str, plan: dict[str, Any] | None) -> None:
    """In the order of the plan; a job of the version before is called by its direction only."""
    if plan is None:
        return
    places = [(node["key"], host) for node in plan["nodes"] if _runs_hosts(node) for host in node["hosts"]]
    at = {"order_id": order_id, "direction": direction}
    for position, (node, host) in enumerate(places):
        connection.execute(
            sa.text(
                "INSERT INTO host_run (order_id, direction, node, host, position, job, state, attempt, from_version,"
                " to_version, touched, problem, started_at, ended_at)"
                " SELECT order_id, direction, :node, host, :position, :direction, state, attempt, from_version,"
                " to_version, touched, problem, started_at, ended_at FROM host_run_0002"
                " WHERE order_id = :order_id AND direction = :direction AND host = :host"
            ),
            {**at, "node": node, "host": host, "position": position},
        )
        connection.execute(
            sa.text(
                "INSERT INTO step (order_id, direction, node, host, attempt, position, key, state, epoch, started_at,"
                " ended_at, problem)"
                " SELECT order_id, direction, :node, host, attempt, position, name, state, epoch, started_at, ended_at,"
                " problem FROM step_0002"
                " WHERE order_id = :order_id AND direction = :direction AND host = :host"
            ),
            {**at, "node": node, "host": host},
        )


def _spec(old: dict[str, Any]) -> dict[str, Any]:
    what = {
        "apps": [{"app": old["app"], "version": old["version"], "needs": []}],
        "traffic": old["traffic"],
        "preset_weights": old["preset_weights"],
    }
    grouping = {
        "strategy": old["strategy"],
        "count": old["groups"],
        "beta": old["beta"],
        "beta_hosts": old["beta_hosts"],
    }
    kept = ("title", "parallelism", "max_failures", "floor", "override_reason", "reason", "seed")
    return {"what": {"kind": old["kind"], "data": what}, "grouping": grouping, **{name: old[name] for name in kept}}


def _plan(old: dict[str, Any] | None, app: str) -> dict[str, Any] | None:
    if old is None:
        return None
    lists: list[tuple[str, ...]] = []

    def number(names: Iterable[str]) -> int:
        wanted = tuple(names)
        if wanted not in lists:
            lists.append(wanted)
        return lists.index(wanted)

    back = old["direction"] == "back"
    nodes = [_node(node, old["hosts"], app, number, back=back) for node in old["nodes"]]
    return {
        "direction": old["direction"],
        "steps": [[_step(name) for name in names] for names in lists],
        "nodes": nodes,
        "fleet_hash": old["fleet_hash"],
        "floor": old["floor"],
        "in_service": old["in_service"],
        "lowest_in_service": old["lowest_in_service"],
        "floors": old["floors"],
        "beside": [],
    }


def _node(node: dict[str, Any], hosts: dict[str, Any], app: str, number: Any, *, back: bool) -> dict[str, Any]:
    runs = [_run(hosts[name], app, number, back=back) for name in node["hosts"]] if _runs_hosts(node) else []
    gate = {"hosts": node["hosts"], "sliders": node["sliders"]} if node["kind"] == "gate" else None
    kept = {name: node[name] for name in ("key", "kind", "needs")}
    return {**kept, "label": _label(node["kind"], node["number"], back=back), "runs": runs, "gate": gate}


def _runs_hosts(node: dict[str, Any]) -> bool:
    return node["kind"] in ("beta", "group")


def _run(old: dict[str, Any], app: str, number: Any, *, back: bool) -> dict[str, Any]:
    before = {"version": old["from_version"], "state": "deployed" if old["from_version"] else "ready"}
    return {
        "host": old["host"],
        "app": app,
        "steps": number(old["steps"]),
        "undo": number(() if back else old["steps"]),
        "undo_untouched": number(() if back else _GIVE_BACK),
        "before": before,
        "after": {"version": old["to_version"], "state": "deployed"},
        "during": "deploying",
        "on_failure": "deploy_failed",
        "recorded": old["recorded"],
        "restore_to": old["restore_to"],
    }


def _step(name: str) -> dict[str, Any]:
    runs, in_doubt, sets, traffic, skippable = _STEPS[name]
    return {
        "key": name,
        "does": name,
        "runs": runs,
        "in_doubt": in_doubt,
        "sets": list(sets),
        "traffic": traffic,
        "skippable": skippable,
        "title": "",
        "params": {},
        "deadline_s": 0.0,
        "retries": 0,
        "interval_s": 0.0,
    }


def _label(kind: str, number: int, *, back: bool = False) -> dict[str, Any]:
    """What the node was called on the screens of the version before."""
    if kind == "group" and back:
        return {"text": "way back {number}", "params": {"number": number}}
    if kind == "group":
        return {"text": "group {number}", "params": {"number": number}}
    if kind == "gate" and number:
        return {"text": "confirm group {number}", "params": {"number": number}}
    words = {"initialise": "initialise", "beta": "Beta group", "gate": "Beta confirm", "finish": "finish"}
    return {"text": words[kind], "params": {}}


# ------------------------------------------------------------------------------------------------------------- events


def _carry_events_over(connection: sa.Connection) -> None:
    """Events of nodes tell what the node is called."""
    event = sa.table("event", sa.column("id"), sa.column("kind"), sa.column("data", sa.JSON))
    for event_id, data in connection.execute(sa.select(event.c.id, event.c.data).where(event.c.kind == "node")).all():
        old = json.loads(data) if isinstance(data, str) else data
        label = _label(old["kind"], old.get("number", 0), back=str(old["key"]).startswith("back-"))
        kept = {name: value for name, value in old.items() if name not in ("kind", "number")}
        connection.execute(sa.update(event).where(event.c.id == event_id).values(data={**kept, "label": label}))


def _drop_what_is_gone() -> None:
    op.drop_table("step_0002")
    op.drop_table("host_run_0002")
    with op.batch_alter_table("order") as batch:
        batch.drop_index("ix_order_service_instance_id")
        batch.drop_constraint("fk_order_service_instance_id", type_="foreignkey")
        batch.drop_column("service_instance_id")
    with op.batch_alter_table("weight") as batch:
        batch.drop_column("intended")


def downgrade() -> None:
    raise NotImplementedError("an older version could not read these orders: put a copy of the store back instead")
