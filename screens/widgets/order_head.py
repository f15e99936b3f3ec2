"""What an order is and how far it got, in one line; and under it what the balancers have in service, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from engine.domain.states import RunState, Shown
from engine.views.orders import BalancerView, OrderView
from engine.views.values import percent
from screens import expected_words, words
from screens.paint import Paint, paint_of
from screens.translate import _
from screens.widgets.lines import Lines
from screens.words import Tone

_BAR_MOST = 24  # cells
_WIDE = 110  # cells from which on the time that people took is said too


class OrderHead(Lines):
    def __init__(self) -> None:
        super().__init__(id="head")

    def show(self, order: OrderView, now: float) -> None:
        paint = paint_of(self.app)
        room = self.app.size.width - 2
        lines = [_summary(order, paint, now, room), *(_balancer(balancer, paint, room) for balancer in order.balancers)]
        self.draw(Text("\n", no_wrap=True, overflow="ellipsis").join(lines))


def _summary(order: OrderView, paint: Paint, now: float, room: int) -> Text:
    counted = order.counted
    done = sum(host.state is RunState.SUCCEEDED for host in counted)
    failed = sum(host.state is RunState.FAILED for host in counted)
    text = paint.glyph_and_word(order.shown)
    text.append(f"  {words.order_words(order.kind, order.versions)}", paint.strong)
    text.append("  ").append(_("{done}/{all} hosts").format(done=done, all=len(counted)))
    skipped = sum(host.state is RunState.SKIPPED for host in counted)
    if skipped:
        text.append("  ").append(_("{count} left out").format(count=skipped), paint.tone(Tone.WAIT))
    if failed:
        text.append("  ").append(_("{count} failed").format(count=failed), paint.tone(Tone.FAIL))
    until = order.ended_at if order.ended_at is not None else now
    took = words.elapsed(order.started_at, until)
    if took:
        text.append(f"  {took}", paint.dim)
    if order.expected is not None and room >= _WIDE and (waited := expected_words.waited(order.expected)):
        text.append(f" ({waited})", paint.dim)
    if order.paused and order.shown is not Shown.PAUSED:
        text.append("  ‖ " + _("paused"), paint.tone(Tone.WAIT))
    for part, style in _asides(order, paint, now):
        if part and text.cell_len + 2 + cell_len(part) <= room:  # another row for it would be taken from the hosts
            text.append(f"  {part}", style)
    return text


def _asides(order: OrderView, paint: Paint, now: float) -> list[tuple[str, Style]]:
    """What is good to know where there is room for it, the most important first."""
    left = "" if order.expected is None else expected_words.left(order.expected, now)
    if order.responsible in ("", order.created_by):
        return [(left, paint.plain), (order.created_by, paint.dim), (order.title, paint.dim)]
    responsible = _("responsible: {operator}").format(operator=order.responsible)
    return [(responsible, paint.dim), (left, paint.plain), (order.title, paint.dim)]


def _balancer(balancer: BalancerView, paint: Paint, room: int) -> Text:
    """Without the balancer's name where that would take another row."""
    low = balancer.in_service <= balancer.floor and balancer.hosts > balancer.floor
    tone = Tone.FAIL if balancer.in_service < balancer.floor else Tone.WAIT if low else Tone.OK
    text = Text()
    counts = {"now": balancer.in_service, "all": balancer.hosts, "floor": balancer.floor}
    text.append(_("in service {now} of {all}").format(**counts), paint.tone(tone))
    if balancer.part:
        share = {"count": len(balancer.part), "share": percent(balancer.part_share)}
        text.append(" " + _("({count} gray: {share} of traffic)").format(**share), paint.tone(Tone.WAIT))
    if balancer.floor:
        text.append(_(", at least {floor} must stay").format(**counts), paint.tone(tone))
    text.append("  ").append_text(
        service_bar(balancer.in_service, balancer.hosts, balancer.floor, paint, part=len(balancer.part))
    )
    if balancer.silent:
        hosts = _some(balancer.silent)
        text.append("  " + _("do not answer: {hosts}").format(hosts=hosts), paint.tone(Tone.FAIL))
    if balancer.cannot_tell:
        hosts = _some(balancer.cannot_tell)
        text.append("  " + _("cannot tell whether they answer: {hosts}").format(hosts=hosts), paint.tone(Tone.WAIT))
    name = f"  {balancer.balancer} {balancer.server_group}".rstrip()
    return text.append(name, paint.dim) if text.cell_len + cell_len(name) <= room else text


def _some(hosts: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(hosts[:most])
    return shown if len(hosts) <= most else f"{shown}, +{len(hosts) - most}"


def service_bar(in_service: int, hosts: int, floor: int, paint: Paint, most: int = _BAR_MOST, *, part: int = 0) -> Text:
    """A cell a host (fewer when they are many); those up to the floor are marked, because they must stay, and the last `part` of
    those in service are low: they carry less than a host does."""
    cells = min(hosts, most)
    if not cells:
        return Text("")
    filled = round(in_service * cells / hosts)
    kept = -(-floor * cells // hosts)
    whole = filled - -(-part * cells // hosts)
    tone = Tone.FAIL if in_service < floor else Tone.OK
    text = Text()
    for cell in range(cells):
        full = "▃" if cell >= whole else "█" if cell < kept else "▆"
        text.append(full if cell < filled else "▁", paint.tone(tone) if cell < filled else paint.dim)
    return text
