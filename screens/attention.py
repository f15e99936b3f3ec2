"""What calls a person back to the terminal: its title says how the order on the screen is, its bell rings when that needs somebody.

Pure; what is written to the terminal, and whether it may ring, is the app's.
"""

from __future__ import annotations

from engine.domain.states import OrderState, Shown
from engine.views.orders import OrderView
from screens import words
from screens.filters import in_ascii, without_hostile_text
from screens.translate import _

# characters; a longer one is cut off by every terminal anyway
LONGEST_TITLE = 80
_CALLS = (OrderState.READY, OrderState.INIT_FAILED, OrderState.WAITING, OrderState.HALTED)


class Attention:
    """Of one order: it rings when the order comes to wait for a person, fails or ends, not for what was so when it was opened."""

    def __init__(self) -> None:
        self._was: OrderState | Shown | None = None

    def rings(self, order: OrderView) -> bool:
        before, self._was = self._was, order.shown
        return before is not None and before != order.shown and (order.state in _CALLS or order.state.complete)


def title_of(order: OrderView) -> str:
    """`‖ waiting · #12 trade-core release 2.0.0`."""
    number = _("order #{id}").format(id=order.id)
    what = f"{order.subject} {words.order_words(order.kind, order.versions)}"
    return f"{words.glyph(order.shown)} {words.word(order.shown)} · {number} {what}"


def title_sequence(title: str, *, ascii: bool) -> str:
    """What sets the title of a terminal (of the pane, in tmux). No title can end the sequence: it holds no control character."""
    shown = without_hostile_text(title)[:LONGEST_TITLE].strip()
    return f"\x1b]2;{in_ascii(shown) if ascii else shown}\x07"
