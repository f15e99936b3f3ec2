"""The one vocabulary of states, used by tables, screens, command line and JSON alike.

A state knows whether it is `complete` (nothing follows by itself or by an act on the same row) and whether it `halts`
(nothing goes on until a person acts), so that no caller keeps lists of states of its own.
"""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    INITIALISING = "initialising"
    INIT_FAILED = "init_failed"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    HALTED = "halted"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def complete(self) -> bool:
        return self in (self.CANCELLED, self.ROLLED_BACK, self.SUCCEEDED, self.FAILED)

    @property
    def halts(self) -> bool:
        return self in (self.INIT_FAILED, self.READY, self.WAITING, self.HALTED)


class NodeKind(StrEnum):
    INITIALISE = "initialise"
    BETA = "beta"
    GROUP = "group"
    GATE = "gate"
    FINISH = "finish"

    @property
    def runs_hosts(self) -> bool:
        return self in (self.BETA, self.GROUP)


class NodeState(StrEnum):
    """The state of a node of the flowchart; DOMAIN's group states, used for gates and the two ends as well."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    HALTED = "halted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def complete(self) -> bool:
        return self in (self.SUCCEEDED, self.FAILED, self.CANCELLED)

    @property
    def halts(self) -> bool:
        return self in (self.WAITING, self.HALTED)


class Shown(StrEnum):
    """What is shown in place of a state: a pause halts an order or a node without anything being wrong, and a host that was
    called off before it began is as it was; one that was taken out of the order is none of its own."""

    PAUSED = "paused"
    UNTOUCHED = "untouched"
    EXCLUDED = "excluded"


class RunState(StrEnum):
    """The state of one host in one direction of an order."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def complete(self) -> bool:
        return self not in (self.PENDING, self.RUNNING)

    @property
    def halts(self) -> bool:
        return self is self.FAILED


class Leaving(StrEnum):
    """How a host leaves an order before its end: `skipped`, the order goes on without what is left to do there, and a way back
    still returns it; `excluded`, the order has nothing to do with it any more."""

    STAYS = ""
    SKIPPED = "skipped"
    EXCLUDED = "excluded"


class StepState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"

    @property
    def complete(self) -> bool:
        return self not in (self.PENDING, self.RUNNING)

    @property
    def halts(self) -> bool:
        return self in (self.FAILED, self.TIMED_OUT)


class Direction(StrEnum):
    FORWARD = "forward"
    BACK = "back"


class Strategy(StrEnum):
    QUICK = "quick"
    ONE_GROUP = "one_group"
    ONE_PER_GROUP = "one_per_group"
    BY_CELL = "by_cell"


class TrafficMode(StrEnum):
    SNAPSHOT = "snapshot"
    GRAY = "gray"
    PRESET = "preset"


class HostState(StrEnum):
    UNALLOCATED = "unallocated"
    INITIALISING = "initialising"
    INITIALISE_FAILED = "initialise_failed"
    READY = "ready"
    DEPLOYING = "deploying"
    DEPLOY_FAILED = "deploy_failed"
    DEPLOYED = "deployed"
    OFFLINE = "offline"


class AppStatus(StrEnum):
    CREATING = "creating"
    CREATED = "created"
    CREATE_FAILED = "create_failed"
    DELETING = "deleting"
    DELETE_FAILED = "delete_failed"


class StackStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    DEPRECATED = "deprecated"


class Health(StrEnum):
    """Whether a host answers behind its balancer. What nobody can tell counts as out of service."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class Verified(StrEnum):
    """What reading a weight back said: the balancer shows the asked weight, shows another, or could not be read."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot_tell"


class Act(StrEnum):
    """The name of what an operator can ask of an order; what each needs to know is in `engine.domain.acts`."""

    INITIALISE = "initialise"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CONFIRM = "confirm"
    SET_WEIGHTS = "set_weights"
    RETRY = "retry"
    REMEDY = "remedy"  # what a failure card offers as a step
    SKIP = "skip"
    EXCLUDE = "exclude"
    SET_LIMITS = "set_limits"
    PAUSE_BEFORE = "pause_before"
    HAND_OVER = "hand_over"
    CANCEL = "cancel"
    ROLL_BACK = "roll_back"
    GIVE_BACK = "give_back"  # weights that an order left behind when it ended


class CommandState(StrEnum):
    """A command is `sent` by an operator, then `accepted` or `refused` by the engine, with a reason when refused. One that waits
    on the world is `working` in between."""

    SENT = "sent"
    WORKING = "working"
    ACCEPTED = "accepted"
    REFUSED = "refused"

    @property
    def answered(self) -> bool:
        return self in (self.ACCEPTED, self.REFUSED)
