"""What became of the last thing the operator asked for: accepted, or refused and what to do instead."""

from __future__ import annotations

from rich.text import Text

from engine.domain.problem import Problem
from screens.paint import paint_of
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone

GOOD_NEWS_S = 6.0


class Notice(Prose):
    """Good news goes away by itself; a refusal stays until the next key that asks for something."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self.display = False
        self._times = 0

    def tell(self, sentence: str, *, good: bool = True) -> None:
        self._pass_on("✔" if good else "!", sentence, Tone.OK if good else Tone.WAIT)

    def tell_under_way(self, sentence: str) -> None:
        """It is asked for, and not done yet."""
        self._pass_on("▶", sentence, Tone.RUN)

    def _pass_on(self, glyph: str, sentence: str, tone: Tone) -> None:
        self._show(Text(f"{glyph} {sentence}", style=paint_of(self.app).tone(tone)))
        times = self._times
        self.set_timer(GOOD_NEWS_S, lambda: self.clear() if times == self._times else None)

    def refuse(self, problem: Problem) -> None:
        self._show(problem_text(problem, self.app))

    def retell(self) -> None:
        """What it says was said in another language, of something that is over."""
        self.clear()

    def clear(self) -> None:
        self.display = False

    def _show(self, text: Text) -> None:
        self._times += 1
        super().say(text)
        self.display = True
