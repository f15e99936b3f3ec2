"""The sentences of `engine.plan.what_if`: what an act does, and why it is refused. Wording only: nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.fleet import ServerGroup
from engine.domain.message import Message, message
from engine.domain.orders import Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Act, NodeKind, OrderState, RunState
from engine.plan.in_service import Traffic, server_groups
from engine.plan.kept import CHECK_KEPT_S, Begins
from engine.plan.problems import floor_broken
from engine.views.values import percent

SHOWN_HOSTS = 6  # a sentence names this many hosts and counts the others


def named(hosts: Sequence[str]) -> str:
    """`hz-01, hz-02`, cut to a length a line can hold: `hz-01, …, hz-06, +14`."""
    shown = ", ".join(hosts[:SHOWN_HOSTS])
    return shown if len(hosts) <= SHOWN_HOSTS else f"{shown}, +{len(hosts) - SHOWN_HOSTS}"


def duration(seconds: float) -> str:
    """`02:31`, from an hour on `1:02:31`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


# ---------------------------------------------------------------------------------------------------------- a few words


def starts(opened: Sequence[PlanNode], traffic: Traffic) -> Message:
    first = next((node for node in opened if node.kind.runs_hosts), None)
    if first is None:
        return message("starts the order")
    what = {"node": first.label, **_counts(traffic)}
    if traffic.leaving == 1:
        return message("starts {node} (1 host leaves the balancer, {staying} of {mounted} stay)", **what)
    if traffic.leaving:
        return message("starts {node} ({leaving} hosts leave the balancer, {staying} of {mounted} stay)", **what)
    coming = _coming(first)
    if coming == 1:
        return message("starts {node} (1 host gets traffic once it is healthy)", node=first.label)
    if coming:
        return message(
            "starts {node} ({coming} hosts get traffic once they are healthy)", node=first.label, coming=coming
        )
    return message("starts {node} (no traffic moves)", node=first.label)


def confirms(done: Message, opened: Sequence[PlanNode], traffic: Traffic) -> Message:
    following = next((node for node in opened if node.kind.runs_hosts), None)
    what = {"done": done, "node": following.label if following else "", **_counts(traffic)}
    if following is None and any(node.kind is NodeKind.FINISH for node in opened):
        return message("confirms {done} and ends the order", done=done)
    if following is None:
        return message("confirms {done}", done=done)
    if traffic.leaving == 1:
        return message(
            "confirms {done} and starts {node} (1 host leaves the balancer, {staying} of {mounted} stay)", **what
        )
    if traffic.leaving:
        return message(
            "confirms {done} and starts {node} ({leaving} hosts leave the balancer, {staying} of {mounted} stay)",
            **what,
        )
    coming = _coming(following)
    if coming == 1:
        return message(
            "confirms {done} and starts {node} (1 host gets traffic once it is healthy)",
            done=done,
            node=following.label,
        )
    if coming:
        return message(
            "confirms {done} and starts {node} ({coming} hosts get traffic once they are healthy)",
            done=done, node=following.label, coming=coming,
        )  # fmt: skip
    return message("confirms {done} and starts {node} (no traffic moves)", done=done, node=following.label)


def _coming(node: PlanNode) -> int:
    """Hosts that are given a weight at the end of their steps."""
    return sum(any(line.weight > 0 for line in run.restore_to) for run in node.runs)


def _counts(traffic: Traffic) -> dict[str, int]:
    return {"leaving": traffic.leaving, "staying": traffic.staying, "mounted": traffic.mounted}


def checks(*, again: bool) -> Message:
    """`again`: the check before has failed."""
    if not again:
        return message("checks every host, the package and the balancer, and plans again; no host is changed")
    return message(
        "checks what failed, the package and the balancer, and plans again; hosts that passed in the last {minutes} min are not"
        " asked again; no host is changed",
        minutes=round(CHECK_KEPT_S / 60),
    )


def rolls_back(hosts: Sequence[str], back: Plan | None = None) -> Message:
    """With the version they return to, where that is one for all."""
    undone = (
        {run.before.version: run.after.version for run in back.run_of.values() if run.host in hosts} if back else {}
    )
    changes = [(was, now) for was, now in undone.items() if was != now]
    what: dict[str, object] = {"host": hosts[0]} if len(hosts) == 1 else {"count": len(hosts)}
    if len(changes) == 1:
        what |= {"was": changes[0][0] or "-", "now": changes[0][1] or "-"}
        if len(hosts) == 1:
            return message("rolls back {host}: {was} → {now}", **what)
        return message("rolls back {count} hosts: {was} → {now}", **what)
    if len(hosts) == 1:
        return message("rolls back {host}", **what)
    return message("rolls back {count} hosts", **what)


