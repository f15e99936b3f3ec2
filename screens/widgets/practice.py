"""On a practice fleet: that it is one, how to break something on it, and where its orders are kept. Nothing on a real one."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual.widgets import Static

from screens.cockpit import cockpit_of
from screens.paint import paint_of
from screens.translate import _


class PracticeNote(Static):
    DEFAULT_CSS = "PracticeNote { height: auto; display: none; }"

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def on_mount(self) -> None:
        self.retell()

    def retell(self) -> None:
        practice = cockpit_of(self).practice
        if practice is None:
            return
        paint = paint_of(self.app)
        heading = _("A practice fleet on this machine. Break something on it, in another terminal:")
        others = _("{command} lists more; off after a fault heals it.").format(command=practice.faults)
        kept = _("Everything is kept in {file}.").format(file=_short(practice.store))
        lines = [
            Text(heading, style=paint.strong),
            Text(f"  {practice.fault}"),
            Text(others),
            Text(kept, style=paint.dim),
        ]
        self.update(Text("\n").join(lines))
        self.display = True


def _short(file: Path) -> str:
    try:
        return f"~/{file.relative_to(Path.home())}"
    except ValueError:
        return str(file)
