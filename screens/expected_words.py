"""When an order will be done, in words: on its screen and on the command line."""

from __future__ import annotations

import time

from engine.views.expected import ExpectedView
from screens import words
from screens.translate import _, ngettext


def left(expected: ExpectedView, now: float) -> str:
    """`ends 12:24, p90 12:26`; while people have still to act `left 01:30, p90 02:10 + 1 wait`: nobody knows when they will.
    Two times that read the same are told once."""
    if expected.left_p50_s is None or expected.left_p90_s is None:
        return _("end unknown")
    if not expected.people:
        ends = {"p50": _clock(now + expected.left_p50_s), "p90": _clock(now + expected.left_p90_s)}
        once = ends["p50"] == ends["p90"]
        return (_("ends {p50}") if once else _("ends {p50}, p90 {p90}")).format(**ends)
    p50, p90 = words.elapsed(0, expected.left_p50_s), words.elapsed(0, expected.left_p90_s)
    work = (_("left {p50}") if p50 == p90 else _("left {p50}, p90 {p90}")).format(p50=p50, p90=p90)
    waits = ngettext("{count} wait", "{count} waits", expected.people).format(count=expected.people)
    return f"{work} + {waits}"


def waited(expected: ExpectedView) -> str:
    """`08:15 of it waiting`; nothing where nobody was waited for."""
    if expected.waited_s < 1:
        return ""
    return _("{time} of it waiting").format(time=words.elapsed(0, expected.waited_s))


def _clock(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))


def lines(expected: ExpectedView, now: float) -> list[str]:
    """For `cockpit order show`: the time so far, and what is to come."""
    so_far = {"worked": words.elapsed(0, expected.worked_s), "waited": words.elapsed(0, expected.waited_s)}
    found = [_("worked {worked}, waited for people {waited}").format(**so_far)]
    found.append(_("expected: {left}").format(left=left(expected, now)))
    if expected.unknown:
        steps = ", ".join(expected.unknown[:3]) + (", …" if len(expected.unknown) > 3 else "")
        found.append(_("no times are recorded yet of {steps}").format(steps=steps))
    return found