def sets(wanted: Mapping[str, int]) -> Message:
    """`sets weight 10: hz-01, hz-05`; each with its own where they differ."""
    if len(set(wanted.values())) == 1:
        weight = next(iter(wanted.values()))
        return message("sets weight {weight}: {hosts}", weight=weight, hosts=named(tuple(wanted)))
    return message("sets weights: {hosts}", hosts=named([f"{host} {weight}" for host, weight in wanted.items()]) or "-")


# ----------------------------------------------------------------------------------------------------------- whole lines


def starting(opened: Sequence[PlanNode]) -> list[Message]:
    lines = []
    for node in opened:
        if node.kind.runs_hosts:
            lines.append(message("{node}: {hosts}", node=node.label, hosts=named(node.hosts)))
        elif node.kind is NodeKind.FINISH:
            lines.append(message("the order succeeds: nothing is left to do"))
    return lines


def traffic_lines(traffic: Traffic, progress: OrderProgress) -> list[Message]:
    if not traffic.mounted:
        return [message("no host of this order is behind a balancer: no traffic moves")]
    if not traffic.leaving:
        return []
    lines = [
        message(
            "in service: {before} → {staying} of {mounted}, at least {floor} must stay",
            before=traffic.before,
            staying=traffic.staying,
            mounted=traffic.mounted,
            floor=traffic.floor,
        )
    ]
    if traffic.breaks_floor and progress.spec.override_reason:
        lines.append(message("below the floor, overridden: {reason}", reason=progress.spec.override_reason))
    return lines


def expected_time(seconds: float, done: int) -> Message:
    return message(
        "expected time {duration} (mean of the hosts done so far: {done})", duration=duration(seconds), done=done
    )


def tries_again(run: RunProgress, known: Begins | None) -> Message:
    """From where a host that has failed would begin, by what is known of it."""
    what: dict[str, Any] = {"host": run.host, "attempt": run.attempt + 1}
    if known is None or not known.done:
        return message("{host}: attempt {attempt}, from its first step", **what)
    if run.from_start:
        return message(
            "{host}: attempt {attempt}, from its first step; done steps that are done again: {done}",
            done=known.done,
            **what,
        )
    if known.doubtful is not None:
        step = known.doubtful.title or known.doubtful.does
        return message(
            "{host}: attempt {attempt} does everything again: nobody can tell whether {step} still is as it was left",
            step=step,
            **what,
        )
    step = known.step.title or known.step.does
    return message(
        "{host}: attempt {attempt} begins at {step}; steps before it that are done: {done}",
        step=step,
        done=known.done,
        **what,
    )


def asked_first() -> Message:
    return message("each host is asked first whether what was done is still so; what is not is done again")


def still_paused() -> Message:
    return message("the order is paused: nothing starts until it is resumed")


def held_back(hosts: int) -> list[Message]:
    if hosts <= 0:
        return []
    return [message("hosts that wait until others serve again, because of the floor: {count}", count=hosts)]


def weights_now(progress: OrderProgress, hosts: Sequence[str]) -> list[Message]:
    lines = [line for line in progress.weights if line.mount.host in hosts]
    return [
        message(
            "{host} in {group}: weight {weight}, recorded {recorded}",
            host=line.mount.host,
            group=str(line.mount.server_group),
            weight=line.believed,
            recorded=line.recorded,
        )
        for line in lines[:SHOWN_HOSTS]
    ]


def weight_changes(progress: OrderProgress, wanted: Mapping[str, int]) -> list[Message]:
    """Weights and shares of their server group, before and after; hosts that move alike are told together."""
    lines = []
    for group, mounts in server_groups(progress).items():
        before = sum(line.believed for line in mounts)
        after = sum(wanted.get(line.mount.host, line.believed) for line in mounts)
        alike: dict[tuple[int, int], list[str]] = {}
        for line in mounts:
            if line.mount.host in wanted:
                alike.setdefault((line.believed, wanted[line.mount.host]), []).append(line.mount.host)
        for (was, weight), hosts in alike.items():
            shares = _percent(was * len(hosts), before), _percent(weight * len(hosts), after)
            lines.append(_weight_change(group, hosts, (was, weight), shares))
    return lines


