"""Who may do what, at the one gate, on both stores: every act for every role, the catalogue's changes, and the audit of both."""

from __future__ import annotations

import ast
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cockpit.identity import operating_system_user
from engine.api import Api
from engine.api_errors import ApiError
from engine.catalogue.catalogue import Catalogue
from engine.catalogue.problems import CatalogueError
from engine.catalogue.read import read_text
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
    Retry,
    RollBack,
    SetLimits,
    SetWeights,
    Skip,
)
from engine.domain.roles import Grant, Grants, Role
from engine.domain.states import Act
from engine.store import tables as t
from engine.store.catalogue import Change, apply, plan_changes
from engine.store.gate import NotAllowed
from engine.store.store import Store
from engine.views.acts import Outcome
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tests.support.seeds import NOW, release_spec, seed_fleet, seed_order

HERE = ("acme", "prod")
ROOT = Path(__file__).parents[2]
PEOPLE = {"vic": Role.VIEWER, "olga": Role.OPERATOR, "ann": Role.APPROVER, "ada": Role.ADMIN}
NEEDS = {act: row.least for act, row in ACTS.items()}
# what is asked for must be worth asking: who may is refused for nothing else
WORTH: dict[Act, AnyAct] = {
    Act.SET_WEIGHTS: SetWeights({"hz-01": 50}),
    Act.SKIP: Skip("hz-03"),
    Act.EXCLUDE: Exclude("hz-02"),
    Act.SET_LIMITS: SetLimits(parallelism=2),
    Act.PAUSE_BEFORE: PauseBefore("group-2"),
    Act.HAND_OVER: HandOver("olga"),
}
SITUATIONS: dict[Act, tuple[str, AnyAct]] = {
    act: (
        {
            "start": "ready",
            "retry": "halted",
            "remedy": "agent_down",
            "give_back": "left_behind",
            "resume": "paused",
            "skip": "halted",
        }.get(str(act), "waiting_at_gray_gate"),
        WORTH.get(act, row.type()),
    )
    for act, row in ACTS.items()
}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/store.db"
    opened = Store.open(url if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    seed_fleet(opened)
    yield opened
    opened.close()


def grant(store: Store, *people: tuple[str, str, str | None, Role]) -> None:
    """(name, tenant, workspace or None, role)"""
    with store.writing() as conn:
        for name, tenant, workspace, role in people:
            known = conn.execute(sa.select(t.operator.c.id).where(t.operator.c.name == name)).scalar_one_or_none()
            made = sa.insert(t.operator).values(name=name).returning(t.operator.c.id)
            person = known or conn.execute(made).scalar_one()
            tenant_id = conn.execute(sa.select(t.tenant.c.id).where(t.tenant.c.name == tenant)).scalar_one()
            one = (t.workspace.c.tenant_id == tenant_id, t.workspace.c.name == workspace)
            workspace_id = conn.execute(sa.select(t.workspace.c.id).where(*one)).scalar_one_or_none()
            values = {"operator_id": person, "tenant_id": tenant_id, "workspace_id": workspace_id, "role": str(role)}
            conn.execute(sa.insert(t.operator_role).values(**values))


@pytest.fixture
def acting_as(store: Store, tmp_path: Path) -> Iterator[Callable[[str], Api]]:
    opened: list[Api] = []

    def api(name: str) -> Api:
        opened.append(Api(store.url, operator=name, log_dir=tmp_path / "logs", now=lambda: NOW))
        opened[-1].open()
        return opened[-1]

    yield api
    for each in opened:
        each.close()


def code(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except ApiError as error:
        return error.problem.code
    return ""


def audit(store: Store) -> list[Any]:
    with store.reading() as conn:
        return list(conn.execute(sa.select(t.audit).order_by(t.audit.c.id)))


@pytest.mark.parametrize("act", list(ACTS), ids=str)
def test_every_act_asks_for_its_role(store: Store, acting_as: Callable[[str], Api], act: Act) -> None:
    grant(store, *((name, "acme", None, role) for name, role in PEOPLE.items()))
    situation, asked = SITUATIONS[act]
    order_id = seed_order(store, situation)
    for name, role in [*PEOPLE.items(), ("nobody", None)]:
        api = acting_as(name)
        may = role is not None and role.includes(NEEDS[act])
        said = code(lambda: api.send(*HERE, order_id, asked, reason="because"))  # noqa: B023
        assert (said == "not_allowed") is not may, f"{name} ({role}): {act}: {said}"
        meaning = api.consequence(*HERE, order_id, asked)
        assert (meaning.refusal is not None and meaning.refusal.code == "not_allowed") is not may
    refused = [(row.operator, row.act, row.outcome) for row in audit(store) if row.outcome == "refused"]
    below = [name for name, role in PEOPLE.items() if not role.includes(NEEDS[act])]
    assert refused == [(name, str(act), "refused") for name in [*below, "nobody"]]


@pytest.mark.parametrize(("kind", "least"), [("release", Role.OPERATOR), ("rollback", Role.APPROVER)])
def test_making_an_order_asks_for_its_role(
    store: Store, acting_as: Callable[[str], Api], kind: str, least: Role
) -> None:
    grant(store, *((name, "acme", None, role) for name, role in PEOPLE.items()))
    spec = release_spec(kind=kind, version="1.0.0", reason="because")
    for name, role in PEOPLE.items():
        said = code(lambda: acting_as(name).create_order(*HERE, spec))  # noqa: B023
        assert (said == "not_allowed") is not role.includes(least)


def test_a_role_holds_where_it_was_given_and_nowhere_else(store: Store, acting_as: Callable[[str], Api]) -> None:
    grant(
        store,
        ("ann", "acme", "dev", Role.ADMIN),
        ("ann", "globex", None, Role.ADMIN),
        ("ann", "acme", "prod", Role.VIEWER),
    )
    order_id = seed_order(store, "waiting_at_beta_gate")
    api = acting_as("ann")
    assert code(lambda: api.send(*HERE, order_id, Pause())) == "not_allowed"
    assert api.standing("acme", "prod").role is Role.VIEWER
    assert api.standing("acme", "dev").role is Role.ADMIN
    assert api.standing("acme", "test").role is None
    assert api.standing("globex", "prod").role is Role.ADMIN


def test_a_refusal_names_the_role_that_is_needed_and_whom_to_ask(store: Store, acting_as: Callable[[str], Api]) -> None:
    grant(store, ("root", "acme", None, Role.VIEWER), ("ann", "acme", "prod", Role.APPROVER))
    order_id = seed_order(store, "waiting_at_beta_gate")
    with pytest.raises(ApiError) as refused:
        acting_as("root").send(*HERE, order_id, Cancel(), reason="mine")
    assert str(refused.value.problem.what) == "root is viewer here: cancel needs operator."
    assert "ann" in str(refused.value.problem.remedy)
    with store.reading() as conn:
        assert conn.execute(sa.select(t.command.c.id)).all() == []


def test_a_store_without_any_operator_lets_its_owner_do_everything_and_says_so(
    store: Store, acting_as: Callable[[str], Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = seed_order(store, "waiting_at_beta_gate")
    api = acting_as(operating_system_user())
    assert api.standing(*HERE).as_owner
    said = [str(line) for line in api.consequence(*HERE, order_id, Confirm()).lines]
    assert any("no operator is named in this store" in line for line in said)
    assert api.send(*HERE, order_id, Confirm())
    grant(store, ("ann", "acme", None, Role.VIEWER))
    assert code(lambda: api.send(*HERE, order_id, Pause())) == "not_allowed"


def test_somebody_who_does_not_own_the_file_does_nothing_in_it(
    tmp_path: Path, acting_as: Callable[[str], Api], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not store.is_sqlite:
        with store.writing() as conn:
            conn.execute(sa.text("CREATE ROLE somebody_else"))
            conn.execute(sa.text("ALTER TABLE operator OWNER TO somebody_else"))
            superuser = conn.execute(sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar_one()
        assert acting_as("bob").standing(*HERE).as_owner is bool(superuser)  # a superuser is a member of every role
        return
    monkeypatch.setattr("engine.store.gate.os.getuid", lambda: os.stat(tmp_path / "store.db").st_uid + 1)
    order_id = seed_order(store, "waiting_at_beta_gate")
    assert code(lambda: acting_as("bob").send(*HERE, order_id, Pause())) == "not_allowed"


def test_who_acts_is_the_user_of_the_process_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "COCKPIT_OPERATOR"):
        monkeypatch.setenv(name, "mallory")
    assert operating_system_user() == pwd.getpwuid(os.getuid()).pw_name

    def nobody(_uid: int) -> Any:
        raise KeyError("no such user")

    monkeypatch.setattr("cockpit.identity.pwd.getpwuid", nobody)
    assert operating_system_user() == f"uid-{os.getuid()}"


def test_the_cockpit_opens_every_store_on_behalf_of_that_user() -> None:
    """What is written in the source: no other name reaches an api or a catalogue."""
    found = []
    for file in sorted((ROOT / "cockpit").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and not ast.unparse(call.func).endswith(".format"):
                named = [each for each in call.keywords if each.arg == "operator"]
                found += [(file.name, ast.unparse(each.value)) for each in named]
    assert found
    assert {value for _, value in found} <= {"operating_system_user()", "operator"}, found


# ------------------------------------------------------------------------------------------------------------- catalogue

NEW_GROUP = "version: 1\ntenants: [{name: %s, groups: [{name: payments}]}]\n"
NEW_TENANT = "version: 1\ntenants: [{name: initech, groups: [{name: payments}], workspaces: [{name: prod}]}]\n"
NEW_ROLE = "version: 1\noperators: [{name: %s, roles: [{tenant: %s, role: admin}]}]\n"


def known(store: Store, text: str) -> Any:
    from engine.store.catalogue import stored

    with store.reading() as conn:
        return read_text(text, known=stored(conn))


def test_only_an_admin_changes_the_catalogue_and_only_of_the_own_tenant(store: Store) -> None:
    grant(store, *((name, "acme", None, role) for name, role in PEOPLE.items()))
    for name in ("vic", "olga", "ann", "nobody"):
        with pytest.raises(NotAllowed):
            apply(store, known(store, NEW_GROUP % "acme"), name, NOW)
    assert apply(store, known(store, NEW_GROUP % "acme"), "ada", NOW)
    with pytest.raises(NotAllowed):
        apply(store, known(store, NEW_GROUP % "globex"), "ada", NOW)
    with store.reading() as conn:
        groups = conn.execute(sa.select(t.app_group.c.tenant_id).where(t.app_group.c.name == "payments")).all()
    assert len(groups) == 1
    refused = [(row.operator, row.act) for row in audit(store) if row.outcome == "refused"]
    assert refused == [(name, "apply_catalogue") for name in ("vic", "olga", "ann", "nobody", "ada")]


def test_nobody_gives_a_role_to_themselves_where_they_have_none(store: Store) -> None:
    grant(store, ("ada", "acme", None, Role.ADMIN), ("ann", "acme", None, Role.APPROVER))
    for name, tenant in (("ann", "acme"), ("ada", "globex")):
        with pytest.raises(NotAllowed):
            apply(store, known(store, NEW_ROLE % (name, tenant)), name, NOW)
    assert apply(store, known(store, NEW_ROLE % ("ann", "acme")), "ada", NOW)


def test_an_admin_brings_a_tenant_into_being_and_fills_it(store: Store) -> None:
    grant(store, ("ada", "acme", None, Role.ADMIN), ("ann", "acme", None, Role.APPROVER))
    with pytest.raises(NotAllowed):
        apply(store, known(store, NEW_TENANT), "ann", NOW)
    assert len(apply(store, known(store, NEW_TENANT), "ada", NOW)) == 3


def test_an_admin_of_one_workspace_changes_nothing_of_the_tenants_own(store: Store) -> None:
    grant(store, ("ada", "acme", "prod", Role.ADMIN))
    with pytest.raises(NotAllowed):
        apply(store, known(store, NEW_GROUP % "acme"), "ada", NOW)
    region = "version: 1\ntenants: [{name: acme, workspaces: [{name: prod, regions: [{name: cn-beijing}]}]}]\n"
    assert apply(store, known(store, region), "ada", NOW)


@pytest.mark.parametrize(
    ("operators", "says"),
    [
        ("[{name: olga, roles: [{tenant: acme, role: operator}]}]", "tenant acme would have operators and no admin"),
        ("[{name: olga}]", "none of them has a role"),
    ],
)
def test_a_catalogue_that_would_lock_everybody_out_is_refused_with_what_to_do(
    store: Store, operators: str, says: str
) -> None:
    catalogue = known(store, f"version: 1\noperators: {operators}\n")
    for ask in (lambda: apply(store, catalogue, "owner", NOW), lambda: planned(store, catalogue)):
        with pytest.raises(CatalogueError) as caught:
            ask()
        (problem,) = caught.value.problems
        assert says in str(problem)
        assert "give one" in str(problem)
    with store.reading() as conn:
        assert conn.execute(sa.select(t.operator)).first() is None


def test_the_last_admin_of_a_tenant_can_not_be_made_something_else(store: Store) -> None:
    grant(store, ("ada", "acme", None, Role.ADMIN), ("olga", "acme", None, Role.OPERATOR))
    demoted = "version: 1\noperators: [{name: ada, roles: [{tenant: acme, role: viewer}]}]\n"
    with pytest.raises(CatalogueError):
        apply(store, known(store, demoted), "ada", NOW)
    grant(store, ("ann", "acme", None, Role.ADMIN))
    assert apply(store, known(store, demoted), "ada", NOW)


def planned(store: Store, catalogue: Catalogue) -> list[Change]:
    with store.reading() as conn:
        return plan_changes(conn, catalogue)


def test_roles_rank_from_seeing_to_editing() -> None:
    roles = list(Role)
    for at, role in enumerate(roles):
        assert [role.includes(other) for other in roles] == [place <= at for place in range(len(roles))]
    both = Grants("x", (Grant(1, None, Role.VIEWER), Grant(1, 7, Role.APPROVER)))
    assert both.at(1, 7).role is Role.APPROVER
    assert both.at(1, 8).role is Role.VIEWER
    assert both.at(2, 7).role is None


def test_the_table_of_roles_in_the_documentation_is_the_one_that_is_enforced() -> None:
    text = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
    for act, row in ACTS.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| `{act}` |"))
        assert f"| {row.least} |" in line


# ---------------------------------------------------------------------------------------------------------------- history


def test_the_history_of_an_order_has_what_was_done_and_what_was_refused(
    store: Store, acting_as: Callable[[str], Api]
) -> None:
    grant(store, *((name, "acme", None, role) for name, role in PEOPLE.items()))
    order_id = acting_as("olga").create_order(*HERE, release_spec())
    with pytest.raises(ApiError):
        acting_as("vic").send(*HERE, order_id, Cancel(), reason="let me")
    with pytest.raises(ApiError):
        acting_as("olga").send(*HERE, order_id, Cancel())  # without a reason
    command = acting_as("olga").send(*HERE, order_id, Cancel(), reason="wrong window")
    other = seed_order(store, "left_behind")
    acting_as("ada").send(*HERE, other, GiveBack(("hz-03",)), reason="healed")
    history = acting_as("vic").history(*HERE, order_id)
    assert str(history[0].said) == "creates the order: release trade-core 1.0.0 → 2.0.0"
    assert [(line.operator, line.act, line.outcome, line.reason) for line in history] == [
        ("olga", "create_release", Outcome.DONE, ""),
        ("vic", "cancel", Outcome.REFUSED, "let me"),
        ("olga", "cancel", Outcome.REFUSED, ""),
        ("olga", "cancel", Outcome.ASKED, "wrong window"),
    ]
    assert [line.problem.code for line in history if line.problem] == ["not_allowed", "reason_missing"]
    asked = [line for line in acting_as("vic").history(*HERE, other) if line.operator]
    assert [(line.act, str(line.said)) for line in asked] == [("give_back", "gives the weights back: hz-03")]
    with store.writing() as conn:
        values = {"state": "refused", "problem": {"code": "x", "what": {"text": "no", "params": {}},
                  "remedy": {"text": "", "params": {}}, "evidence": ""}, "answered_at": NOW + 3}  # fmt: skip
        conn.execute(sa.update(t.command).where(t.command.c.id == command).values(**values))
    last = acting_as("vic").history(*HERE, order_id)[-1]
    assert (last.outcome, str(last.problem.what) if last.problem else "", last.answered_at) == (
        Outcome.REFUSED,
        "no",
        NOW + 3,
    )


def test_an_ended_order_keeps_its_history_and_says_what_rolled_it_back(
    store: Store, acting_as: Callable[[str], Api]
) -> None:
    ended = seed_order(store, "succeeded")
    api = acting_as(operating_system_user())
    made = api.create_rollback(*HERE, ended, RollBack("1.0.0"), reason="bad figures")
    assert [(line.act, str(line.said), line.reason) for line in api.history(*HERE, ended)] == [
        ("", "the order succeeded", ""),
        ("roll_back", f"creates a rollback order to 1.0.0: order #{made}", "bad figures"),
    ]
    assert [line.act for line in api.history(*HERE, made)] == ["create_rollback"]


def test_nobody_learns_the_history_of_another_workspace(store: Store, acting_as: Callable[[str], Api]) -> None:
    order_id = seed_order(store, "halted")
    api = acting_as(operating_system_user())
    assert code(lambda: api.history("globex", "prod", order_id)) == "no_such_order"
    assert code(lambda: api.send("globex", "prod", order_id, Cancel(), reason="x")) == "no_such_order"
    assert [line.operator for line in api.history(*HERE, order_id)] == [""]


def test_every_act_of_the_history_names_its_object_in_words(store: Store, acting_as: Callable[[str], Api]) -> None:
    api = acting_as(operating_system_user())
    halted, gate = seed_order(store, "halted"), seed_order(store, "waiting_at_beta_gate")
    api.send(*HERE, halted, Retry())
    api.send(*HERE, halted, RollBack(), reason="bad figures")
    api.send(*HERE, gate, Confirm("beta-confirm"))
    assert [(line.outcome, str(line.said)) for line in api.history(*HERE, halted)] == [
        (Outcome.BY_ITSELF, "halts the order: hz-03 failed"),
        (Outcome.ASKED, "retries hz-03"),
        (Outcome.ASKED, "rolls back 5 hosts: 2.0.0 → 1.0.0"),
    ]
    why = api.history(*HERE, halted)[0].problem
    assert why is not None
    assert "health check" in str(why.what)
    (confirmed,) = api.history(*HERE, gate)
    assert str(confirmed.said).startswith("confirms Beta group and starts group 1 (")
