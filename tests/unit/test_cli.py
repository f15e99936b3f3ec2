"""The command line by situation: what is printed where, and with which exit code. No engine runs here."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import yaml

from cockpit.cli.output import said_of
from cockpit.cli.run import run
from engine.api import Api
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import OrderState
from engine.kinds import chosen_hosts, registry
from engine.store.store import Store
from tests.support import seeds

CATALOGUE = """
version: 1
tenants:
  - name: acme
    tech_stacks:
      - name: web
        version: "1.0"
        scripts: {install: bin/install.sh, configure: bin/configure.sh, deploy: bin/deploy.sh, start: bin/start.sh,
                  stop: bin/stop.sh, restart: bin/restart.sh, offline: bin/offline.sh}
        archive: {region: cn-hangzhou, bucket: lab, key: stack.tar.gz}
    apps:
      - name: trade-core
        alias: 交易核心
        tech_stack: {name: web, version: "1.0"}
        packages: [{version: 1.0.0, region: cn-hangzhou, bucket: lab, key: one.tar.gz}]
    workspaces:
      - name: prod
        regions: [{name: cn-hangzhou}]
        data_centres:
          - name: hz-a
            region: cn-hangzhou
            cells:
              - name: hz-a-1
                hosts: [{name: hz-01, address: 127.0.0.1, ssh_user: admin, server_id: i-1}]
        service_instances: [{app: trade-core, version: 1.0.0, hosts: [hz-01]}]
"""
SECOND_WORKSPACE = "version: 1\ntenants: [{name: acme, workspaces: [{name: dev}]}]\n"


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("COCKPIT_STORE", "COCKPIT_TENANT", "COCKPIT_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    file = tmp_path / "catalogue.yaml"
    file.write_text(CATALOGUE)
    return file


@pytest.fixture
def store(tmp_path: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A store with the catalogue in it."""
    url = f"sqlite:///{tmp_path}/store/cockpit.db"
    assert run(["--store", url, "apply", str(catalogue)]) == 0
    capsys.readouterr()
    return url


Out = pytest.CaptureFixture[str]