def _weight_change(
    group: ServerGroup, hosts: Sequence[str], weights: tuple[int, int], shares: tuple[str, str]
) -> Message:
    what = {"group": str(group), "was": weights[0], "weight": weights[1], "share_was": shares[0], "share": shares[1]}
    if len(hosts) == 1:
        return message(
            "{host} in {group}: weight {was} → {weight}, share of its traffic {share_was} → {share}",
            host=hosts[0],
            **what,
        )
    return message(
        "{hosts} in {group}: weight {was} → {weight} each, together {share_was} → {share} of its traffic",
        hosts=named(hosts),
        **what,
    )


def _percent(part: int, whole: int) -> str:
    return percent(part / whole if whole else 0.0)


def cancelling(progress: OrderProgress, hosts: Sequence[str], running: Sequence[str]) -> list[Message]:
    lines = []
    if running:
        lines.append(message("stopped on the host, their step ends as cancelled: {hosts}", hosts=named(running)))
    if hosts:
        lines.append(
            message("get their recorded weight back once their health check passes: {hosts}", hosts=named(hosts))
        )
        lines.append(message("a host whose health check fails keeps weight 0 and is shown"))
    changed = list(dict.fromkeys(run.host for run in progress.runs.values() if run.touched))
    if changed:
        lines.append(message("keep the version they run now, cancel is not rollback: {hosts}", hosts=named(changed)))
    return lines


def giving_up(progress: OrderProgress, left: Sequence[str]) -> list[Message]:
    lines = [message("every host stays as it is now; nothing more is undone")]
    if left:
        lines.append(message("keep the weight they have now, not the recorded one: {hosts}", hosts=named(left)))
    failed = list(dict.fromkeys(run.host for run in progress.runs.values() if run.state is RunState.FAILED))
    if failed:
        lines.append(message("failed and left behind: {hosts}", hosts=named(failed)))
    return lines


def giving_back(progress: OrderProgress, hosts: Sequence[str], *, forced: bool) -> list[Message]:
    lines = [line for line in progress.weights if line.left_behind and line.mount.host in hosts]
    said = [
        message(
            "{host} in {group}: weight {was} → {weight}",
            host=line.mount.host,
            group=str(line.mount.server_group),
            was=line.believed,
            weight=line.due,
        )
        for line in lines[:SHOWN_HOSTS]
    ]
    if forced:
        return [*said, message("no health check: they take traffic whatever state they are in")]
    return [*said, message("each once its health check passes; a host whose check fails keeps the weight it has")]


def rolling_back(progress: OrderProgress, back: Plan, touched: Sequence[str]) -> list[Message]:
    lines = []
    by_version: dict[tuple[str, str], list[str]] = {}
    undone = {run.host: run for run in back.run_of.values() if run.host in touched}
    for host, plan in ((host, undone[host]) for host in touched if host in undone):
        by_version.setdefault((plan.before.version, plan.after.version), []).append(host)
    for (was, version), hosts in by_version.items():
        if was == version:
            lines.append(message("undone on {hosts}", hosts=named(hosts)))
        else:
            lines.append(message("{was} → {version} on {hosts}", was=was, version=version, hosts=named(hosts)))
    others = [host for host in back.hosts if host not in touched]
    if others:
        lines.append(message("only checked and given their traffic back: {hosts}", hosts=named(others)))
    groups = [node for node in back.nodes if node.kind.runs_hosts]
    if progress.weights:
        lines.append(
            message(
                "groups: {groups}; in service: {in_service} now, {lowest} at the lowest, at least {floor} must stay",
                groups=len(groups),
                in_service=back.in_service,
                lowest=back.lowest_in_service,
                floor=back.floor,
            )
        )
    return lines


def creates_rollback(ended: OrderProgress, version: str) -> Message:
    if len(ended.apps) > 1:
        apps = ", ".join(f"{app.app} {app.from_version or '-'}" for app in ended.apps)
        return message("creates a rollback order, each app to what it ran: {apps}", apps=apps)
    return message("creates a rollback order to {version}", version=version or "-")


# ---------------------------------------------------------------------------------------------------------- why it is not


def wrong_state(act: Act, state: OrderState) -> Problem:
    return Problem(
        "wrong_state",
        message("{act} is not possible while the order is {state}.", act=str(act), state=str(state)),
        message("Look at what the order waits for and at the acts it offers now."),
    )


