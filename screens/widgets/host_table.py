"""The hosts of the selected node, one row each: state, step, how long, version, weights."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from engine.domain.states import RunState, Shown, StepState, Verified
from engine.views.orders import HostRunView, WeightView
from screens import host_filter, words
from screens.host_filter import HostFilter
from screens.paint import Paint, paint_of
from screens.translate import N_, _
from screens.widgets.table import Column, Row, Table
from screens.words import Tone

_COLUMNS = (
    Column("host", N_("host"), most=24),
    Column("data_centre", N_("data centre"), most=12, rank=3),
    Column("state", N_("state"), most=12),
    Column("step", N_("step"), most=30, least=16),
    Column("took", N_("time"), most=18, rank=1),
    Column("version", N_("version"), most=24, rank=2),
    Column("weight", N_("weight/was"), most=28),
)

# cells from which on a deadline is said in words
IN_WORDS = 90
VERIFIED = {Verified.YES: ("✓", Tone.OK), Verified.NO: ("✗", Tone.FAIL), Verified.CANNOT_TELL: ("?", Tone.WAIT)}


class HostTable(Table):
    """A row is made anew only for a host that changed, or whose time is another one: they are many, and shown at every change."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, empty=N_("loading…"), id="hosts")
        self._made: dict[str, tuple[HostRunView, Paint, str, Row]] = {}
        self.filter = HostFilter.ALL
        self._hosts: tuple[HostRunView, ...] = ()

    def retell(self) -> None:
        self._made = {}
        super().retell()

    def show(self, hosts: Sequence[HostRunView], now: float) -> None:
        """Those of them that the filter takes."""
        paint, before = paint_of(self.app), self._filtered
        self._hosts = tuple(hosts)
        self._made = {host.name: self._make(host, paint, now) for host in hosts if self.filter.takes(host)}
        if self._filtered != before:
            self.refresh_line(0)
        self.set_rows([row for *_, row in self._made.values()])

    @property
    def _filtered(self) -> str:
        return host_filter.heading(self.filter, self._hosts)

    def heading_text(self) -> Text | None:
        """What is filtered stands in the place of the headings."""
        return Text(f" {said}", paint_of(self.app).tone(Tone.WAIT)) if (said := self._filtered) else None

    def _make(self, host: HostRunView, paint: Paint, now: float) -> tuple[HostRunView, Paint, str, Row]:
        took, made = _took(host, now, in_words=self.size.width >= IN_WORDS), self._made.get(host.name)
        if made is not None and made[0] is host and made[1] is paint and made[2] == took:
            return made
        return host, paint, took, _row(host, paint, took)


def _row(host: HostRunView, paint: Paint, took: str) -> Row:
    return Row(
        host.name,
        {
            "host": Text(host.name, style=paint.strong),
            "data_centre": Text(host.data_centre, style=paint.dim),
            "state": paint.glyph_and_word(host.shown),
            "step": _step(host, paint),
            "took": Text(took, style=paint.plain if host.state is RunState.RUNNING else paint.dim),
            "version": _version(host, paint),
            "weight": Text(" ").join(weight_text(weight, paint) for weight in host.weights),
        },
    )


def _took(host: HostRunView, now: float, *, in_words: bool) -> str:
    """How long the step it is at takes, and may take; the whole run's time once it is over."""
    if host.state is RunState.RUNNING:
        took = words.elapsed(host.step_started_at, now)
        if not took or host.deadline_s is None:
            return took
        deadline = words.elapsed(0.0, host.deadline_s)
        return _("{took} of {deadline}").format(took=took, deadline=deadline) if in_words else f"{took}/{deadline}"
    return words.elapsed(host.started_at, host.ended_at if host.ended_at is not None else now)


def _step(host: HostRunView, paint: Paint) -> Text:
    """Where it is; of a host whose traffic a person gives, what its steps have not done."""
    if host.no_traffic:
        return Text(_("no traffic yet"), paint.tone(Tone.WAIT))
    if host.by_hand:
        return Text(_("traffic by hand"), paint.dim)
    step = next((step for step in host.steps if step.name == host.step), None)
    if step is None:
        return Text("")
    if host.state is RunState.RUNNING:
        word = words.step_word(step)
        return Text(word) if host.waits_for is None else Text(_("waits"), paint.tone(Tone.WAIT)).append(f" {word}")
    failed = step.state in (StepState.FAILED, StepState.TIMED_OUT)
    return Text(words.step_word(step), paint.tone(Tone.FAIL) if failed else paint.dim)


def _version(host: HostRunView, paint: Paint) -> Text:
    if host.version_unknown:
        return Text(f"{host.from_version or '-'} → ", paint.dim).append(words.version_word(host), paint.tone(Tone.WAIT))
    if host.shown is Shown.UNTOUCHED or host.state is RunState.SKIPPED:
        return Text(host.version, style=paint.dim)
    if host.from_version == host.to_version:
        return Text(host.to_version, style=paint.dim)
    arrived = host.version == host.to_version
    text = Text().append(f"{host.from_version or '-'} ", paint.dim).append("→ ", paint.dim)
    return text.append(host.to_version, paint.tone(Tone.OK) if arrived else paint.plain)


def weight_text(weight: WeightView, paint: Paint) -> Text:
    """`10/100✓`: the weight now and the one before the order, and whether the balancer shows what was asked for; `0→10/100✗`: 10
    was asked for and 0 is shown; `40/100!`: somebody else has set it."""
    now = weight.recorded if weight.confirmed is None else weight.confirmed
    text = Text().append(str(now), paint.strong)
    if weight.asked not in (None, now):
        text.append(f"→{weight.asked}", paint.tone(Tone.WAIT))
    return text.append(f"/{weight.recorded}", paint.dim).append_text(verified_mark(weight, paint))


def verified_mark(weight: WeightView, paint: Paint) -> Text:
    text = Text()
    if weight.note is not None:
        return text.append("!", paint.tone(Tone.WAIT))
    if weight.verified is not None:
        glyph, tone = VERIFIED[weight.verified]
        text.append(glyph, paint.tone(tone))
    return text
