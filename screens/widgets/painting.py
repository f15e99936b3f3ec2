"""What a flowchart painter hands to the widget that shows it: finished lines and where each node stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text

from engine.domain.states import NodeKind, NodeState, RunState
from engine.views.orders import NodeView
from screens import words
from screens.paint import Paint
from screens.translate import _


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a node is drawn, in cells."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Painting:
    lines: tuple[Text, ...]
    spots: Mapping[str, Spot]
    width: int


def node_detail(node: NodeView, paint: Paint, now: float) -> Text:
    """How far a node is, in a few words: `2/4 00:31`, `waiting 02:31`, `confirmed by alice`."""
    if node.kind is NodeKind.GATE:
        return _gate_detail(node, paint, now)
    if node.kind.runs_hosts:
        return _hosts_detail(node, paint, now)
    return Text(words.word(node.state) if node.state is not NodeState.PENDING else "", style=paint.state(node.shown))


def _gate_detail(node: NodeView, paint: Paint, now: float) -> Text:
    if node.state is NodeState.WAITING:
        waited = words.elapsed(node.started_at, now)
        return Text(_("waiting {time}").format(time=waited), style=paint.state(node.shown))
    if node.state is NodeState.SUCCEEDED and node.confirmed_by:
        return Text(_("by {operator}").format(operator=node.confirmed_by), style=paint.dim)
    return Text(words.word(node.state) if node.state is not NodeState.PENDING else "", style=paint.state(node.shown))


def _hosts_detail(node: NodeView, paint: Paint, now: float) -> Text:
    detail = Text().append(f"{node.done}/{len(node.hosts)}", paint.state(node.shown))
    if node.failed:
        detail.append(f" ✗{node.failed}", paint.state(NodeState.FAILED))
    if node.skipped:
        detail.append(f" {words.glyph(RunState.SKIPPED)}{node.skipped}", paint.dim)
    if node.pauses:
        detail.append(" " + _("‖ pauses before it"), paint.state(NodeState.WAITING))
    if node.started_at is not None:
        until = node.ended_at if node.ended_at is not None else now
        detail.append(f" {words.elapsed(node.started_at, until)}", paint.dim)
    return detail
