"""The top line of every screen: where one is (tenant / workspace / app / order), whether an engine is alive, and whether weights
were left behind that no living order owns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from screens.paint import paint_of
from screens.translate import _, ngettext
from screens.widgets.lines import Lines
from screens.words import Tone

NARROW = 60  # below so many cells the words go to where one is


class Crumbs(Lines):
    """A production workspace's line has its own colour and says so in words too."""

    def __init__(self) -> None:
        super().__init__()
        self._trail: tuple[str, ...] = ()
        self._alive: bool | None = None
        self._production = False
        self._orphans = 0

    def show(self, trail: Sequence[str], *, production: bool, alive: bool | None, orphans: int = 0) -> None:
        """`alive` None: not known yet. `orphans`: weights left behind."""
        self._trail, self._production, self._alive, self._orphans = tuple(trail), production, alive, orphans
        self.set_class(production, "-production")
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        engine = self._left_behind().append_text(self._engine())
        width = max(0, self.size.width)
        trail = Text(" / ".join(part for part in self._trail if part), style="bold")
        room = max(0, width - engine.cell_len - 1)
        if self._production:
            mark = _("production")
            # The mark stays, however long the trail
            trail.truncate(max(0, room - cell_len(mark) - 4), overflow="ellipsis")
            trail.append("  [").append(mark).append("]")
        trail.truncate(room, overflow="ellipsis", pad=True)
        self.draw(trail.append(" ").append_text(engine))

    def _left_behind(self) -> Text:
        if not self._orphans:
            return Text("")
        said = ngettext("{count} weight left behind (z)", "{count} weights left behind (z)", self._orphans)
        style = "bold reverse" if self._production else paint_of(self.app).tone(Tone.FAIL) + Style(reverse=True)
        return Text().append(f" ! {said.format(count=self._orphans)} ", style).append(" ")

    def _engine(self) -> Text:
        if self._alive is None:
            return Text("")
        if self._alive:
            return Text("●") if self.size.width < NARROW else Text("● ").append(_("engine alive"))
        style = "bold" if self._production else paint_of(self.app).tone(Tone.FAIL)
        return Text("○ ", style=style).append(_("no engine"))
