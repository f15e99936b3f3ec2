"""The log of one host: only the lines in sight are read, cut off at the right edge or wrapped.

It follows the end until the operator scrolls up; then it stands still and says how many lines came since. Its place is the line
at the top and, where lines are wrapped, how many rows of that line are above the edge, so that no row of a line that is not in
sight has to be known.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.filters import without_hostile_text
from screens.paint import paint_of, strip_of
from screens.translate import N_, language, retold
from screens.widgets.log_file import LogFile
from screens.widgets.log_search import matches_case
from screens.widgets.rows import rows_of
from screens.words import Tone

# columns of the terminal under which lines are wrapped, unless the operator says otherwise
WRAPS_BELOW = 100
_OURS = re.compile(r"(?P<head>── \d\d:\d\d:\d\d )(?P<said>.+)")
# a line of several hosts' merged log: when and whose
_MERGED = re.compile(r"\d\d:\d\d:\d\d \S+ *│ ")
_ALARMING = re.compile(r"\b(ERROR|FATAL|SEVERE|Exception|Traceback)\b|No space left|Not Found|timed? ?out")


class LogView(ScrollView, can_focus=True):
    POLL_S: ClassVar[float] = 0.2
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", N_("line down"), show=False),
        Binding("up,k", "move(-1)", N_("line up"), show=False),
        Binding("pagedown,space", "page(1)", N_("page down"), show=False),
        Binding("pageup", "page(-1)", N_("page up"), show=False),
        Binding("home", "first", N_("first line"), show=False),
        Binding("end,G,f", "follow", N_("follow the end"), show=False),
        Binding("right", "aside(8)", N_("to the right"), show=False),
        Binding("left", "aside(-8)", N_("to the left"), show=False),
        Binding("w", "wrap", N_("wrap")),
    ]

    class Changed(Message):
        """It follows or stands still, or lines came."""

    def __init__(self) -> None:
        super().__init__()
        self._file: LogFile | None = None
        self.following = True
        self.unseen = 0
        self._chosen_wrap: bool | None = None
        self._bars_asked: tuple[bool, bool] | None = None  # across, down
        # rows of the top line that are above the edge
        self._hidden_rows = 0
        # the line that it goes to by itself; a wheel or the scrollbar goes elsewhere
        self._aimed_at = 0
        self._wanted = ""
        self._found_at: int | None = None
        # lines read together, and the number of the first
        self._window: tuple[int, list[str]] = (0, [])

    @property
    def lines(self) -> int:
        return self._file.lines if self._file else 0

    @property
    def hidden_mb(self) -> int:
        """Of the file, before the first line that is known."""
        return -(-self._file.begin // 1_000_000) if self._file else 0

    @property
    def path(self) -> str:
        return self._file.path if self._file else ""

    @property
    def _width(self) -> int:
        """Cells that can be seen: the scrollbar has its own."""
        return max(1, self.scrollable_content_region.width)

    @property
    def wraps(self) -> bool:
        return self.app.size.width < WRAPS_BELOW if self._chosen_wrap is None else self._chosen_wrap

    def open(self, path: str) -> None:
        """Show this file from its end on; it may not exist yet."""
        if path == self.path:
            return
        self._file = LogFile(path) if path else None
        self._found_at = None
        if self._file is not None:
            self._file.grow()
        self._fit()
        self.action_follow()
        self.refresh()

    def on_mount(self) -> None:
        self.set_interval(self.POLL_S, self.read_more)

    def retell(self) -> None:
        """The names of steps are told in the language of the moment."""
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        self._bars_asked = None
        self._fit()
        if self.following:
            self.action_follow()

    def read_more(self) -> None:
        """Take in what was appended; paint only if that is in sight."""
        before = self.lines
        if self._file is None or not self.display or not self._file.grow(keep=not self.following):
            return
        added = self.lines - before
        self._fit()
        if self.following:
            self.action_follow()
            self.refresh()
        elif added > 0:
            self.unseen += added
        self.post_message(self.Changed())

    def _fit(self) -> None:
        """Scroll over as many lines as there are now. The screen is laid out again only when a scrollbar comes or goes: a log that
        grows is painted several times a second."""
        self._window = (0, [])
        size = self._size_of_all()
        too_wide = size.width > self.container_size.width and self.styles.overflow_x != "hidden"
        too_long = size.height > self.container_size.height
        bars = (too_wide, too_long)
        if bars == (self.show_horizontal_scrollbar, self.show_vertical_scrollbar):
            self._bars_asked = None
        elif bars != self._bars_asked:  # asked for once: under a dialogue no bar comes or goes
            self._bars_asked = bars
            self.virtual_size = size
            self.call_after_refresh(self._barred)
            return
        self.set_reactive(LogView.virtual_size, size)
        if self.show_horizontal_scrollbar:
            self.horizontal_scrollbar.window_virtual_size = size.width
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = size.height

    def _barred(self) -> None:
        """A scrollbar that came or went leaves another width to wrap in."""
        self._fit()
        if self.following:
            self.action_follow()
            self.refresh()

    def _size_of_all(self) -> Size:
        if self._file is None:
            return Size(0, 0)
        if not self.wraps:
            return Size(max(self._width, self._file.widest), self.lines)
        line, hidden = self._place_of_end()
        if (line, hidden) == (0, 0):
            return Size(self._width, min(self.lines, self.container_size.height))
        # scrolled down as far as it goes, the line that is at the top when the end is in sight is there; a row more for a bar
        # where one line is longer than the view
        return Size(self._width, max(line, 1 if hidden else 0) + self.container_size.height)

    # ---- where it stands

    @property
    def _place(self) -> tuple[int, int]:
        return self.scroll_offset.y, self._hidden_rows if self.wraps else 0

    def _place_of_end(self) -> tuple[int, int]:
        """The place from which the last line is at the bottom."""
        height = self.container_size.height
        if not self.wraps:
            return max(0, self.lines - height), 0
        line = self.lines
        while line > 0 and height > 0:
            line -= 1
            height -= len(self._rows_of(line))
        return line, max(0, -height)

    def _go(self, line: int, hidden_rows: int = 0) -> None:
        self._hidden_rows, self._aimed_at = hidden_rows, line
        if line == self.scroll_offset.y:
            self.refresh()
            self._arrived()
        else:
            self.scroll_to(y=line, animate=False, force=True)

    def _arrived(self) -> None:
        """It follows when the end is in sight, and only then."""
        at_end = self._place >= self._place_of_end()
        if at_end:
            self.unseen = 0
        self.following = at_end
        self.post_message(self.Changed())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self.wraps:
            if new_value < old_value and new_value < self.max_scroll_y:
                self.following = False
            elif new_value >= self.max_scroll_y:
                self.following, self.unseen = True, 0
            self.post_message(self.Changed())
            return
        if round(new_value) != self._aimed_at:
            self._hidden_rows = 0
        end = self._place_of_end()
        if (round(new_value), self._hidden_rows) > end:
            self._go(*end)
            return
        self._arrived()

    # ---- moving

    def action_follow(self) -> None:
        self.following, self.unseen = True, 0
        self._go(*self._place_of_end())
        self.post_message(self.Changed())

    def action_first(self) -> None:
        """To the first line that is known; from there a piece further back each time."""
        if self._place == (0, 0):
            self._read_earlier()
        self._go(0)

    def _read_earlier(self) -> None:
        if self._file is None:
            return
        came = self._file.earlier()
        if came:
            line, hidden = self._place
            self._fit()
            self.following = False
            self._go(line + came, hidden)

    def action_move(self, rows: int) -> None:
        """Down by so many rows, or up."""
        if rows < 0 and self._place == (0, 0):
            self._read_earlier()
        end = self._place_of_end()
        line, hidden = self._place
        while rows > 0 and (line, hidden) < end:
            hidden, rows = hidden + 1, rows - 1
            if hidden >= len(self._rows_of(line)):
                line, hidden = line + 1, 0
        while rows < 0 and (line, hidden) > (0, 0):
            rows += 1
            if hidden:
                hidden -= 1
            else:
                line, hidden = line - 1, len(self._rows_of(line - 1)) - 1
        self._go(line, hidden)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 1))

    def action_aside(self, by: int) -> None:
        self.scroll_to(x=max(0, self.scroll_offset.x + by), animate=False, force=True)

    def action_wrap(self) -> None:
        """Lines are wrapped, or cut off at the right edge; the line at the top stays."""
        self._chosen_wrap = not self.wraps
        self._hidden_rows = 0
        following = self.following
        self.scroll_to(x=0, animate=False, force=True)
        self._fit()
        self.refresh(layout=True)
        if following:
            self.call_after_refresh(self.action_follow)
        self.post_message(self.Changed())

    # ---- what was looked for

    @property
    def search_from(self) -> int:
        """A search upwards begins in front of this byte of the file: the last find, else what is below the last row in sight."""
        if self._file is None:
            return 0
        if self._found_at is not None:
            return self._found_at
        return self._file.offset_of(min(self.lines, self.scroll_offset.y + self.size.height))

    def mark(self, wanted: str) -> None:
        """Show where lines in sight say `wanted`; nothing marks nothing."""
        self._wanted = wanted
        self._found_at = None
        self.refresh()

    def show_find(self, offset: int) -> None:
        """Bring the line that holds this byte into sight, a third of the way down."""
        if self._file is None:
            return
        self._found_at = offset
        line = self._file.line_at(offset)
        self._fit()
        self.following = False
        above = self.size.height // 3
        while line > 0 and above > 0:
            line -= 1
            above -= len(self._rows_of(line))
        self._go(*min((line, 0), self._place_of_end()))
        self.refresh()

    # ---- painting

    def render_line(self, y: int) -> Strip:
        width, base = self._width, self.rich_style
        row = self._row(y)
        if row is None:
            return Strip.blank(width, base)
        left = 0 if self.wraps else self.scroll_offset.x
        return strip_of(row, self.app).apply_style(base).crop_extend(left, left + width, base)

    def _row(self, y: int) -> Text | None:
        line, y = self.scroll_offset.y, y + self._hidden_rows if self.wraps else y
        if not self.wraps:
            return self._styled(line + y) if line + y < self.lines else None
        while line < self.lines:
            rows = self._rows_of(line)
            if y < len(rows):
                return rows[y]
            line, y = line + 1, y - len(rows)
        return None

    def _rows_of(self, line: int) -> list[Text]:
        if not self.wraps:
            return [Text()]
        return rows_of(self._styled(line), self._width)

    def _line(self, at: int) -> str:
        """A line in sight; all that are in sight are read at once."""
        first, found = self._window
        if self._file is not None and not first <= at < first + len(found):
            height = max(self.size.height, 1)
            first = max(0, at - height)
            found = self._file.read(first, 2 * height)
            self._window = (first, found)
        return found[at - first] if at - first < len(found) else ""

    def _styled(self, at: int) -> Text:
        paint = paint_of(self.app)
        line = self._line(at)
        whose = found.group() if (found := _MERGED.match(line)) else ""
        line = _told(line[len(whose) :])
        text = Text(without_hostile_text(line.rstrip("\r").replace("\t", "    ")), end="")
        if line.startswith("── "):
            text.stylize(paint.tone(Tone.RUN) + paint.strong)
        elif _ALARMING.search(line):
            text.stylize(paint.tone(Tone.FAIL))
        if whose:
            text = Text(without_hostile_text(whose), paint.dim, end="").append_text(text)
        if self._wanted:
            flags = 0 if matches_case(self._wanted) else re.IGNORECASE
            for match in re.finditer(re.escape(self._wanted), text.plain, flags):
                text.stylize("reverse", *match.span())
        return text


def _told(line: str) -> str:
    """A line that the engine wrote between the host's own (`── 12:11:20 deploy`), in the operator's language."""
    ours = _OURS.fullmatch(line)
    return line if ours is None else ours["head"] + retold(ours["said"], language())
