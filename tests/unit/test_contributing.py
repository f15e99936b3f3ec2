"""The worked examples of CONTRIBUTING.md: they run, and every file they name is there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from engine.domain.fleet import Host, Mount, MountWeight, ObjectRef, Package, ServerGroup
from engine.domain.states import HostState
from engine.kinds import chosen_hosts, registry
from engine.plan.faults import faults
from engine.steps import registry as steps
from engine.steps.context import StepContext
from tests.support.facts import facts_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, re.S))
HOSTS = [
    Host(f"h{n}", "127.0.0.1", 22, "admin", "hz-a", "c1", f"i-h{n}", state=HostState.DEPLOYED, version="1.0.0")
    for n in range(4)
]
GROUP = ServerGroup("cn-hangzhou", "lb-1", "rsp-1")


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step and the kind of the examples, added as the text says."""
    module = ModuleType("warm_up")
    exec(EXAMPLES["engine/steps/warm_up.py"], module.__dict__)
    row = eval(EXAMPLES["engine/steps/registry.py"], vars(steps) | {"warm_up": module})
    monkeypatch.setitem(steps.STEPS, row.plan.does, row)
    kind = SimpleNamespace()
    exec(EXAMPLES["engine/kinds/warm_up.py"], kind.__dict__)
    monkeypatch.setitem(registry.KINDS, kind.KIND.name, kind.KIND)


@pytest.mark.usefixtures("added")
def test_the_example_kind_is_planned_in_groups_with_the_example_step() -> None:
    weights = [MountWeight(Mount(host.name, host.server_id, GROUP, 80), 100) for host in HOSTS]
    facts = facts_of(HOSTS, weights)
    spec = chosen_hosts.spec_of("warm_up", ["shop"], groups=2)
    assert list(registry.kind_of("warm_up").forbids(spec, facts)) == []
    plan = registry.plan_of(spec, facts)
    assert list(faults(plan)) == []
    assert [node.key for node in plan.nodes] == ["initialise", "group-1", "group-2", "finish"]
    assert [step.key for step in plan.run_of["group-1", "h0"].steps] == ["check_agent", "warm_up"]
    assert plan.lowest_in_service == 4
    assert str(registry.word_of("warm_up")) == "warm up"


@pytest.mark.usefixtures("added")
def test_the_example_step_is_built_as_its_row_says() -> None:
    facts = facts_of(HOSTS)
    package = Package("shop", "1.0.0", ObjectRef("", "", ""))
    context = StepContext(HOSTS[0], facts.apps[0].stack, "shop", "1.0.0", package)
    built = steps.remote_step(steps.step("warm_up"), context)
    assert (built.name, built.deadline_s) == ("warm_up", 60.0)
    assert "curl" in built.body


def test_every_file_that_is_named_is_there() -> None:
    named = re.findall(r"`((?:engine|cockpit|screens|tests|docs)/[\w./]+\.(?:py|md))`", TEXT)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
