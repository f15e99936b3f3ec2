"""The journal's events with a sentence each: what happened, in order, for whoever watches or comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from engine.domain.message import Message, message
from engine.domain.outage import Outage, answered_again
from engine.plan.kept import begins_at
from engine.store import tables as t
from engine.views.acts import EventView

Data = Mapping[str, Any]

# On PostgreSQL ids are given before transactions commit, so a smaller id may become visible after a greater one. There the events
# of several orders are read in the order of their transactions, and only those of transactions that began before every one still
# running: then nothing can appear behind a reader's back. Ids and transactions differ by what was under way at once, no more.
_SETTLED = sa.text("age(event.xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)")
_BEHIND = sa.text(
    "(event.id > :after AND NOT EXISTS (SELECT 1 FROM event seen WHERE seen.id = :after)"
    " OR EXISTS (SELECT 1 FROM event seen WHERE seen.id = :after"
    " AND (age(event.xmin) < age(seen.xmin) OR event.xmin = seen.xmin AND event.id > seen.id)))"
)
_OLDEST_FIRST = sa.text("age(event.xmin) DESC, event.id")
UNDER_WAY = 10_000  # ids


def read_events(
    conn: sa.Connection, *, order_id: int | None, workspace_id: int | None, after: int, limit: int
) -> tuple[EventView, ...]:
    """Events behind the one whose id is `after`, oldest first; of one order, of one workspace, or of all. Tail with the last one's
    id, which need not be the greatest."""
    query = sa.select(t.event).limit(limit)
    if order_id is None and conn.dialect.name == "postgresql":
        behind = sa.and_(t.event.c.id > after - UNDER_WAY, _BEHIND.bindparams(after=after), _SETTLED)
        query = query.where(behind).order_by(_OLDEST_FIRST)
    else:  # one writer at a time: the ids are in the order of commits
        query = query.where(t.event.c.id > after).order_by(t.event.c.id)
    if order_id is not None:
        query = query.where(t.event.c.order_id == order_id)
    if workspace_id is not None:
        query = query.join(t.order, t.order.c.id == t.event.c.order_id).where(t.order.c.workspace_id == workspace_id)
    return tuple(
        EventView(row.id, row.order_id, row.at, row.kind, row.data, sentence(row.kind, row.data))
        for row in conn.execute(query)
    )


def sentence(kind: str, data: Data) -> Message:
    """What an event says. A kind this version does not know is named, never dropped."""
    say = _SENTENCES.get(kind)
    return say(data) if say else message("event {kind}", kind=kind)


def _order(data: Data) -> Message:
    said = _ORDER.get(data["state"])
    if data.get("was") == data["state"]:
        return message("the order is {state}", state=data["state"])
    return said or message("the order is {state}", state=data["state"])


_ORDER = {
    "initialising": message("the order is being checked"),
    "init_failed": message("the check found problems"),
    "ready": message("the check succeeded: the order can be started"),
    "running": message("the order runs"),
    "waiting": message("the order waits for a confirmation"),
    "halted": message("the order is halted: a person must decide"),
    "cancelling": message("the order is being cancelled"),
    "cancelled": message("the order is cancelled"),
    "rolling_back": message("the order is being rolled back"),
    "rolled_back": message("the order is rolled back"),
    "succeeded": message("the order succeeded"),
    "failed": message("the order failed"),
}


def _node(data: Data) -> Message:
    label = Message.from_json(data["label"])
    if data.get("by"):
        return message("{node}: confirmed by {by}", node=label, by=data["by"])
    return message("{node}: {state}", node=label, state=data["state"])


def _paused(data: Data) -> Message:
    return message("the order pauses before {node}", node=Message.from_json(data["label"]))


def _host(data: Data) -> Message:
    if data.get("skipped"):
        return message("{host} goes on behind {step}, which was skipped", host=data["host"], step=data["skipped"])
    if data.get("leaving"):
        return _leaves(data)
    if "problem" in data:
        return message("{host} failed: {problem}", host=data["host"], problem=_what(data["problem"]))
    if data.get("held"):
        return message("{host} stands still before {step}: the order is paused", host=data["host"], step=data["held"])
    if data.get("resumed"):
        return message("{host} goes on where it stood", host=data["host"])
    if data["state"] == "pending":
        return message("{host} will be tried again (attempt {attempt})", host=data["host"], attempt=data["attempt"] + 1)
    if data["state"] == "running":
        return message("{host} starts (attempt {attempt})", host=data["host"], attempt=data["attempt"])
    return message("{host}: {state}", host=data["host"], state=data["state"])


def _leaves(data: Data) -> Message:
    """Of a host that was skipped or excluded: its health decides whether its weight comes back."""
    what = {"host": data["host"], "leaving": data["leaving"]}
    if data["state"] == "pending":
        return message("{host} is {leaving}: its health is checked, then it gets back what it had", **what)
    if data["state"] == "running":
        return message("{host} is {leaving}: it leaves the order", **what)
    if "problem" in data:
        return message("{host} has left the order ({leaving}): {problem}", problem=_what(data["problem"]), **what)
    return message("{host} has left the order ({leaving})", **what)


def _step(data: Data) -> Message:
    what = {"host": data["host"], "step": data["step"], "state": data["state"]}
    if "problem" in data:
        return message("{host}, {step}: {state}: {problem}", problem=_what(data["problem"]), **what)
    return message("{host}, {step}: {state}", **what)


def _begins(data: Data) -> Message:
    why = Message.from_json(data["why"]) if "why" in data else None
    return message("{host} {begins}", host=data["host"], begins=begins_at(data["step"], data["kept"], why))


def _weight(data: Data) -> Message:
    what = {
        "host": data["host"],
        "group": data["server_group"],
        "before": _or_dash(data["before"]),
        "asked": data["asked"],
    }
    if data["verified"] == "yes":
        return message("{host} in {group}: weight {before} → {asked}, verified", **what)
    if data["verified"] == "no":
        return message(
            "{host} in {group}: weight {asked} was requested, the balancer shows {read_back}",
            read_back=_or_dash(data["read_back"]),
            **what,
        )
    return message("{host} in {group}: weight {asked} was requested, but could not be read back", **what)


def _outside(data: Data) -> Message:
    what = {"host": data["host"], "group": data["server_group"], "was": data["was"], "now": data["now"]}
    if data["cut_again"]:
        return message(
            "{host} in {group}: somebody else set weight {was} → {now} during its work: cut once more", **what
        )
    return message("{host} in {group}: somebody else set weight {was} → {now}", **what)


def _remedy(data: Data) -> Message:
    what = {"host": data["host"], "remedy": data["remedy"]}
    if "problem" in data:
        return message("{host}, remedy {remedy}: {problem}", problem=_what(data["problem"]), **what)
    if data.get("deadline_s"):
        return message("{host}: {step} has {deadline} s from now on", step=data["step"],
                       deadline=round(data["deadline_s"]), **what)  # fmt: skip
    return message("{host}, remedy {remedy}: {state}", state=data["state"], **what)


def _outage(data: Data) -> Message:
    if "answered_at" in data:
        return answered_again(data["balancer"], data["answered_at"] - data["since"])
    return Outage.from_json(data).sentence


def _health(data: Data) -> Message:
    what = {"host": data["host"], "group": data["server_group"]}
    if data["health"] == "healthy":
        return message("{host} in {group}: answers again, counts as in service", **what)
    if data["health"] == "unhealthy":
        return message("{host} in {group}: does not answer, counts as out of service", **what)
    return message("{host} in {group}: cannot tell whether it answers, counts as out of service", **what)


def _command(data: Data) -> Message:
    what = {"operator": data["operator"], "act": data["act"]}
    if data["state"] == "refused":
        return message("{operator}: {act} refused: {problem}", problem=_what(data.get("problem")), **what)
    if data["state"] == "sent":
        return message("{operator} asks for: {act}", **what)
    if data["state"] == "working":
        return message("{operator}: {act} is at work", **what)
    if data.get("reason"):
        return message("{operator}: {act} accepted ({reason})", reason=data["reason"], **what)
    return message("{operator}: {act} accepted", **what)


def _engine(data: Data) -> Message:
    return message("engine {engine} took the order over (epoch {epoch})", engine=data["engine"], epoch=data["epoch"])


def _warning(data: Data) -> Message:
    return message("warning: {problem}", problem=_what(data["problem"]))


def _what(problem: Mapping[str, Any] | None) -> str:
    return "-" if problem is None else str(Message.from_json(problem["what"]))


def _or_dash(value: object) -> object:
    return "-" if value is None else value


_SENTENCES: Mapping[str, Callable[[Data], Message]] = {
    "order": _order,
    "node": _node,
    "paused": _paused,
    "host": _host,
    "step": _step,
    "begins": _begins,
    "weight": _weight,
    "outside": _outside,
    "health": _health,
    "outage": _outage,
    "remedy": _remedy,
    "command": _command,
    "engine": _engine,
    "warning": _warning,
}
