"""The report of an order: what it was, who did what and when, its course, its weights over time, what failed and why.

Markdown is the one text; HTML is made of it, and JSON is the data it is made of. Nothing that came from a host or a file can end
a table, a quotation or a tag. Nothing is written anywhere from here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from engine.domain.clean import clean_text
from engine.domain.problem import Problem
from engine.domain.states import Direction, RunState
from screens import words
from screens.translate import N_, _, language, tr

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.acts import EventView, HistoryView
    from engine.views.orders import AttemptView, HostRunView, OrderedApp, OrderView

NOTHING = "-"
WEIGHT_EVENTS = ("weight", "outside", "health")
_MARKS = re.compile(r"([\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_]))")
_FENCE = re.compile(r"`{3,}")


@dataclass(frozen=True, slots=True)
class Report:
    """An order with all that is kept of it. Times are epoch seconds; `events` are oldest first."""

    order: OrderView
    history: tuple[HistoryView, ...]
    attempts: tuple[AttemptView, ...]
    events: tuple[EventView, ...]
    made_at: float


def read_report(api: Api, place: tuple[str, str], order_id: int, *, now: float) -> Report:
    """Of an order at any time of its life; what happens while it is read may be missing. Raises ApiError `no_such_order`."""
    return Report(
        api.order(*place, order_id),
        api.history(*place, order_id),
        api.attempts(*place, order_id),
        tuple(every_event(api, order_id)),
        now,
    )


def every_event(api: Api, order_id: int) -> Iterator[EventView]:
    """All that happened in an order, oldest first."""
    after = 0
    while found := api.events(order_id=order_id, after=after):
        yield from found
        after = found[-1].id


def html(report: Report) -> str:
    """One page that needs nothing else: no script, no picture, nothing is fetched."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown(report))
    return _PAGE.format(language=language().replace("_", "-"), title=escape(_title(report.order)), body=body)


def markdown(report: Report) -> str:
    """Sections that have nothing to say are left out."""
    parts = [
        f"# {_plain(_title(report.order))}",
        _facts(report),
        *_section(_("Plan and course"), _nodes(report)),
        *_section(_("Hosts"), _hosts(report)),
        *_section(_("What failed"), _failures(report)),
        *_section(_("Weights over time"), _weights(report)),
        *_section(_("Who did what"), _acts(report)),
    ]
    return "\n\n".join(parts) + "\n"


# ------------------------------------------------------------------------------------------------------------- sections


def _title(order: OrderView) -> str:
    return _("order #{id}: {what} {subject}").format(
        id=order.id, what=words.order_words(order.kind, order.versions), subject=order.subject
    )


def _facts(report: Report) -> str:
    order = report.order
    facts = [
        (_("state"), words.word(order.shown)),
        (_("workspace"), f"{order.tenant} / {order.workspace}"),
        *((_("app"), _ordered(app)) for app in order.apps),
        (_("created"), _by_at(order.created_by, order.created_at)),
        (_("started"), _at(order.started_at)),
        (_("ended"), _at(order.ended_at)),
        (_("took"), words.elapsed(order.started_at, order.ended_at or report.made_at) or NOTHING),
        (_("groups"), _("by hand") if order.by_hand else words.strategy_word(order.strategy)),
        *([(_("excluded"), ", ".join(order.excluded))] if order.excluded else []),
        (_("traffic"), words.traffic_word(order.traffic) if order.traffic else NOTHING),
        (_("Beta"), _("yes") if order.beta else _("no")),
        (_("in service"), _in_service(order)),
        (_("reason"), order.reason or NOTHING),
        (_("report made"), _at(report.made_at)),
    ]
    if order.problem:
        facts.insert(1, (_("why"), tr(order.problem.what)))
    return _table(("", ""), facts)


def _in_service(order: OrderView) -> str:
    return _("{now} of {count}; never fewer than {floor} by its own acts").format(
        now=order.in_service, count=sum(balancer.hosts for balancer in order.balancers), floor=order.floor
    )


def _nodes(report: Report) -> Iterator[str]:
    rows = [
        (
            f"{words.glyph(node.shown)} {words.node_word(node)}",
            words.word(node.shown),
            " ".join(node.hosts) or NOTHING,
            _clock(node.started_at),
            _clock(node.ended_at),
            words.elapsed(node.started_at, node.ended_at or report.made_at),
            node.confirmed_by,
        )
        for node in report.order.nodes
    ]
    titles = (N_("stage"), N_("state"), N_("hosts"), N_("from"), N_("until"), N_("took"), N_("confirmed by"))
    yield _table(titles, rows)


