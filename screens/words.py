"""The words, glyphs and tones of states, steps, nodes, acts and choices: the one place that has them.

A *tone* is what colour a state is painted in (`paint.Paint` turns it into a style); a glyph always stands beside it, because
colour alone reaches neither a 16-colour terminal nor every eye.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.diagnose.remedies import REMEDIES
from engine.domain.acts import ACTS
from engine.domain.roles import Role
from engine.domain.states import (
    Act,
    AppStatus,
    HostState,
    NodeState,
    OrderState,
    RunState,
    Shown,
    StepState,
    Strategy,
    TrafficMode,
)
from engine.kinds import registry
from engine.views.acts import Outcome
from screens.translate import N_, _, learn, tr

if TYPE_CHECKING:
    from engine.views.acts import HistoryView
    from engine.views.orders import HostRunView, NodeView, RemedyView, StepView


class Tone(StrEnum):
    """Names of the palette's state colours (theme variables `state-<tone>`)."""

    OK = "ok"
    RUN = "run"
    WAIT = "wait"
    FAIL = "fail"
    BACK = "back"
    IDLE = "idle"


# state → (glyph, tone, word); order, node, run and step states share one vocabulary
_STATES: dict[str, tuple[str, Tone, str]] = {
    "initialising": ("▶", Tone.RUN, N_("initialising")),
    "init_failed": ("✗", Tone.FAIL, N_("initialisation failed")),
    "ready": ("○", Tone.WAIT, N_("ready")),
    "pending": ("·", Tone.IDLE, N_("pending")),
    "running": ("▶", Tone.RUN, N_("running")),
    "waiting": ("‖", Tone.WAIT, N_("waiting")),
    "halted": ("!", Tone.FAIL, N_("halted")),
    "paused": ("‖", Tone.WAIT, N_("paused")),
    "cancelling": ("▶", Tone.BACK, N_("cancelling")),
    "cancelled": ("⊘", Tone.IDLE, N_("cancelled")),
    "rolling_back": ("↺", Tone.BACK, N_("rolling back")),
    "rolled_back": ("↺", Tone.OK, N_("rolled back")),
    "succeeded": ("✔", Tone.OK, N_("succeeded")),
    "failed": ("✗", Tone.FAIL, N_("failed")),
    "untouched": ("·", Tone.IDLE, N_("untouched")),
    "skipped": ("»", Tone.IDLE, N_("skipped")),
    "excluded": ("»", Tone.IDLE, N_("excluded")),
    "timed_out": ("✗", Tone.FAIL, N_("timed out")),
}

_HOST_STATES: dict[HostState, tuple[str, Tone, str]] = {
    HostState.UNALLOCATED: ("·", Tone.IDLE, N_("unallocated")),
    HostState.INITIALISING: ("▶", Tone.RUN, N_("being cleaned up")),
    HostState.INITIALISE_FAILED: ("✗", Tone.FAIL, N_("clean-up failed")),
    HostState.READY: ("○", Tone.IDLE, N_("ready to deploy")),
    HostState.DEPLOYING: ("▶", Tone.RUN, N_("deploying")),
    HostState.DEPLOY_FAILED: ("✗", Tone.FAIL, N_("deploy failed")),
    HostState.DEPLOYED: ("✔", Tone.OK, N_("deployed")),
    HostState.OFFLINE: ("⊘", Tone.IDLE, N_("offline")),
}

_APP_STATUS: dict[AppStatus, tuple[str, Tone, str]] = {
    AppStatus.CREATING: ("▶", Tone.RUN, N_("creating")),
    AppStatus.CREATED: ("✔", Tone.OK, N_("created")),
    AppStatus.CREATE_FAILED: ("✗", Tone.FAIL, N_("create failed")),
    AppStatus.DELETING: ("▶", Tone.BACK, N_("deleting")),
    AppStatus.DELETE_FAILED: ("✗", Tone.FAIL, N_("delete failed")),
}

_DEEDS: dict[str, str] = {
    "answer_prompt": N_("answer a question"),
    "apply_catalogue": N_("change the catalogue"),
}

_OUTCOMES: dict[Outcome, str] = {
    Outcome.ASKED: N_("asked"),
    Outcome.AT_WORK: N_("at work"),
    Outcome.DONE: N_("done"),
    Outcome.REFUSED: N_("refused"),
    Outcome.BY_ITSELF: N_("by itself"),
}

_ROLES: dict[Role, str] = {
    Role.VIEWER: N_("viewer"),
    Role.OPERATOR: N_("operator"),
    Role.APPROVER: N_("approver"),
    Role.ADMIN: N_("admin"),
}

_STRATEGIES: dict[Strategy, str] = {
    Strategy.QUICK: N_("quick: even groups"),
    Strategy.ONE_GROUP: N_("all in one group"),
    Strategy.ONE_PER_GROUP: N_("one host per group"),
    Strategy.BY_CELL: N_("one group per cell"),
}

