"""What can be chosen where an act's consequence is shown: the version to go back to, the step to skip, who takes an order over."""

from __future__ import annotations

from dataclasses import replace

from engine.domain.acts import AnyAct, HandOver, RollBack, Skip
from engine.kinds import registry
from screens.translate import _, tr


def with_choice(act: AnyAct, choice: str) -> AnyAct:
    """The act with that choice made; one that has nothing to choose is as it was."""
    if isinstance(act, RollBack):
        return replace(act, version=choice)
    if isinstance(act, Skip):
        return replace(act, step=choice)
    if isinstance(act, HandOver):
        return replace(act, to=choice)
    return act


def choice_line(act: AnyAct, choice: str) -> str:
    if isinstance(act, Skip):
        return _("only {step}").format(step=tr(registry.step_word(choice))) if choice else _("the whole host")
    if isinstance(act, HandOver):
        return choice
    return _("to {version}").format(version=choice) if choice else _("each host to the version it ran before")