def floor_broken_now(traffic: Traffic) -> Problem:
    return floor_broken(traffic.staying, traffic.mounted, traffic.floor)


def nothing_to_confirm(key: str) -> Problem:
    if not key:
        return Problem(
            "nothing_to_confirm",
            message("No gate of this order is waiting for confirmation."),
            message("Wait until a group is done, or decide on its failed hosts."),
        )
    return Problem(
        "nothing_to_confirm",
        message("Gate {gate} is not waiting for confirmation.", gate=key),
        message("Look at the flowchart: it may have been confirmed already, or its group is not done."),
    )


def gate_without_traffic(hosts: Sequence[str]) -> Problem:
    if len(hosts) == 1:
        what = message("{host} still takes no traffic: set its weight first.", host=hosts[0])
    else:
        what = message("{hosts} still take no traffic: set their weights first.", hosts=named(hosts))
    return Problem("gate_without_traffic", what, message("Move their weights first, then confirm."))


def gate_in_doubt(hosts: Sequence[str]) -> Problem:
    return Problem(
        "weight_in_doubt",
        message("The weights of these hosts are not known for sure: {hosts}.", hosts=named(hosts)),
        message("Set their weights once more, then confirm."),
    )


def weights_at_work(hosts: Sequence[str]) -> Problem:
    return Problem(
        "weights_at_work",
        message("The weights of these hosts are still being set: {hosts}.", hosts=named(hosts)),
        message("Wait until the balancer has them, then confirm."),
    )


def rollback_at_work() -> Problem:
    return Problem(
        "rollback_at_work",
        message("A rollback was asked for: whether it can succeed is being checked."),
        message("Wait for the result; you can still cancel meanwhile."),
    )


def paused_for_the_look() -> Message:
    return message("the order is paused at once, and stays so if the check finds that the way back can't succeed")


def starting_already() -> Problem:
    return Problem(
        "starting_already",
        message("The order is already being started."),
        message("Wait for the result; you can still cancel meanwhile."),
    )


def no_weights_now(state: OrderState) -> Problem:
    return Problem(
        "no_weights_now",
        message("No weight can be set by hand while the order is {state}.", state=str(state)),
        message("Weights are set at a gate, or when the order is halted, on hosts whose health check passed."),
    )


def weights_not_settable(strange: Sequence[str], settable: Sequence[str]) -> Problem:
    return Problem(
        "weights_not_settable",
        message("{hosts} can't take traffic by hand now: not mounted, not of this gate, or its health check did not pass.",
                hosts=named(strange)),
        message("Set the weights of these only: {hosts}.", hosts=named(settable)),
    )  # fmt: skip


def weights_out_of_range(wrong: Mapping[str, object]) -> Problem:
    host, value = next(iter(wrong.items()))
    return Problem(
        "weights_out_of_range",
        message("{value} is not a weight for {host}.", value=str(value), host=host),
        message("A weight is a whole number from 0 to 100."),
    )


def already_paused() -> Problem:
    return Problem("already_paused", message("The order is already paused."), message("Resume it to go on."))


def not_paused() -> Problem:
    return Problem("not_paused", message("The order is not paused."), message("There is nothing to resume."))


def not_failed(others: Sequence[str]) -> Problem:
    if not others:
        return Problem(
            "nothing_failed", message("No host of this order has failed."), message("There is nothing to retry.")
        )
    return Problem(
        "not_failed",
        message("These have not failed in this order: {hosts}.", hosts=named(others)),
        message("Retry failed hosts only."),
    )


def nothing_left_behind(others: Sequence[str]) -> Problem:
    what = (
        message("This order did not leave the weights of these hosts behind: {hosts}.", hosts=named(others))
        if others
        else message("This order has left no weight behind.")
    )
    return Problem("nothing_left_behind", what, message("`cockpit weights orphans` lists what is left."))


def no_way_back() -> Problem:
    return Problem(
        "no_way_back",
        message("An order of this kind changes nothing that can be undone: it has no rollback."),
        message("Cancel it instead: hosts that it took out get their traffic back where their health allows."),
    )


def nothing_to_roll_back() -> Problem:
    return Problem(
        "rollback_nothing_touched",
        message("This order has not started on any host: there is nothing to roll back."),
        message("Cancel the order instead."),
    )
