"""What the engine asks of the world: hosts, packages, balancers and the clock. Each port has one real adapter, one in the
simulation, and a contract test that both must pass.

Every method that waits has a deadline of its own and raises only its port's error family, each with a `Problem`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from engine.domain.archive import Member
from engine.domain.fleet import Host, MountWeight, ObjectRef, Region, ServerGroup
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Health

# ---------------------------------------------------------------------------------------------------------------- clock


class Clock(Protocol):
    def now(self) -> float:
        """Epoch seconds, UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...


# --------------------------------------------------------------------------------------------------------------- remote


class RemoteError(ProblemError):
    """A host or a hop could not be used, or refused. `problem.code` says which: `jump_host_unreachable`,
    `host_unreachable`, `host_key_*`, `host_authority_*`, `host_certificate_*`, `agent_*`, `permission_denied`, `link_lost`,
    `job_epoch_refused`, `job_vanished`, `disk_full`, `remote_deadline`, `host_key_unreadable`, `one_time_password_missing`,
    `one_time_password_refused`, `forwarding_refused`, `no_shell`, `password_expired`, `login_waits`, `login_talks`,
    `job_refused`, `tool_missing`, `folder_unwritable`, `no_common_algorithm`, `ssh_algorithm_unknown`."""


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """`exit_status` None: the link broke before it was known, which is never success. `output` is stdout and stderr of
    the script, raw, cut at `limit` bytes; what the login said before is none of it."""

    exit_status: int | None
    output: bytes


