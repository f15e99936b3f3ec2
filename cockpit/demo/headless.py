"""`cockpit demo --headless`: a whole release on the practice fleet, all by itself.

It presses the keys an operator would press, through the same api, and nothing else: the engine, SSH, OSS and the balancer behind
it are the ones a real release uses. It always takes down what it brought up.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cockpit.cli.exit_codes import DONE, FAILED, INTERRUPTED
from cockpit.cli.output import at, note, print_json, say
from cockpit.cli.waiting import Place
from cockpit.demo.leaving import leave_in_the_background
from cockpit.engine_process import ensure_engine, stop_engine
from cockpit.identity import operating_system_user
from cockpit.lab import process as lab
from cockpit.practice import apply_catalogue, settings_of
from cockpit.terminal import TerminalWatch
from engine.api import Api
from engine.domain.acts import ACTS, AnyAct, Confirm, SetWeights
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Act, CommandState, NodeKind, NodeState, OrderState, TrafficMode
from engine.kinds.release import release_spec
from engine.views.orders import NodeView, OrderView
from screens.translate import _, tr

GRAY_WEIGHTS = (10, 50, 100)
REQUESTS_AT_A_WEIGHT = 20  # so many are really served at each weight before the next move
DEADLINE_S = 600.0
LOAD_DEADLINE_S = 10.0
ANSWER_S = 30.0
LOOK_EVERY_S = 1.0


class DemoError(ProblemError):
    """The demo's release did not go on: codes `demo_stuck`, and whatever the engine refused with."""


def run_headless(*, hosts: int, folder: Path | None, as_json: bool) -> int:
    """A whole release under load; 0 when it succeeded and no request was lost. Raises ProblemError."""
    told = ("--end",) if folder else ("--end", "--remove")
    with _temporary(folder) as place_of_lab, TerminalWatch(partial(leave_in_the_background, place_of_lab, *told)):
        try:
            info = lab.up(place_of_lab, hosts)
            return _release_under_load(info, place_of_lab, as_json=as_json)
        except KeyboardInterrupt:
            note("\n" + _("Interrupted: the demo ends here, and nothing of it runs on."))
            return INTERRUPTED
        finally:
            lab.down(place_of_lab)


# ----------------------------------------------------------------------------------------------------------- headless


def _release_under_load(info: lab.LabInfo, folder: Path, *, as_json: bool) -> int:
    settings = settings_of(info)
    apply_catalogue(settings, info)
    ensure_engine(settings)
    api = Api(settings.store, operator=operating_system_user(), log_dir=settings.log_dir, create=False)
    api.open()
    try:
        lab.load(folder, "start")
        view = Walk(api, (info.tenant, info.workspace), folder, quiet=as_json).release(info.app, info.versions[1])
        load = lab.load(folder, "stop")
    finally:
        api.close()
        stop_engine(settings)
    outcome = _outcome(view, load)
    if as_json:
        print_json(outcome)
    else:
        say(_("{state}; {requests} requests, {failed} failed").format(**outcome["load"], state=view.state))
    return DONE if view.state is OrderState.SUCCEEDED and load.failed == 0 else FAILED


