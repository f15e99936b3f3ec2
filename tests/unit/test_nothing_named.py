"""An empty name is no name: what is refused says that none was given, and no sentence has a hole in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.cli.run import run
from engine.api import Api
from engine.domain.acts import Cancel
from engine.domain.problem import ProblemError
from engine.kinds.chosen_hosts import spec_of
from engine.kinds.release import release_spec
from engine.store.store import Store
from tests.support import seeds

HOLE = re.compile(r"\w  \w|\w \.|: \.|\w ,|#\.|“”|\(\)")
ASKED: dict[str, Callable[[Api, str, str], object]] = {
    "apps": lambda api, tenant, workspace: api.apps(tenant, workspace),
    "hosts": lambda api, tenant, workspace: api.hosts(tenant, workspace, app=""),
    "host": lambda api, tenant, workspace: api.host(tenant, workspace, ""),
    "orders": lambda api, tenant, workspace: api.orders(tenant, workspace),
    "order": lambda api, tenant, workspace: api.order(tenant, workspace, 0),
    "orphans": lambda api, tenant, workspace: api.orphans(tenant, workspace),
    "history": lambda api, tenant, workspace: api.history(tenant, workspace, 0),
    "standing": lambda api, tenant, workspace: api.standing(tenant, workspace),
    "consequence": lambda api, tenant, workspace: api.consequence(tenant, workspace, 0, Cancel()),
    "send": lambda api, tenant, workspace: api.send(tenant, workspace, 0, Cancel(), reason="why"),
    "preview": lambda api, tenant, workspace: api.preview(tenant, workspace, release_spec("", "")),
    "create": lambda api, tenant, workspace: api.create_order(tenant, workspace, release_spec("", "")),
    "version": lambda api, tenant, workspace: api.create_order(tenant, workspace, release_spec("trade-core", "")),
    "restart": lambda api, tenant, workspace: api.create_order(tenant, workspace, spec_of("restart", [""])),
    "nobody": lambda api, tenant, workspace: api.create_order(tenant, workspace, spec_of("restart", [])),
    "unnamed host": lambda api, tenant, workspace: api.create_order(
        tenant, workspace, spec_of("restart", ["trade-core"], hosts=("",))
    ),
}  # fmt: skip


def refusal_of(asked: Callable[[], object]) -> ProblemError | None:
    try:
        asked()
    except ProblemError as error:
        return error
    return None


def whole(error: ProblemError) -> None:
    problems = getattr(error, "problems", ()) or (error.problem,)
    for problem in (error.problem, *problems):
        for sentence in (str(problem.what), str(problem.remedy)):
            assert not HOLE.search(sentence), sentence


@pytest.mark.parametrize("stocked", [False, True])
@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_with_empty_names_is_refused_in_whole_sentences(
    tmp_path: Path, asked: str, stocked: bool
) -> None:
    url = f"sqlite:///{tmp_path}/cockpit.db"
    store = Store.open(url, create=True)
    if stocked:
        seeds.seed_fleet(store)
    store.close()
    api = Api(url, operator="alice", log_dir=tmp_path, now=lambda: seeds.NOW)
    api.open()
    places = [("", ""), ("acme", ""), ("", "prod"), *([("acme", "prod")] if stocked else [])]
    refused = 0
    for tenant, workspace in places:
        found = refusal_of(lambda here=(tenant, workspace): ASKED[asked](api, *here))
        if found is not None:
            refused += 1
            whole(found)
        assert (tenant and workspace) or (found and str(found.problem.what) == "No workspace is named.")
    api.close()
    assert refused >= 3


COMMANDS = (
    ("app", "list"), ("host", "list"), ("host", "ssh", ""), ("order", "list"), ("order", "show", "0"), ("weights", "orphans"),
    ("release", "preview", "--app", "", "--version", ""), ("release", "create", "--app", "trade-core", "--version", ""),
    ("restart", "create", "--app", ""), ("offline", "create", "--app", "trade-core", "--host", ""), ("whoami",),
    ("weights", "give-back", "--host", "", "--reason", "x"), ("order", "log", "1", "--host", ""),
)  # fmt: skip


@pytest.mark.parametrize(
    "named", [(), ("--tenant", "", "--workspace", ""), ("--tenant", "acme", "--workspace", "prod")]
)
@pytest.mark.parametrize("stocked", [False, True])
def test_no_command_writes_a_sentence_with_a_hole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], named: tuple[str, ...], stocked: bool
) -> None:
    url = f"sqlite:///{tmp_path}/cockpit.db"
    store = Store.open(url, create=True)
    if stocked:
        seeds.seed_fleet(store)
    store.close()
    for command in COMMANDS:
        run(["--store", url, *named, *command])
        for line in capsys.readouterr().err.splitlines():
            assert not HOLE.search(line.strip()), (command, line)
