"""What an order would be, before anything is created: its flowchart, its Beta hosts, its capacity, and what forbids it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from engine.kinds import registry
from engine.views.orders import OrderedApp
from engine.views.preview import CapacityPoint, OrderPreview
from screens import words
from screens.paint import Paint, paint_of
from screens.translate import _, ngettext, tr
from screens.widgets.lanes import paint_lanes
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone


class Preview(VerticalScroll, can_focus=True):
    def __init__(self) -> None:
        super().__init__(id="preview")
        self._text = Prose()
        self._shown: OrderPreview | None = None

    def compose(self) -> ComposeResult:
        yield self._text

    def on_resize(self) -> None:
        if self._shown is not None:
            self.show(self._shown)

    def say(self, text: Text) -> None:
        self._shown = None
        self._text.say(text)

    def show(self, preview: OrderPreview) -> None:
        self._shown = preview
        paint = paint_of(self.app)
        width = max(20, self.size.width - 2)
        parts = [problem_text(problem, self.app) for problem in preview.problems]
        heading = _heading(preview, paint)
        if preview.beta_hosts:
            heading.append(f"   Beta: {' '.join(preview.beta_hosts)}", paint.plain)
        parts += [heading, *paint_lanes(preview.nodes, width, paint, 0.0).lines, Text("")]
        parts += _capacity(preview, paint)
        parts += [Text(f"· {tr(note)}", style=paint.dim) for note in preview.notes]
        self._text.say(Text("\n").join(parts))


def _heading(preview: OrderPreview, paint: Paint) -> Text:
    """What becomes of the version where one was chosen; else what is done, and to how many hosts."""
    if registry.chooses_version(preview.kind):
        several = len(preview.apps) > 1
        return Text("\n" if several else ", ").join(_becomes(app, paint, named=several) for app in preview.apps)
    hosts = ngettext("{count} host", "{count} hosts", len(preview.hosts)).format(count=len(preview.hosts))
    return Text(f"{words.kind_word(preview.kind)}: {hosts}", style=paint.strong)


def _becomes(app: OrderedApp, paint: Paint, *, named: bool) -> Text:
    said = f"{app.from_version or '-'} → {app.to_version or '-'}"
    return Text(f"{app.app} {said}" if named else said, style=paint.strong)


def _capacity(preview: OrderPreview, paint: Paint) -> list[Text]:
    """The curve: hosts in service while each node runs, as bars, with the floor marked."""
    sentence = _("in service: {now} now, {lowest} at the lowest, floor {floor}").format(
        now=preview.in_service, lowest=preview.lowest_in_service, floor=preview.floor
    )
    lines = [Text(sentence, style=paint.tone(Tone.FAIL) if preview.breaks_floor else paint.strong)]
    numbers = {node.key: words.node_word(node) for node in preview.nodes}
    names = max((Text(name).cell_len for name in numbers.values()), default=0)
    for point in preview.capacity:
        lines.append(_bar(point, numbers.get(point.node, point.node), names, preview, paint))
    if preview.breaks_floor:
        lines.append(
            Text(_("This plan must break the floor: overriding it needs a reason."), style=paint.tone(Tone.FAIL))
        )
    return lines


def _bar(point: CapacityPoint, name: str, names: int, preview: OrderPreview, paint: Paint) -> Text:
    most = 20
    cells = min(most, preview.in_service) or 1
    filled = round(point.in_service * cells / max(1, preview.in_service))
    floor = round(preview.floor * cells / max(1, preview.in_service))
    label = Text().append(f"  {name}", paint.dim)
    label.truncate(names + 4, pad=True)
    tone = paint.tone(Tone.FAIL if point.in_service < preview.floor else Tone.OK)
    for cell in range(cells):
        label.append("│" if cell == floor and floor else "", paint.dim)
        label.append("▆" if cell < filled else "▁", tone if cell < filled else paint.dim)
    return label.append(f" {point.in_service}", tone)