class Walk:
    """Takes one release from its creation to its end, as an operator would: looks, acts, looks again."""

    def __init__(self, api: Api, place: Place, folder: Path, *, quiet: bool) -> None:
        self._api = api
        self._place = place
        self._folder = folder
        self._quiet = quiet
        self._seen = 0
        self._done: set[tuple[Act, str, int]] = set()

    def release(self, app: str, version: str) -> OrderView:
        """The order as it ended. Raises DemoError, ApiError."""
        spec = release_spec(app, version, beta=True, traffic=TrafficMode.GRAY, title="demo", seed=1)
        order_id = self._api.create_order(*self._place, spec)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            token = self._api.change_token()
            view = self._api.order(*self._place, order_id)
            self._show_events(order_id)
            if view.state.complete or view.state in (OrderState.HALTED, OrderState.INIT_FAILED):
                return view
            if time.monotonic() >= deadline:
                raise _stuck(view)
            if not self._act(view):
                self._api.wait_change(token, timeout_s=LOOK_EVERY_S)

    def _act(self, view: OrderView) -> bool:
        """Press the key that is due, if one is: each only once."""
        due = next_key(view)
        if due is None or due in self._done:
            return False
        self._done.add(due)
        act, gate, weight = due
        if act is Act.SET_WEIGHTS:
            node = next(node for node in view.nodes if node.key == gate)
            self._press(view.id, SetWeights(dict.fromkeys(node.hosts, weight)))
            return True
        if act is Act.CONFIRM:
            self._let_requests_through()
        self._press(view.id, Confirm(gate) if gate else ACTS[act].type())
        return True

    def _press(self, order_id: int, act: AnyAct) -> None:
        if isinstance(act, SetWeights):
            self._let_requests_through()
        answer = self._api.wait_command(self._api.send(*self._place, order_id, act))
        if answer.state is CommandState.REFUSED and answer.problem:
            raise DemoError(answer.problem)

    def _let_requests_through(self) -> None:
        wanted = lab.status(self._folder).load.requests + REQUESTS_AT_A_WEIGHT
        deadline = time.monotonic() + LOAD_DEADLINE_S
        while lab.status(self._folder).load.requests < wanted and time.monotonic() < deadline:
            time.sleep(0.05)

    def _show_events(self, order_id: int) -> None:
        while events := self._api.events(order_id=order_id, after=self._seen):
            self._seen = events[-1].id
            if not self._quiet:
                for event in events:
                    say(f"{at(event.at)}  {tr(event.sentence)}")


def next_key(view: OrderView) -> tuple[Act, str, int] | None:
    """(act, gate, weight) that is due now; None while the engine is at work.

    Gray weights are moved one after the other, each only when the one before it was read back."""
    if view.state is OrderState.READY:
        return Act.START, "", 0
    gate = _waiting_gate(view)
    if gate is None:
        return None
    if not gate.sliders:
        return Act.CONFIRM, gate.key, 0
    lines = [line for run in view.hosts if run.name in gate.hosts for line in run.weights]
    if any(line.asked is not None and line.asked != line.confirmed for line in lines):
        return None
    lowest = min((line.confirmed or 0 for line in lines), default=GRAY_WEIGHTS[-1])
    move = next((weight for weight in GRAY_WEIGHTS if weight > lowest), None)
    return (Act.CONFIRM, gate.key, 0) if move is None else (Act.SET_WEIGHTS, gate.key, move)


def _waiting_gate(view: OrderView) -> NodeView | None:
    gates = (node for node in view.nodes if node.direction is view.direction and node.kind is NodeKind.GATE)
    return next((gate for gate in gates if gate.state is NodeState.WAITING), None)


def _outcome(view: OrderView, load: lab.LabLoad) -> dict[str, Any]:
    """What `cockpit demo --headless --json` prints."""
    runs = {run.name: run for run in view.hosts}
    groups = [
        {
            "key": node.key,
            "kind": node.kind,
            "state": node.state,
            "hosts": [_host(runs[host]) for host in node.hosts],
        }
        for node in view.nodes
        if node.kind.runs_hosts and node.direction is view.direction
    ]
    return {
        "order": view.id,
        "app": view.subject,
        "version": view.versions,
        "state": view.state,
        "problem": view.problem or next((problem for _host_name, problem in view.problems), None),
        "groups": groups,
        "load": {"requests": load.requests, "failed": load.failed},
    }


def _host(run: Any) -> dict[str, Any]:
    weights = [
        {
            "balancer": line.balancer,
            "server_group": line.server_group,
            "port": line.port,
            "recorded": line.recorded,
            "weight": line.recorded if line.confirmed is None else line.confirmed,
        }
        for line in run.weights
    ]
    return {"name": run.name, "state": run.state, "version": run.version, "weights": weights}


def _stuck(view: OrderView) -> DemoError:
    return DemoError(
        Problem(
            "demo_stuck",
            message(
                "The demo's order #{id} is still {state} after {s} s.", id=view.id, state=str(view.state), s=DEADLINE_S
            ),
            view.next,
        )
    )


@contextmanager
def _temporary(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    made = Path(tempfile.mkdtemp(prefix="cockpit-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