@dataclass(frozen=True, slots=True)
class RemoteStep:
    """One step as a piece of POSIX sh, built by `engine.steps`, run by the job's runner in a subshell of its own process group.

    `secrets` are values the body may use as unexported shell variables (`$secret_url`); they travel on stdin at the
    launch and are never written to the host's disk, to an argument list or to a log.
    """

    name: str
    body: str
    deadline_s: float
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """The consecutive remote steps of one host in one attempt. It lives on the host in
    `~/.cockpit/jobs/<order>-<when it was created>-<host>/`: an order of another store with the same number is another order.

    `key` names the attempt within that folder (`forward-group-2-1`). `epoch` grows with every takeover of the order: the host
    refuses an older one. `variables` are exported to every step. `setup` is a digest of what the steps set up, kept with the job's
    record.
    """

    order_id: int
    host: Host
    key: str
    epoch: int
    steps: tuple[RemoteStep, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    order_created_at: float = 0.0  # epoch seconds
    setup: str = ""


@dataclass(frozen=True, slots=True)
class StepStarted:
    step: str
    at: float  # the host's clock, epoch seconds
    offset: int  # of the host's log, bytes, just behind this record


@dataclass(frozen=True, slots=True)
class StepEnded:
    step: str
    exit_status: int
    timed_out: bool
    at: float
    offset: int


@dataclass(frozen=True, slots=True)
class LogBytes:
    """Output of the running step, raw. `offset` is that of the byte behind it in the host's log."""

    data: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The runner has ended: every step succeeded, or the last `StepEnded` says why not. `stopped`: it was stopped by us."""

    stopped: bool
    offset: int


JobEvent = StepStarted | StepEnded | LogBytes | JobEnded


class Since(StrEnum):
    """What became of a host after a job of ours had ended there."""

    SAME = "same"  # it was not restarted, and no job of another order has begun
    RESTARTED = "restarted"
    ANOTHER = "another"  # a job of another order has begun, from this store or from another one
    UNKNOWN = "unknown"  # its record does not say when it ended


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the host has found: whether it is as the step left it, and the last line of what it printed."""

    holds: bool
    said: str


@dataclass(frozen=True, slots=True)
class Recall:
    """What a host says of a job of earlier. `found`: its record is there; else the rest says nothing. `done` are the steps that
    ended well by that record, `looks` those that were looked at. `same_setup`: the job's `setup` was the one that is asked
    about."""

    found: bool
    done: frozenset[str] = frozenset()
    since: Since = Since.UNKNOWN
    looks: Mapping[str, Look] = field(default_factory=dict)
    same_setup: bool = False


class StopOutcome(StrEnum):
    STOPPED = "stopped"  # the process group is gone, verified
    ALREADY_ENDED = "already_ended"
    NEVER_STARTED = "never_started"  # it can no longer be: its place is taken. The same answer every time


class Remote(Protocol):
    async def run(
        self,
        host: Host,
        script: str,
        *,
        stdin: bytes = b"",
        deadline_s: float = 30.0,
        limit: int = 1_048_576,
        for_job: bool = False,
    ) -> RemoteResult:
        """Run a short piece of POSIX sh that changes nothing or may be run again. `for_job`: refuse as `follow` would where no job
        could be set up. Raises RemoteError."""
        ...

    def follow(self, job: Job, offset: int = 0) -> AsyncIterator[JobEvent]:
        """Start the job or, if it was started before, re-attach to it, and yield what happened behind `offset` of its log, in
        order, up to and including `JobEnded`.

        A lost link is re-attached inside, with backoff, until the job's deadlines are spent; then RemoteError `link_lost`.
        Closing the iterator leaves the job running on the host.
        """
        ...

    async def stop(self, job: Job) -> StopOutcome:
        """Stop the job's process group and verify that it is gone. Raises RemoteError."""
        ...

    async def recall(self, job: Job) -> Recall:
        """What the host knows of a job of earlier, and whether what it did is still so. The job's steps are looks: pieces of sh
        that change nothing and end with 0 when it is; they find in `$ck_ended` the start that a process would have had when the
        job ended (as in /proc/<pid>/stat). Starts and stops nothing. Raises RemoteError."""
        ...

    def log_in_anew(self, hosts: Sequence[Host]) -> None:
        """Somebody tries again what failed: use no login at these hosts from before now, and tell no old refusal again. What is
        at work goes on; a shared login of a jump host stays unless something was refused behind it."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What an SSH server asks during a login (keyboard-interactive): a one-time password, mostly. Its words are cleaned.

    `echo`: the answer may be seen while it is typed. `attempt` counts from 1; above that the answer before was refused.
    """

    hop: str
    login: str  # user@address:port
    is_jump: bool
    instruction: str
    text: str
    echo: bool
    attempt: int


class Asker(Protocol):
    async def ask(self, question: Question, deadline_s: float) -> str | None:
        """A person's answer; None when nobody gave one within `deadline_s`. Raises nothing of its own. The answer is a secret:
        it is never stored, logged or shown. Cancelling withdraws the question."""
        ...


# ------------------------------------------------------------------------------------------------------------- packages


class PackagesError(ProblemError):
    """OSS could not answer, or said no. Codes: `package_missing`, `bucket_missing`, `oss_denied`, `oss_credentials`,
    `oss_unreachable`, `oss_failed`, `oss_clock_skew`, `archive_broken`, `archive_not_read`."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    size: int
    etag: str  # without quotes
    crc64: str  # decimal, may be empty
    md5: str  # upper-case hex when the ETag is the content's MD5 (a Normal object), else empty


class Packages(Protocol):
    async def head(self, object: ObjectRef) -> ObjectFacts:
        """The object's facts now. Raises PackagesError."""
        ...

    async def contents(self, object: ObjectRef) -> tuple[Member, ...]:
        """What is in the object, a .tar.gz, by its list. Raises PackagesError: `archive_broken` when it is none, and
        `archive_not_read` when it could not be read through in its time."""
        ...

    def signed_url(self, object: ObjectRef, expires_s: int) -> str:
        """A V4-signed GET URL. It is a secret: it goes to curl on stdin only. Raises PackagesError `oss_credentials`."""
        ...


# ------------------------------------------------------------------------------------------------------------ balancers


class BalancerError(ProblemError):
    """A balancer call that did not end well. `request_id` and `api_code` are the service's own, empty if there was no answer;
    `brief` is what happened in a few words (`503 ServiceUnavailable`, `connection refused`)."""

    def __init__(self, problem: Problem, *, api_code: str = "", request_id: str = "", brief: str = "") -> None:
        super().__init__(problem)
        self.brief = brief or api_code or problem.code
        self.api_code = api_code
        self.request_id = request_id


class BalancerBusy(BalancerError):
    """A previous change is still pending (`balancer_busy`): nothing was changed; ask again in 3–5 s."""


class BalancerThrottled(BalancerError):
    """Too many calls (`balancer_throttled`): nothing was changed; back off and slow down."""


class BalancerUnknown(BalancerError):
    """5xx, a socket error, a body that cannot be read (`balancer_unknown`): it may or may not have happened; read it back."""


class BalancerRefused(BalancerError):
    """A definite no (`balancer_refused`, `balancer_credentials`, `balancer_denied`, `balancer_not_found`): do not repeat."""


class Balancers(Protocol):
    """One call, one answer: no retries in here. Retrying, pacing and reading back are the weight ledger's."""

    async def read_weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        """(server id, port) → weight; port is 0 in a default group. Raises BalancerError."""
        ...

    async def read_health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health]:
        """(server id, port) → what the balancer's own health check says of it now; port is 0 in a default group. Empty when the
        group has no health check; a server that has not been checked yet is UNKNOWN. Raises BalancerError."""
        ...

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        """Set the weights of up to 20 servers of the group, leaving the others alone; returns the request id."""
        ...


class Cloud(Protocol):
    """Makes the cloud ports for a workspace, whose regions say which endpoints to talk to."""

    def packages(self, regions: Sequence[Region]) -> Packages: ...

    def balancers(self, regions: Sequence[Region]) -> Balancers: ...