def _hosts(report: Report) -> Iterator[str]:
    several = len(report.order.apps) > 1
    rows = [
        (
            f"{run.name} ({run.app})" if several and run.app else run.name,
            _app_line("", run.from_version, run.to_version).strip(),
            f"{words.glyph(run.state)} {words.word(run.state)}",
            words.version_word(run) or NOTHING,
            str(len(_attempts_of(report, run))),
            " ".join(_weight(line.recorded, line.confirmed) for line in run.weights) or NOTHING,
            words.elapsed(run.started_at, run.ended_at or report.made_at),
        )
        for run in report.order.hosts
    ]
    if rows:
        titles = (N_("host"), N_("version"), N_("state"), N_("runs now"), N_("attempts"), N_("weight"), N_("took"))
        yield _table(titles, rows)


def _failures(report: Report) -> Iterator[str]:
    for host, problem in report.order.problems:
        yield _problem(host or _("the order"), problem)
    for attempt in report.attempts:
        if attempt.state is RunState.FAILED and attempt.problem:
            what = _("{host}, attempt {number}, {at}")
            if attempt.direction is Direction.BACK:
                what = _("{host}, way back, attempt {number}, {at}")
            yield _problem(
                what.format(host=attempt.host, number=attempt.number, at=_at(attempt.ended_at)), attempt.problem
            )


def _weights(report: Report) -> Iterator[str]:
    rows = [(_at(event.at), tr(event.sentence)) for event in report.events if event.kind in WEIGHT_EVENTS]
    if rows:
        yield _table((N_("when"), N_("what")), rows)


def _acts(report: Report) -> Iterator[str]:
    rows = [
        (
            _at(each.at),
            words.who(each),
            tr(each.said),
            words.outcome_line(each),
            each.reason,
        )
        for each in report.history
    ]
    if rows:
        yield _table((N_("when"), N_("who"), N_("what"), N_("outcome"), N_("why")), rows)


def _attempts_of(report: Report, run: HostRunView) -> list[AttemptView]:
    return [attempt for attempt in report.attempts if attempt.host == run.name]


def _ordered(app: OrderedApp) -> str:
    line = _app_line(app.app, app.from_version, app.to_version)
    return f"{line}, " + _("waits for {apps}").format(apps=", ".join(app.needs)) if app.needs else line


def _app_line(app: str, was: str, to: str) -> str:
    return f"{app} {was or NOTHING} → {to or NOTHING}" if was != to else f"{app} {to or NOTHING}"


def _weight(recorded: int, confirmed: int | None) -> str:
    """As it is now; what it was before the order stands behind it where that differs."""
    if confirmed is None or confirmed == recorded:
        return str(recorded)
    return _("{now} (was {recorded})").format(now=confirmed, recorded=recorded)


# -------------------------------------------------------------------------------------------------------------- markdown


def _section(title: str, parts: Iterable[str]) -> Iterator[str]:
    found = [part for part in parts if part]
    if found:
        yield f"## {_plain(title)}"
        yield from found


def _problem(where: str, problem: Problem) -> str:
    said = f"**{_plain(where)}**: {_plain(tr(problem.what))}"
    if remedy := tr(problem.remedy):
        said += "\n\n" + _plain(_("What to do: {remedy}").format(remedy=remedy))
    return said + (f"\n\n{_quoted(problem.evidence)}" if problem.evidence else "")


def _quoted(text: str) -> str:
    """Text as it is, inside a fence longer than any in it."""
    fence = "`" * max([3, *(len(found) + 1 for found in _FENCE.findall(text))])
    return f"{fence}\n{clean_text(text)}\n{fence}"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [[_(title) for title in titles], ["---"] * len(titles), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """The text as words inside a line: nothing in it is Markdown."""
    return _MARKS.sub(r"\\\1", " ".join(clean_text(text).split()))


# ------------------------------------------------------------------------------------------------------------------ time


def _at(at: float | None) -> str:
    """`2026-11-29 08:21:00 UTC`, by the local clock."""
    return NOTHING if at is None else time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))


def _clock(at: float | None) -> str:
    return NOTHING if at is None else time.strftime("%H:%M:%S", time.localtime(at))


def _by_at(who: str, at: float) -> str:
    return _("{at} by {operator}").format(at=_at(at), operator=who)


_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }}
body {{ color: #1a1a1a; background: #fff; }}
table {{ border-collapse: collapse; margin: .75rem 0; }}
td, th {{ border-bottom: 1px solid #ccc; padding: .25rem .75rem .25rem 0; }}
td, th {{ text-align: left; vertical-align: top; }}
pre {{ background: #f3f3f3; padding: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{ body {{ color: #e4e4e4; background: #121212; }} pre {{ background: #262626; }} }}
</style>
{body}</html>
"""
