"""Carrying acts out: one file per act, with the rows it writes and, where it waits on the world, its effect.

Whether an act is acceptable is `engine.plan.what_if`'s to say, the same function that showed the operator its consequence.
`DOING` has one row per act; nothing else knows which act is carried out how.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain import acts
from engine.run.acts import (
    cancel,
    confirm,
    exclude,
    give_back,
    hand_over,
    initialise,
    pause,
    pause_before,
    remedy,
    resume,
    retry,
    roll_back,
    set_limits,
    set_weights,
    skip,
    start,
)
from engine.run.acts.doing import By, Doing, World

__all__ = ["DOING", "By", "Doing", "World"]

DOING: Mapping[type[acts.AnyAct], Doing] = {
    acts.Initialise: Doing(initialise.write),
    acts.Start: Doing(start.write, start.effect, start.waits_for, asked_again=True),
    acts.Pause: Doing(pause.write, ends_waits=True),
    acts.Resume: Doing(resume.write),
    acts.Confirm: Doing(confirm.write),
    acts.SetWeights: Doing(set_weights.write, set_weights.effect, set_weights.waits_for),
    acts.Retry: Doing(retry.write),
    acts.Remedy: Doing(remedy.write, remedy.effect, remedy.waits_for, asked_again=True),
    acts.Skip: Doing(skip.write),
    acts.Exclude: Doing(exclude.write),
    acts.SetLimits: Doing(set_limits.write),
    acts.PauseBefore: Doing(pause_before.write),
    acts.HandOver: Doing(hand_over.write, hand_over.effect, hand_over.waits_for, asked_again=True),
    acts.Cancel: Doing(cancel.write, withdraws=True),
    acts.RollBack: Doing(
        roll_back.write,
        roll_back.effect,
        roll_back.waits_for,
        begins=roll_back.begins,
        asked_again=True,
        refused=roll_back.refused,
        withdraws=True,
    ),
    acts.GiveBack: Doing(give_back.write, give_back.effect, give_back.waits_for),
}
