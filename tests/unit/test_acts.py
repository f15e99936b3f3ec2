"""Acts as data: each has its class, its row, its consequence and its file; what the store says is read as it was written."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from engine.domain.acts import (
    ACTS,
    AnyAct,
    Cancel,
    Confirm,
    Exclude,
    GiveBack,
    HandOver,
    Pause,
    PauseBefore,
    Remedy,
    Retry,
    RollBack,
    SetLimits,
    SetWeights,
    Skip,
    UnreadableAct,
    decode,
    encode,
)
from engine.domain.states import Act
from engine.plan import what_if
from engine.run.acts import DOING


def test_every_act_has_a_row_a_consequence_and_a_file() -> None:
    kinds = set(get_args(AnyAct))
    assert set(ACTS) == set(Act)
    assert {row.type for row in ACTS.values()} == kinds
    assert set(what_if._ANSWERS) == kinds
    assert set(DOING) == kinds
    for kind, doing in DOING.items():
        file = doing.write.__module__.rpartition(".")[2]
        assert file == kind.name.value, f"{kind.__name__} is carried out by {file}.py"


@pytest.mark.parametrize(
    ("act", "parts"),
    [
        (Pause(), {}),
        (Confirm("beta-confirm"), {"node": "beta-confirm"}),
        (SetWeights({"hz-01": 0, "hz-02": 50}), {"weights": {"hz-01": 0, "hz-02": 50}}),
        (Retry(("hz-01",)), {"hosts": ["hz-01"]}),
        (Retry(), {}),
        (Skip("hz-01"), {"host": "hz-01"}),
        (Skip("hz-01", "deploy"), {"host": "hz-01", "step": "deploy"}),
        (Exclude("hz-01"), {"host": "hz-01"}),
        (SetLimits(5), {"parallelism": 5}),
        (SetLimits(max_failures=0), {"max_failures": 0}),
        (PauseBefore("group-2", off=True), {"node": "group-2", "off": True}),
        (HandOver("bob"), {"to": "bob"}),
        (RollBack("1.0.0"), {"version": "1.0.0"}),
        (Remedy(), {}),
        (
            Remedy(("hz-01",), "longer_deadline", 600),
            {"hosts": ["hz-01"], "remedy": "longer_deadline", "deadline_s": 600},
        ),
        (GiveBack(("hz-03",), force=True), {"hosts": ["hz-03"], "force": True}),
    ],
)
def test_an_act_is_read_as_it_was_written(act: AnyAct, parts: dict[str, Any]) -> None:
    assert encode(act) == parts
    assert decode(str(act.name), parts) == act


def test_what_the_version_before_wrote_is_read() -> None:
    assert decode("retry", {"hosts": []}) == Retry()
    assert decode("retry", {"from_start": True}) == Retry(from_start=True)
    assert encode(Retry(("hz-01",), from_start=True)) == {"hosts": ["hz-01"], "from_start": True}
    assert decode("give_back", {"hosts": ["hz-03"], "force": False}) == GiveBack(("hz-03",))
    assert decode("cancel", {}) == Cancel()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("explode", {}),
        ("pause", {"colour": "red"}),
        ("confirm", {"node": 3}),
        ("retry", {"hosts": "hz-01"}),
        ("retry", {"hosts": [1]}),
        ("set_weights", {"weights": {"hz-01": True}}),
        ("set_weights", {"weights": {"hz-01": 1.5}}),
        ("set_weights", {"weights": ["hz-01"]}),
        ("give_back", {"force": "yes"}),
        ("remedy", {"deadline_s": 1.5}),
        ("remedy", {"deadline_s": True}),
        ("remedy", {"hosts": "hz-01"}),
        ("skip", {"host": ["hz-01"]}),
        ("set_limits", {"parallelism": "5"}),
        ("set_limits", {"max_failures": True}),
        ("pause", None),
        ("pause", ["x"]),
    ],
)
def test_what_cannot_be_read_is_refused_and_never_guessed(name: str, parts: Any) -> None:
    with pytest.raises(UnreadableAct) as refused:
        decode(name, parts)
    assert refused.value.problem.code == "act_unreadable"
