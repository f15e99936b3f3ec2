"""Keys reach a screen one at a time, and text stays text: what is typed ahead, pasted or fallen onto the keyboard never acts.

The framework hands every key to whatever has the focus when it arrives, so that the letters behind a `/` reach the list below
before the field is there that `/` opens. Here a key is done with, its change of focus included, before the next is looked at.
What follows a `/` or `:` that opened no field is swallowed until the keyboard has been quiet; so is what comes in the same burst
behind the key that left a field.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any, Protocol, runtime_checkable

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key, MouseDown
from textual.message import Message
from textual.widgets import Input

TEXT_BEGINS = ("slash", "colon")
# keys that leave a field on purpose: no text has them, and who walks through a form presses the next one soon
WALKS_ON = ("escape", "tab", "shift+tab")
QUIET_S = 1.0  # after so long without a key, what is typed is no longer part of a text
BURST_S = 0.3  # keys nearer to each other than this were not pressed by somebody who reads between them
STUCK_S = 1.0  # a key whose widget does not answer is not waited for any longer
GONE_S = 0.02  # between two looks whether the widget that a key went to is still there


@runtime_checkable
class Reluctant(Protocol):
    """A screen that looks at keys only when they can have been meant for it."""

    def takes(self, key: Key) -> bool: ...


class Patience:
    """Whether a key can have been meant for what is on the screen: pressed after it was painted, and after a moment in which
    nothing was. A stream of text never finds that moment. Times are those of the events."""

    def __init__(self) -> None:
        self.painted_at: float | None = None
        self._last_at = 0.0
        self._patient = False

    def painted(self, at: float) -> None:
        if self.painted_at is None:
            self.painted_at = at

    def again(self, at: float) -> None:
        """Something was typed that has no meaning here: it may be a text, and the moment is waited for anew, a longer one."""
        self._patient, self._last_at = False, at + QUIET_S - BURST_S

    def takes(self, at: float) -> bool:
        if not self._patient and self.painted_at is not None:
            self._patient = at - max(self.painted_at, self._last_at) >= BURST_S
        self._last_at = max(at, self._last_at)
        return self._patient

    def ready(self, at: float) -> bool:
        """Whether a key pressed at `at` would be taken; asking changes nothing."""
        return self._patient or (self.painted_at is not None and at - max(self.painted_at, self._last_at) >= BURST_S)


class TypedAhead(App[None]):
    class KeyDone(Message):
        """Follows a key through the same widgets: when it arrives, the key has been everywhere. What the key made its widget say
        (that Enter was pressed in a field) is still under way then; a second one behind it arrives when that was heard."""

        def __init__(self, key: Key, target: DOMNode, *, heard: bool) -> None:
            super().__init__()
            self.key, self.target, self.heard = key, target, heard

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pressed = ""  # the key that is looked at now or was last; empty behind a click
        self.pressed_at = 0.0  # when, by the clock of events
        self._waiting: deque[Key] = deque()
        self._in_hand: Key | None = None
        self._typed_into: object = None  # the field that had the focus before the key that is looked at
        self._text_until = 0.0  # swallow what is typed before that
        self._gap_s = 0.0  # and what is typed so soon behind what was swallowed

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key) and not event.is_forwarded:
            self._waiting.append(event)
            if self._in_hand is not None:
                stuck = self._in_hand
                self.set_timer(STUCK_S, lambda: self._done(stuck))
            await self._look_at_keys()
            return
        if isinstance(event, MouseDown):
            self.pressed = ""
        await super().on_event(event)

    async def _look_at_keys(self) -> None:
        while self._in_hand is None and self._waiting:
            key = self._waiting.popleft()
            if self._swallowed(key) or (isinstance(self.screen, Reluctant) and not self.screen.takes(key)):
                continue
            self._in_hand, self.pressed, self.pressed_at = key, key.key, key.time
            target = self.focused or self.screen
            self._typed_into = target if isinstance(target, Input) else None
            await super().on_event(key)
            # a letter is in its field at once; any other key may be answered by a message
            if not target.post_message(self.KeyDone(key, target, heard=key.is_printable)):
                self._in_hand = None

    def on_typed_ahead_key_done(self, event: KeyDone) -> None:
        """What the key has set going in this queue, a change of focus, comes first. What opens a field may need a frame for it."""
        event.stop()
        if not event.heard and event.target.post_message(self.KeyDone(event.key, event.target, heard=True)):
            self.set_timer(GONE_S, partial(self._done_when_gone, event.key, event.target))
            return
        if event.key.key in TEXT_BEGINS:
            self.screen.call_after_refresh(self.call_later, self._done, event.key)
        else:
            self.call_later(self._done, event.key)

    async def _done_when_gone(self, key: Key, target: DOMNode) -> None:
        """A widget that was taken away meanwhile (a dialogue that Enter has closed) passes nothing on."""
        if key is not self._in_hand:
            return
        if target.is_attached and target.is_running:
            self.set_timer(GONE_S, partial(self._done_when_gone, key, target))
        else:
            await self._done(key)

    async def _done(self, key: Key) -> None:
        if key is not self._in_hand:
            return
        self._in_hand = None
        if not isinstance(self.focused, Input):
            if self._typed_into is not None and key.key not in WALKS_ON:
                self._swallow(key, BURST_S)
            elif key.key in TEXT_BEGINS:
                self._swallow(key, QUIET_S)
        await self._look_at_keys()

    def swallows(self, at: float) -> bool:
        """Whether a letter typed at `at` belongs to a text that nobody reads; by the clock of events."""
        return at < self._text_until and not isinstance(self.focused, Input)

    def _swallowed(self, key: Key) -> bool:
        if key.key in WALKS_ON or not self.swallows(key.time):
            return False
        self._swallow(key, self._gap_s)
        return True

    def _swallow(self, behind: Key, gap_s: float) -> None:
        self._text_until, self._gap_s = behind.time + gap_s, gap_s
