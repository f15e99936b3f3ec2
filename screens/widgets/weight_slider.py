"""The weight slider of a gate: a row for all hosts, then a row each; pending values apart from live ones, always in words.

It sends nothing: Enter says `Applied`, `c` says it with `confirms`, and whoever listens shows the consequence first. Esc leaves it
and forgets what is pending. New views from the balancer change what is live, never what is pending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Key
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.domain.states import Act
from engine.views.orders import HostRunView, WeightView
from engine.views.values import percent
from screens.paint import Paint, paint_of, strip_of
from screens.translate import N_, _
from screens.weights import HIGHEST, LOWEST, Pending, live_weight, next_stop, traffic_share
from screens.widgets.cursor import cursor_mark, cursor_style
from screens.widgets.host_table import verified_mark
from screens.widgets.key_bar import KeyNow
from screens.words import Tone


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    weight: str
    share: str
    filled: int
    seen: Text
    changed: bool


class WeightSlider(ScrollView, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,minus", "change(-1)", N_("one less"), show=False),
        Binding("right,plus,equals_sign", "change(1)", N_("one more"), show=False),
        Binding("pageup", "stop(1)", N_("up to 1 5 10 25 50 100"), show=False),
        Binding("pagedown", "stop(-1)", N_("down to 50 25 10 5 1 0"), show=False),
        Binding("home", "set(0)", N_("weight 0"), show=False),
        Binding("end", "set(100)", N_("weight 100"), show=False),
        Binding("backspace", "take_back", N_("take the last digit back"), show=False),
        Binding("down,j", "move(1)", N_("next host"), show=False),
        Binding("up,k", "move(-1)", N_("previous host"), show=False),
        Binding("enter", "apply", N_("apply")),
        Binding("c", "apply_and_confirm", N_("apply and confirm")),
        Binding("escape", "leave", N_("leave"), key_display="esc"),
    ]

    class Applied(Message):
        """`weights` empty: nothing is pending. `confirms`: the gate is confirmed with it."""

        def __init__(self, weights: dict[str, int], *, confirms: bool) -> None:
            super().__init__()
            self.weights = weights
            self.confirms = confirms

    class Closed(Message):
        """Esc."""

    def __init__(self) -> None:
        super().__init__(id="slider")
        self.pending = Pending()
        self._hosts: tuple[HostRunView, ...] = ()
        self._everyone: tuple[HostRunView, ...] = ()
        self._cursor = 0
        self._typed = ""
        self._too_much = False  # the last digit would have made a weight that does not exist
        self._made: tuple[tuple[object, ...], tuple[_Line, ...]] | None = None

    def show(self, hosts: tuple[HostRunView, ...], everyone: tuple[HostRunView, ...]) -> None:
        """`hosts` are the gate's; `everyone` all of the order's, among whom the traffic is shared."""
        self._hosts, self._everyone = hosts, everyone
        gone = [host for host in self.pending.weights if host not in {known.name for known in hosts}]
        self.pending = self.pending.without(gone)
        self._cursor = min(self._cursor, len(hosts))
        self._resized()

    def applied(self, weights: dict[str, int]) -> None:
        """These were accepted: they are no longer pending."""
        same = [host for host, weight in weights.items() if self.pending.weights.get(host) == weight]
        self.pending = self.pending.without(same)
        self._resized()

    def expected_key(self, act: Act) -> KeyNow | None:
        """For the bottom line: the key of the slider that does what is expected, if one does."""
        if act is Act.SET_WEIGHTS:
            return KeyNow("enter", _("apply"), "apply", self, marked=True)
        if act is Act.CONFIRM:
            return KeyNow("c", _("apply and confirm"), "apply_and_confirm", self, marked=True)
        return None

    # ---- keys

    def action_move(self, by: int) -> None:
        self._end_number()
        self._cursor = max(0, min(len(self._hosts), self._cursor + by))
        if self._cursor < self.scroll_offset.y + 1:
            self.scroll_to(y=max(0, self._cursor - 1), animate=False, force=True)
        elif self._cursor >= self.scroll_offset.y + self.size.height - 1:
            self.scroll_to(y=self._cursor - self.size.height + 2, animate=False, force=True)
        self.refresh()

    def action_change(self, by: int) -> None:
        self._end_number()
        for host in self._chosen():
            self._set(host, self._value(host) + by)

    def action_stop(self, direction: int) -> None:
        self._end_number()
        for host in self._chosen():
            self._set(host, next_stop(self._value(host), direction > 0))

    def action_set(self, weight: int) -> None:
        self._end_number()
        for host in self._chosen():
            self._set(host, weight)

    def action_take_back(self) -> None:
        self._typed, self._too_much = self._typed[:-1], False
        if self._typed:
            for host in self._chosen():
                self._set(host, int(self._typed))
        else:
            self.pending = self.pending.without([host.name for host in self._chosen()])
        self.refresh()

    def action_apply(self, *, confirms: bool = False) -> None:
        self._end_number()
        self.post_message(self.Applied(dict(self.pending.weights), confirms=confirms))

    def action_apply_and_confirm(self) -> None:
        self.action_apply(confirms=True)

    def action_leave(self) -> None:
        self.reset()
        self.post_message(self.Closed())

    def reset(self) -> None:
        """Forget what is pending."""
        self._end_number()
        self._cursor = 0
        self.pending = Pending()
        self.refresh()

    def on_key(self, event: Key) -> None:
        """Digits are typed as a number; one that would pass 100 is not taken."""
        if event.character is None or not event.character.isdecimal() or not event.character.isascii():
            return
        event.stop()
        event.prevent_default()
        typed = self._typed + event.character
        self._too_much = int(typed) > HIGHEST
        self.refresh()
        if self._too_much:
            return
        self._typed = typed
        for host in self._chosen():
            self._set(host, int(self._typed))

    def on_click(self, event: Click) -> None:
        """The cursor goes to the row; on its bar, the weight of that place becomes pending."""
        row = event.y - 1 + self.scroll_offset.y
        if event.y < 1 or row > len(self._hosts):
            return
        self._end_number()
        self._cursor = row
        start, cells = self._bar()
        if start <= event.x < start + cells:
            self.action_set(round((event.x - start) * HIGHEST / max(1, cells - 1)))
        self.refresh()

    def _end_number(self) -> None:
        """The next digit begins a new one."""
        if self._too_much:
            self.refresh()
        self._typed, self._too_much = "", False

    def _chosen(self) -> tuple[HostRunView, ...]:
        return self._hosts if self._cursor == 0 else (self._hosts[self._cursor - 1],)

    def _value(self, host: HostRunView) -> int:
        return self.pending.weights.get(host.name, live_weight(host))

    def _set(self, host: HostRunView, weight: int) -> None:
        bounded = max(LOWEST, min(HIGHEST, weight))
        settled = bounded == live_weight(host)
        self.pending = self.pending.without([host.name]) if settled else self.pending.with_weight([host.name], bounded)
        self.refresh()

    # ---- drawing

    def _resized(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._hosts) + 2)
        self.refresh(layout=True)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._hosts) + 2)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._hosts) + 2

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        row = y - 1 + self.scroll_offset.y
        if y == 0:
            text = self._heading()
        elif row <= len(self._hosts):
            text = self._line(row)
        else:
            return Strip.blank(width, base)
        if y and row == self._cursor:
            text = Text(cursor_mark(self)).append_text(text[1:])
        text.truncate(width, overflow="ellipsis")
        strip = strip_of(text, self.app).apply_style(base).adjust_cell_length(width, base)
        if y and row == self._cursor:
            return Strip(list(Segment.apply_style(strip, post_style=cursor_style(self))), strip.cell_length)
        return strip

    def _heading(self) -> Text:
        paint = paint_of(self.app)
        if self._too_much:
            return Text(" " + _("at most 100: Backspace takes a digit back"), style=paint.tone(Tone.FAIL))
        if self.pending.weights:
            return Text(
                " " + _("not applied yet: ⏎ applies it, c applies and confirms, esc forgets it"),
                style=paint.tone(Tone.WAIT),
            )
        return Text(
            " " + _("type a weight, or: PgUp/PgDn 1 5 10 25 50 100, Home 0, End 100, ←→ by one"), style=paint.dim
        )

    def _line(self, row: int) -> Text:
        """The name, a bar, the weight and the share of the traffic in words, and whether the balancer shows it."""
        paint, lines = paint_of(self.app), self._lines()
        line = lines[row]
        _name, weights, shares, _seen_by = self._widths()
        start, bar = self._bar()
        text = Text(" ").append(_padded(line.name, start - 1), paint.strong)
        full = round(line.filled * bar / HIGHEST)
        text.append("━" * full, paint.tone(Tone.WAIT if line.changed else Tone.RUN)).append(
            "─" * (bar - full), paint.dim
        )
        text.append("  " + _padded(line.weight, weights), paint.tone(Tone.WAIT) if line.changed else paint.plain)
        return text.append("  " + _padded(line.share, shares), paint.dim).append("  ").append_text(line.seen)

    def _widths(self) -> tuple[int, int, int, int]:
        """Cells of the widest name, weight, share and what the balancer shows."""
        rows = ((each.name, each.weight, each.share, each.seen.plain) for each in self._lines())
        name, weight, share, seen = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
        return name, weight, share, seen

    def _bar(self) -> tuple[int, int]:
        """Where the bars begin and how many cells they have: the same in every row."""
        names, weights, shares, seen = self._widths()
        return names + 3, max(0, min(40, self.size.width - names - weights - shares - max(seen, 10) - 10))

    def _lines(self) -> tuple[_Line, ...]:
        """Made once for all rows of a frame: what stands in one decides how wide the columns of the others are."""
        made_of = (self._hosts, self._everyone, self.pending, paint_of(self.app))
        if self._made is None or any(one is not other for one, other in zip(self._made[0], made_of, strict=True)):
            self._made = made_of, (self._all_line(), *(self._host_line(host) for host in self._hosts))
        return self._made[1]

    def _all_line(self) -> _Line:
        values = [self._value(host) for host in self._hosts]
        lives = [live_weight(host) for host in self._hosts]
        now = sum(traffic_share(host, self._everyone, {}) for host in self._hosts)
        then = sum(traffic_share(host, self._everyone, self.pending.weights) for host in self._hosts)
        return _line(_("all hosts"), _range(lives), _range(values), (now, then), max(values, default=0), Text(""))

    def _host_line(self, host: HostRunView) -> _Line:
        paint, value = paint_of(self.app), self._value(host)
        shares = (
            traffic_share(host, self._everyone, {}), traffic_share(host, self._everyone, self.pending.weights)
        )  # fmt: skip
        seen = Text(" ").join(_seen(weight, paint) for weight in host.weights)
        return _line(host.name, str(live_weight(host)), str(value), shares, value, seen)


def _seen(weight: WeightView, paint: Paint) -> Text:
    text = Text(_("was {weight}").format(weight=weight.recorded), paint.dim)
    return text.append(" ").append_text(verified_mark(weight, paint))


def _line(name: str, live: str, value: str, shares: tuple[float, float], filled: int, seen: Text) -> _Line:
    changed = live != value
    weight = _("weight {live} → {pending}") if changed else _("weight {live}")
    now, then = map(percent, shares)
    share = _("traffic {now} → {then}") if now != then else _("traffic {now}")
    return _Line(name, weight.format(live=live, pending=value), share.format(now=now, then=then), filled, seen, changed)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _range(values: list[int]) -> str:
    if not values:
        return "-"
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"