_TRAFFIC: dict[TrafficMode, str] = {
    TrafficMode.SNAPSHOT: N_("snapshot: weights as recorded"),
    TrafficMode.GRAY: N_("gray: weights by hand"),
    TrafficMode.PRESET: N_("preset: a weight chosen now"),
}

# what its button does on the order screen: the same as its key
_ACT_ACTIONS: dict[Act, str] = {
    Act.INITIALISE: "screen.initialise",
    Act.START: "screen.confirm",
    Act.CONFIRM: "screen.confirm",
    Act.SET_WEIGHTS: "screen.weights",
    Act.PAUSE: "screen.pause",
    Act.RESUME: "screen.pause",
    Act.RETRY: "screen.retry",
    Act.REMEDY: "screen.remedy",
    Act.SKIP: "screen.skip",
    Act.EXCLUDE: "screen.exclude",
    Act.SET_LIMITS: "screen.limits",
    Act.PAUSE_BEFORE: "screen.pause_before",
    Act.HAND_OVER: "screen.hand_over",
    Act.CANCEL: "screen.cancel",
    Act.ROLL_BACK: "screen.roll_back",
    Act.GIVE_BACK: "app.orphans",
}

# what the fields of a message may be filled in with
learn({value: look[2] for value, look in _STATES.items()})
learn(registry.step_words())
learn({str(act): row.word.text for act, row in ACTS.items()})
learn({**_DEEDS, **{str(role): word for role, word in _ROLES.items()}})
learn({name: kind.word.text for name, kind in registry.KINDS.items()})
learn({name: remedy.word.text for name, remedy in REMEDIES.items()})
learn({"published": N_("published"), "deprecated": N_("deprecated")})

AnyState = OrderState | NodeState | Shown | RunState | StepState | HostState | AppStatus


def _look(state: AnyState) -> tuple[str, Tone, str]:
    if isinstance(state, HostState):
        return _HOST_STATES[state]
    if isinstance(state, AppStatus):
        return _APP_STATUS[state]
    return _STATES[str(state)]


def glyph(state: AnyState) -> str:
    return _look(state)[0]


def tone(state: AnyState) -> Tone:
    return _look(state)[1]


def word(state: AnyState) -> str:
    return _(_look(state)[2])


def step_word(step: StepView) -> str:
    return step.title or tr(registry.step_word(step.does))


def kind_word(kind: str) -> str:
    return tr(registry.word_of(kind))


def versions_asked(kind: str, versions: str) -> str:
    """Nothing where a version is not what was asked for: of a restart, say."""
    return versions if registry.chooses_version(kind) else ""


def version_word(host: HostRunView) -> str:
    """What it runs now, as far as anybody knows."""
    return _("unknown") if host.version_unknown else host.version


def order_words(kind: str, versions: str) -> str:
    """`release 2.0.0`, `restart`."""
    return f"{kind_word(kind)} {versions_asked(kind, versions)}".rstrip()


def act_word(act: Act) -> str:
    return tr(ACTS[act].word)


def act_key(act: Act) -> str:
    """The key that asks for it on the order screen."""
    return ACTS[act].key


def helped(remedy: RemedyView) -> str:
    """How often it helped in this workspace."""
    if not remedy.tried:
        return _("not tried here yet")
    return _("helped {helped} of {tried} times here").format(helped=remedy.helped, tried=remedy.tried)


def role_word(role: Role | None) -> str:
    return _("no role") if role is None else _(_ROLES[role])


def outcome_word(outcome: Outcome) -> str:
    return _(_OUTCOMES[outcome])


def who(each: HistoryView) -> str:
    return each.operator or _("the engine")


def outcome_line(each: HistoryView) -> str:
    """`done`, `refused: no role here`, `asked`: what became of what a person asked for."""
    word = outcome_word(each.outcome)
    if each.outcome is Outcome.BY_ITSELF:
        return tr(each.problem.what) if each.problem else ""
    return f"{word}: {tr(each.problem.what)}" if each.problem else word


def act_action(act: Act) -> str:
    return _ACT_ACTIONS[act]


def strategy_word(strategy: Strategy) -> str:
    return _(_STRATEGIES[strategy])


def traffic_word(mode: TrafficMode) -> str:
    return _(_TRAFFIC[mode])


def node_word(node: NodeView) -> str:
    """`Beta confirm`, `group 2`: the name of a node of the flowchart."""
    return tr(node.label)


def when(at: float, now: float) -> str:
    """`11-29 01:22` by the local clock; with its year and without the hour when that was another year."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%m-%d %H:%M" if then.tm_year == today.tm_year else "%Y-%m-%d", then)


def elapsed(started_at: float | None, until: float) -> str:
    """`02:31`, `1:02:31`, or nothing when it has not begun. Times are seconds; never negative."""
    if started_at is None:
        return ""
    seconds = max(0, int(until - started_at))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"