def test_global_options_are_taken_before_and_after_the_command(store: str, capsys: Out) -> None:
    assert run(["--store", store, "--json", "app", "list", "--workspace", "prod"]) == 0
    before = capsys.readouterr().out
    assert run(["app", "list", "--store", store, "--json", "--tenant", "acme"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(before)
    assert json.loads(before)[0]["alias"] == "交易核心"


def test_applying_a_catalogue_twice_changes_nothing_the_second_time(store: str, catalogue: Path, capsys: Out) -> None:
    assert run(["apply", str(catalogue), "--store", store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"applied": True, "changes": []}


def test_a_dry_run_shows_the_changes_and_writes_none(store: str, tmp_path: Path, capsys: Out) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(SECOND_WORKSPACE)
    for _time in range(2):
        assert run(["apply", str(second), "--dry-run", "--store", store]) == 0
        said = capsys.readouterr().out
        assert "+ workspace acme/dev" in said
        assert "nothing was written" in said


def test_a_wrong_catalogue_is_refused_with_file_and_line_of_every_mistake(
    store: str, tmp_path: Path, capsys: Out
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("version: 1\ntenants:\n  - name: acme\n    colour: red\n  - nome: other\n")
    assert run(["apply", str(wrong), "--store", store, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"]["code"] == "catalogue_refused"
    assert {problem["line"] for problem in answer["problems"]} == {4, 5}
    assert run(["apply", str(wrong), "--store", store]) == 1
    assert f"{wrong}:4: " in capsys.readouterr().err


def test_what_export_writes_apply_reads_back(store: str, tmp_path: Path, capsys: Out) -> None:
    assert run(["export", "--store", store]) == 0
    copy = tmp_path / "copy.yaml"
    copy.write_text(capsys.readouterr().out)
    assert run(["apply", str(copy), "--store", store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []


def test_one_of_several_workspaces_must_be_named(store: str, tmp_path: Path, capsys: Out) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(SECOND_WORKSPACE)
    assert run(["apply", str(second), "--store", store]) == 0
    capsys.readouterr()
    assert run(["order", "list", "--store", store]) == 2
    assert "acme/dev, acme/prod" in capsys.readouterr().err
    assert run(["order", "list", "--store", store, "--workspace", "prod"]) == 0


def test_a_store_that_is_not_there_is_not_made_by_asking(tmp_path: Path, capsys: Out) -> None:
    assert run(["order", "list", "--store", str(tmp_path / "none.db")]) == 1
    assert "none.db" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_an_order_that_is_not_here_is_an_error_object_with_json(store: str, capsys: Out) -> None:
    assert run(["order", "show", "7", "--store", store, "--json"]) == 2
    seen = capsys.readouterr()
    assert json.loads(seen.out)["error"]["code"] == "no_such_order"
    assert seen.err == ""


@pytest.mark.parametrize(
    "arguments", [["order", "lst"], ["order", "show", "seven"], ["order", "show"], ["--nonsense"], ["order"]]
)
def test_wrong_use_ends_with_2_and_says_what_to_do(arguments: list[str], capsys: Out) -> None:
    assert run(arguments) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "--help" in seen.err
    assert "Traceback" not in seen.err


def test_wrong_use_with_json_is_an_error_object(capsys: Out) -> None:
    assert run(["order", "lst", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "wrong_use"


def test_the_screens_need_a_terminal_and_say_what_to_use_instead(store: str, capsys: Out) -> None:
    assert run(["--store", store]) == 2
    assert "cockpit order list" in capsys.readouterr().err


def test_a_release_that_is_refused_names_every_problem_and_writes_nothing(store: str, capsys: Out) -> None:
    wanted = [
        "release",
        "create",
        "--app",
        "trade-core",
        "--version",
        "9.9.9",
        "--groups",
        "5",
        "--store",
        store,
        "--json",
    ]
    assert run(wanted) == 2
    assert len(json.loads(capsys.readouterr().out)["problems"]) >= 2
    assert run(["order", "list", "--store", store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_an_app_on_one_host_is_released_by_default_and_groups_typed_by_hand_are_refused(
    store: str, capsys: Out
) -> None:
    wanted = ["release", "preview", "--app", "trade-core", "--version", "1.0.0", "--store", store, "--json"]
    assert run(wanted) == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    assert [node["hosts"] for node in nodes if node["hosts"]] == [["hz-01"]]
    assert run([*wanted, "--groups", "2"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["code"], problem["what"]) == ("groups_out_of_range", "1 hosts can't be split into 2 groups.")


def test_a_preview_creates_nothing(store: str, capsys: Out) -> None:
    wanted = [
        "release",
        "preview",
        "--app",
        "trade-core",
        "--version",
        "1.0.0",
        "--strategy",
        "one_group",
        "--store",
        store,
    ]
    assert run([*wanted, "--json"]) == 0
    assert [node["key"] for node in json.loads(capsys.readouterr().out)["nodes"]] == ["initialise", "group-1", "finish"]
    assert run(["order", "list", "--store", store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("weight", ["hz-01=101", "hz-01", "=5", "hz-01=-1", "hz-01=a"])
def test_a_weight_that_is_none_is_wrong_use(store: str, weight: str, capsys: Out) -> None:
    wanted = ["release", "create", "--app", "trade-core", "--version", "1.0.0", "--traffic", "preset", "--store", store]
    assert run([*wanted, f"--weight={weight}"]) == 2
    assert weight in capsys.readouterr().err


def test_columns_line_up_behind_chinese_names(store: str, capsys: Out) -> None:
    from rich.cells import cell_len

    assert run(["app", "list", "--store", store]) == 0
    title, row = capsys.readouterr().out.splitlines()
    assert cell_len(title[: title.index("stack")]) == cell_len(row[: row.index("web 1.0")])


def test_names_of_an_older_store_that_deceive_are_marked_and_can_be_corrected(
    store: str, catalogue: Path, tmp_path: Path, capsys: Out
) -> None:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE app SET alias = ?", ("evil\u202etxt.exe\u200b",))
        connection.execute("UPDATE package SET key = 'a/../b.tar'")
    assert run(["--store", store, "app", "list"]) == 0
    assert "evil·txt.exe·" in capsys.readouterr().out
    assert run(["--store", store, "export"]) == 0
    exported = capsys.readouterr().out
    assert "\u202e" not in exported
    assert yaml.safe_load(exported)["tenants"][0]["apps"][0]["alias"] == "evil\u202etxt.exe\u200b"
    file = tmp_path / "exported.yaml"
    file.write_text(exported)
    assert run(["--store", store, "apply", str(file)]) == 1
    said = capsys.readouterr().err
    assert "apps[0].alias: must not hold characters that can't be seen" in said
    assert "packages[0].key: must not have . or .. as a part" in said
    assert run(["--store", store, "apply", str(catalogue)]) == 0
    assert "alias: evil·txt.exe· → 交易核心" in capsys.readouterr().out


def test_something_unexpected_is_one_line_with_the_place_of_the_details(
    store: str, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Api, "workspaces", broken)
    assert run(["app", "list", "--store", store]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    named = next(word for word in said.split() if word.endswith("cockpit.log."))
    assert "boom" in Path(named.rstrip(".")).read_text()


def test_the_exit_code_of_following_says_done_failed_or_waiting() -> None:
    from cockpit.cli.exit_codes import of_order

    codes = {state: of_order(state) for state in OrderState}
    assert [state for state, code in codes.items() if code == 0] == [OrderState.SUCCEEDED]
    assert {state for state, code in codes.items() if code == 3} == {
        OrderState.READY, OrderState.WAITING, OrderState.HALTED,
    }  # fmt: skip


def test_a_file_beside_the_store_that_is_not_obeyed_is_named_beside_the_answer(
    store: str, tmp_path: Path, capsys: Out
) -> None:
    config = tmp_path / "store" / "config.toml"
    config.write_text('language = "zh_CN"\n')
    config.chmod(0o666)
    assert run(["app", "list", "--store", store, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)[0]["name"] == "trade-core"
    assert f"The settings in {config} are ignored: others can write them." in said.err


def test_settings_that_are_wrong_fail_every_command_in_one_sentence(tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "config.toml").write_text("colour = 'red'\n")
    assert run(["order", "list"]) == 1
    assert f"colour in {tmp_path}/config.toml" in capsys.readouterr().err


def test_what_happened_to_no_host_has_no_colon_in_front() -> None:
    problem = Problem("package_missing", message("It is not in the bucket."), message("Upload it again."))
    assert said_of("", problem) == "It is not in the bucket. Upload it again."
    assert said_of("hz-01", problem) == "hz-01: It is not in the bucket. Upload it again."


@pytest.mark.parametrize("kind", ["restart", "offline"])
def test_an_order_that_chose_no_version_is_shown_without_one(tmp_path: Path, capsys: Out, kind: str) -> None:
    url = f"sqlite:///{tmp_path}/cockpit.db"
    store = Store.open(url, create=True)
    seeds.seed_fleet(store)
    order = seeds.seed_order(store, "ready", chosen_hosts.spec_of(kind, ["trade-core"], groups=4, seed=1))
    store.close()
    place = ["--store", url, "--tenant", "acme", "--workspace", "prod"]
    assert run([*place, "order", "show", str(order)]) == 0
    assert f"order #{order} {registry.KINDS[kind].word}  ready" in capsys.readouterr().out
    assert run([*place, "order", "list"]) == 0
    assert "1.0.0" not in capsys.readouterr().out
