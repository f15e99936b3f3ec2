"""Reading catalogue files: what is accepted, and how every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.catalogue.models import Workspace
from engine.catalogue.problems import CatalogueError
from engine.catalogue.read import read_files, read_text
from engine.store.catalogue_export import dump

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmT1vQ0yq"

STACK = """\
version: 1
tenants:
  - name: acme
    tech_stacks:
      - {name: python-web, version: "1.0", archive: {region: cn-hangzhou, bucket: lab, key: s.tar.gz}}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(CatalogueError) as refused:
        read_text(text, file="a.yaml")
    assert refused.value.problem.code == "catalogue_refused"
    return [str(problem) for problem in refused.value.problems]


def refused_files(*paths: Path) -> list[str]:
    with pytest.raises(CatalogueError) as refused:
        read_files(paths)
    return [str(problem) for problem in refused.value.problems]


def test_every_mistake_of_a_file_is_named_at_once_with_its_line() -> None:
    found = problems_of(
        """\
version: 1
tenants:
  - name: acme
    tech_stacks:
      - name: python-web
        version: 1.0
        archive: {region: cn-hangzhou, bucket: Lab!, key: /x}
        colour: red
    apps:
      - name: 9lives
        tech_stack: {name: python-web}
    workspaces:
      - name: prod
        production: "yes"
        floor_percent: 150
        data_centres:
          - name: hz-a
            region: cn-hangzhou
            cells:
              - name: hz-a-1
                hosts:
                  - {name: hz-01, address: -oProxyCommand=x, ssh_port: 99999}
"""
    )
    stack, app, prod = "tenants[0].tech_stacks[0]", "tenants[0].apps[0]", "tenants[0].workspaces[0]"
    host = f"{prod}.data_centres[0].cells[0].hosts[0]"
    assert found == [
        f'a.yaml:6: {stack}.version: must be text; write it in quotes, for example "1.0"',
        f"a.yaml:7: {stack}.archive.bucket: must be a bucket's name: 3 to 63 lower-case letters, digits and dashes",
        f"a.yaml:7: {stack}.archive.key: must be an object's key: not empty, not beginning with / or \\",
        f"a.yaml:8: {stack}.colour: is not a key a catalogue knows here; check its spelling",
        f"a.yaml:10: {app}.name: must be 1 to 60 letters, digits, dashes or underscores and begin with a letter",
        f"a.yaml:11: {app}.tech_stack.version: is missing",
        f"a.yaml:14: {prod}.production: must be true or false, without quotes",
        f"a.yaml:15: {prod}.floor_percent: must be at most 100",
        f"a.yaml:22: {host}.address: must be a host name or an IP address",
        f"a.yaml:22: {host}.ssh_port: must be at most 65535",
    ]


def test_names_that_nothing_has_are_named_where_they_are_used() -> None:
    found = problems_of(
        f"""\
version: 1
tenants:
  - name: acme
    apps:
      - name: shop
        group: trading
        level: core
        tech_stack: {{name: python-web, version: "1.0"}}
    workspaces:
      - name: prod
        regions: [{{name: cn-hangzhou}}]
        data_centres:
          - name: hz-a
            region: cn-shanghai
            cells:
              - name: hz-a-1
                hosts:
                  - {{name: hz-01, address: 10.0.0.1, host_key: "{KEY}", jump_chain: [jump-1]}}
        balancers: [{{id: lb-1, region: cn-beijing}}]
        service_instances:
          - app: ledger
            hosts: [hz-01, hz-02]
            mounts:
              - {{balancer: lb-2, host: hz-01}}
              - {{balancer: lb-1, host: hz-09}}
operators:
  - name: alice
    roles:
      - {{tenant: other, role: admin}}
      - {{tenant: acme, workspace: test, role: viewer}}
"""
    )
    prod = "tenants[0].workspaces[0]"
    instance = f"{prod}.service_instances[0]"
    assert found == [
        "a.yaml:6: tenants[0].apps[0].group: there is no group trading in this tenant",
        "a.yaml:7: tenants[0].apps[0].level: there is no level core in this tenant",
        "a.yaml:8: tenants[0].apps[0].tech_stack: there is no tech stack python-web of version 1.0 in this tenant",
        f"a.yaml:14: {prod}.data_centres[0].region: there is no region cn-shanghai in this workspace",
        f"a.yaml:18: {prod}.data_centres[0].cells[0].hosts[0].jump_chain[0]: there is no jump host jump-1 in this workspace",
        f"a.yaml:19: {prod}.balancers[0].region: there is no region cn-beijing in this workspace",
        f"a.yaml:21: {instance}.app: there is no app ledger in this tenant",
        f"a.yaml:22: {instance}.hosts[1]: there is no host hz-02 in this workspace",
        f"a.yaml:24: {instance}.mounts[0].balancer: there is no load balancer lb-2 in this workspace",
        f"a.yaml:24: {instance}.mounts[0].host: host hz-01 needs a server_id to be behind a load balancer",
        f"a.yaml:25: {instance}.mounts[1].host: host hz-09 is not one of this service instance's hosts",
        "a.yaml:29: operators[0].roles[0].tenant: there is no tenant other",
        "a.yaml:30: operators[0].roles[1].workspace: there is no workspace test in this tenant",
    ]


def test_what_is_named_twice_says_where_it_was_first(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(STACK + "    apps:\n      - {name: shop, tech_stack: {name: python-web, version: '1.0'}}\n")
    second.write_text(
        "version: 1\ntenants:\n  - name: acme\n    apps:\n      - {name: shop, tech_stack: {name: python-web, version: '1.0'}}\n"
        "    groups: [{name: a}, {name: a}]\n"
    )
    assert refused_files(first, second) == [
        f"{second}:5: tenants[0].apps[0]: shop is named twice; the first is in {first}, line 7",
        f"{second}:6: tenants[0].groups[1]: a is named twice; the first is in {second}, line 6",
    ]


def test_hosts_are_told_apart_in_the_whole_workspace() -> None:
    found = problems_of(
        """\
version: 1
tenants:
  - name: acme
    workspaces:
      - name: prod
        regions: [{name: r}]
        data_centres:
          - {name: a, region: r, cells: [{name: a-1, hosts: [{name: h, address: 10.0.0.1}]}]}
          - {name: b, region: r, cells: [{name: a-1, hosts: [{name: h, address: 10.0.0.2}]}]}
"""
    )
    place = "tenants[0].workspaces[0].data_centres[1].cells[0]"
    assert found == [
        f"a.yaml:9: {place}: a-1 is named twice; the first is in a.yaml, line 8",
        f"a.yaml:9: {place}.hosts[0]: h is named twice; the first is in a.yaml, line 8",
    ]


def test_a_key_written_twice_is_a_mistake_not_the_last_one() -> None:
    assert problems_of("version: 1\ntenants:\n  - name: acme\n    name: borealis\n") == [
        "a.yaml:4: tenants[0].name: is written twice here; the first is on line 3"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a.yaml: is empty"),
        ("# nothing\n", "a.yaml: is empty"),
        ("version: 1\ntenants: [\n", "a.yaml:3: is not YAML: "),
        ("version: 1\n\ttenants: []\n", "a.yaml:2: is not YAML: "),
        ("version: 1\n---\nversion: 1\n", "a.yaml:2: is not YAML: "),
        ("just words", "a.yaml:1: must be a mapping: lines of key: value"),
        ("version: 2\n", "a.yaml:1: version: must be one of: 1"),
        ("tenants: []\n", "a.yaml:1: version: is missing"),
        ("version: 1\ntenants: {acme: {}}\n", "a.yaml:2: tenants: must be a list"),
        ("version: 1\ntenants: [acme]\n", "a.yaml:2: tenants[0]: must be a mapping: lines of key: value"),
        ("version: 1\ntenants: [{name: 1.0}]\n", 'a.yaml:2: tenants[0].name: must be text; write it in quotes, for example "1.0"'),
        ("version: 1\ntenants: [{name: }]\n", "a.yaml:2: tenants[0].name: must be text, but nothing is written there"),
        ("version: 1\ntenants: !secret x\n", "a.yaml:2: tenants: has a tag (!secret) that is not known here"),
        ("version: 1\ntenants: &a [*a]\n", "a.yaml: has too many parts, or a part that contains itself"),
        ("[" * 5000, "a.yaml: has too many parts, or a part that contains itself"),
        ("version: 1\ntenants: [{name: \"a\\0b\"}]\n", "a.yaml:2: tenants[0].name: must be 1 to 60 letters"),
        ("version: 1\noperators: [{name: a, roles: [{tenant: x, role: boss}]}]\n",
         "a.yaml:2: operators[0].roles[0].role: must be one of: viewer, operator, approver or admin"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_catalogue_says_why(text: str, problem: str) -> None:
    assert problems_of(text)[0].startswith(problem)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"version: 1 # \xe9\n")
    assert refused_files(tmp_path / "gone.yaml", tmp_path / "latin.yaml", tmp_path) == [
        f"{tmp_path / 'gone.yaml'}: can't be read: No such file or directory",
        f"{tmp_path / 'latin.yaml'}: is not UTF-8 text",
        f"{tmp_path}: can't be read: Is a directory",
    ]


def test_names_of_a_file_that_could_not_be_read_are_not_called_unknown(tmp_path: Path) -> None:
    (tmp_path / "stacks.yaml").write_text(STACK + "    colour: red\n")
    (tmp_path / "apps.yaml").write_text(
        "version: 1\ntenants: [{name: acme, apps: [{name: shop, tech_stack: {name: python-web, version: '1.0'}}]}]\n"
    )
    assert refused_files(tmp_path / "stacks.yaml", tmp_path / "apps.yaml") == [
        f"{tmp_path / 'stacks.yaml'}:6: tenants[0].colour: is not a key a catalogue knows here; check its spelling"
    ]


def test_several_files_grow_together_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\ntenants:\n  - name: acme\n    workspaces:\n      - {name: prod, production: true, regions: [{name: r}],"
        " data_centres: [{name: a, region: r, cells: [{name: a-1, hosts: [{name: h1, address: 10.0.0.1}]}]}]}\n"
    )
    (tmp_path / "b.yaml").write_text(
        "version: 1\ntenants:\n  - name: acme\n    workspaces:\n      - {name: prod,"
        " data_centres: [{name: a, region: r, cells: [{name: a-1, hosts: [{name: h2, address: 10.0.0.2}]}]}]}\n"
    )
    catalogue = read_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    (workspace,) = catalogue.tenants[0].workspaces
    assert workspace.production
    assert workspace.floor == 50
    (centre,) = workspace.data_centres
    assert [host.name for cell in centre.cells for host in cell.hosts] == ["h1", "h2"]


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for name, production in (("a", "true"), ("b", "false")):
        (tmp_path / f"{name}.yaml").write_text(
            f"version: 1\ntenants: [{{name: acme, workspaces: [{{name: prod, production: {production}}}]}}]\n"
        )
    assert refused_files(tmp_path / "a.yaml", tmp_path / "b.yaml") == [
        f"{tmp_path / 'b.yaml'}:2: tenants[0].workspaces[0].production: contradicts another file, which says true"
    ]


def test_what_the_store_has_may_be_referred_to() -> None:
    known = read_text(STACK)
    text = "version: 1\ntenants: [{name: acme, apps: [{name: shop, tech_stack: {name: python-web, version: '1.0'}}]}]\n"
    assert "tech_stack" in problems_of(text)[0]
    assert read_text(text, known=known).tenants[0].apps[0].name == "shop"


def test_a_host_runs_one_app() -> None:
    found = problems_of(
        STACK
        + """\
    apps:
      - {name: shop, tech_stack: {name: python-web, version: "1.0"}}
      - {name: ledger, tech_stack: {name: python-web, version: "1.0"}}
    workspaces:
      - name: prod
        regions: [{name: r}]
        data_centres: [{name: a, region: r, cells: [{name: a-1, hosts: [{name: h1, address: 10.0.0.1}]}]}]
        service_instances:
          - {app: shop, hosts: [h1]}
          - {app: ledger, hosts: [h1]}
"""
    )
    assert found == [
        "a.yaml:15: tenants[0].workspaces[0].service_instances[1].hosts[0]: host h1 already runs shop; a host runs only one app"
    ]


def test_a_blue_green_workspace_needs_two_data_centres() -> None:
    text = "version: 1\ntenants: [{name: acme, workspaces: [{name: prod, blue_green: true}]}]\n"
    assert problems_of(text) == [
        "a.yaml:2: tenants[0].workspaces[0].blue_green: a blue-green workspace has exactly two data centres, this one has 0"
    ]


def test_dates_stay_text_because_versions_look_like_them() -> None:
    text = STACK.replace('"1.0"', "2026-11-23")
    assert read_text(text).tenants[0].tech_stacks[0].version == "2026-11-23"


def stack_of(version: str) -> str:
    return STACK.replace('"1.0"', version)


@pytest.mark.parametrize(
    ("word", "old", "new"),
    [
        ("02222", "1170", "2222"),
        ("07777", "4095", "7777"),
        ("1:30", "90", '"1:30"'),
        ("1:30.5", "90.5", '"1:30.5"'),
        ("089", '"089"', "89"),
        ("0o17", '"0o17"', "15"),
        ("0b101", "5", '"0b101"'),
        ("1_000", "1000", '"1_000"'),
        ("-0x1F", "-31", '"-0x1F"'),
        ("1e3", '"1e3"', "1000.0"),
        ("yes", "true", '"yes"'),
        ("Off", "false", '"Off"'),
        ("n", "false", '"n"'),
    ],
)
def test_what_yaml_1_1_and_1_2_read_differently_is_refused_as_it_stands_in_the_file(
    word: str, old: str, new: str
) -> None:
    """Whatever is expected there: text, a number, a truth value."""
    said = (
        f"{word} is {old} in YAML 1.1 and {new} in YAML 1.2;"
        " write what you mean: text in quotes, numbers in decimal digits, true or false"
    )
    assert problems_of(stack_of(word)) == [f"a.yaml:5: tenants[0].tech_stacks[0].version: {said}"]
    workspace = "tenants[0].workspaces[0]"
    host = f"{workspace}.data_centres[0].cells[0].hosts[0]"
    fleet = (
        "version: 1\ntenants:\n  - name: acme\n    workspaces:\n      - name: prod\n"
        f"        production: {word}\n        regions: [{{name: r}}]\n"
        "        data_centres: [{name: a, region: r, cells: [{name: a-1, hosts: [\n"
        f"          {{name: h1, address: 10.0.0.1, ssh_port: {word}}}]}}]}}]\n"
    )
    assert problems_of(fleet) == [f"a.yaml:6: {workspace}.production: {said}", f"a.yaml:9: {host}.ssh_port: {said}"]


@pytest.mark.parametrize("word", ["1.10", "1.0", "2", "0x1F", "-7", "1.", "true", "FALSE", "~", ".inf"])
def test_a_hint_quotes_the_word_as_it_was_written(word: str) -> None:
    hint = "must be text, but nothing is written there" if word == "~" else (
        f'must be text; write it in quotes, for example "{word}"'
    )  # fmt: skip
    assert problems_of(stack_of(word)) == [f"a.yaml:5: tenants[0].tech_stacks[0].version: {hint}"]


@pytest.mark.parametrize("word", ["1.10.0", "v02", "2026-11-23", "'02222'", '"yes"', "!!str 1:30", "! 12", "=", "01-a"])
def test_text_is_text_to_both_or_by_its_quotes(word: str) -> None:
    read = read_text(stack_of(word).replace("name: python-web", "name: python-web, web_server: " + word).replace(
        f"version: {word}", "version: v1")).tenants[0].tech_stacks[0].web_server  # fmt: skip
    assert read == word.removeprefix("!!str ").removeprefix("! ").strip("'\"")


def test_numbers_are_those_of_the_core_schema() -> None:
    text = (
        "version: 1\ntenants: [{name: a, levels: [{name: x, rank: +12}, {name: w, rank: 0x1F}, {name: z, rank: -7},"
        " {name: q, rank: !!int 0x10}]}]\n"
    )
    assert [level.rank for level in read_text(text).tenants[0].levels] == [12, 31, -7, 16]
    wrong = "version: 1\ntenants: [{name: a, levels: [{name: x, rank: !!int many}, {name: w, rank: !!binary aGk=}]}]\n"
    assert problems_of(wrong) == [
        "a.yaml:2: tenants[0].levels[0].rank: is not YAML: many is no int",
        "a.yaml:2: tenants[0].levels[1].rank: has a tag (tag:yaml.org,2002:binary) that is not known here",
    ]


def test_a_merge_is_named_as_what_it_is() -> None:
    text = "version: 1\ntenants:\n  - name: acme\n    groups:\n      - &g {name: a}\n      - {<<: *g, name: b}\n"
    assert problems_of(text) == [
        "a.yaml:6: tenants[0].groups[1]: << merges another mapping in YAML 1.1 only; write its keys out here"
    ]
    quoted = STACK + "    apps: [{name: s, tech_stack: {name: python-web, version: '1.0'}, metadata: {'<<': x}}]\n"
    assert read_text(quoted).tenants[0].apps[0].metadata == {"<<": "x"}


@pytest.mark.parametrize(
    "word", ["02222", "1:30", "yes", "n", "1e3", "0o17", "1.10", "-.5", "089", "2026-11-23", "null", "<<"]
)
def test_what_is_written_out_is_text_to_either_version(word: str) -> None:
    """By the dumper that `cockpit export` uses."""
    written = dump({"version": 1, "tenants": [{"name": "a", "groups": [{"name": "g", "description": word}]}]})
    assert read_text(written).tenants[0].groups[0].description == word
    assert yaml.safe_load(written)["tenants"][0]["groups"][0]["description"] == word


HIDDEN = "must not hold characters that can't be seen or that turn text around (zero-width, joiner, bidi, tag)"


@pytest.mark.parametrize("char", ["\u200b", "\u200d", "\u202e", "\u2066", "\u00ad", "\ufeff", "\u3164", "\U000e0041"])
def test_what_cannot_be_seen_is_refused_in_every_name(char: str) -> None:
    text = STACK.replace("python-web, version", f'"web{char}", version') + (
        f'    groups: [{{name: g, description: "a{char}b"}}]\n'
        f'    apps: [{{name: s, alias: "交易{char}核心", owner: "bob{char}", tech_stack: {{name: x, version: v}},'
        f' metadata: {{"k{char}": v}}, packages: [{{version: v, region: r, bucket: bbb, key: "a{char}.tar"}}]}}]\n'
        f'    workspaces: [{{name: p, jump_hosts: [{{name: j, address: a, ssh_user: "op{char}"}}]}}]\n'
    )
    app = "tenants[0].apps[0]"
    assert {problem.split(": ", 1)[1] for problem in problems_of(text)} == {
        f"tenants[0].tech_stacks[0].name: {HIDDEN}",
        f"tenants[0].groups[0].description: {HIDDEN}",
        f"{app}.alias: {HIDDEN}",
        f"{app}.owner: {HIDDEN}",
        f"{app}.metadata.k{char}: {HIDDEN}",
        f"{app}.packages[0].key: {HIDDEN}",
        f"tenants[0].workspaces[0].jump_hosts[0].ssh_user: {HIDDEN}",
    }


@pytest.mark.parametrize("key", ["../up.tar", "a/../../b", "a/./b", "a/..", "a\\..\\b"])
def test_a_key_with_dot_parts_is_refused(key: str) -> None:
    (found,) = problems_of(STACK.replace("s.tar.gz", f"'{key}'"))
    assert "archive.key: must not have . or .. as a part between slashes" in found


@pytest.mark.parametrize("key", ["a..b/c", "..a", "a/...", "a//b", ".hidden/x"])
def test_other_dots_belong_to_a_key(key: str) -> None:
    assert read_text(STACK.replace("s.tar.gz", f"'{key}'")).tenants[0].tech_stacks[0].archive.key == key


def test_mounts_have_a_port_only_in_a_vserver_group() -> None:
    text = (
        "version: 1\ntenants: [{name: acme, workspaces: [{name: p, service_instances: [{app: a, mounts: ["
        "{balancer: lb, host: h, port: 80}, {balancer: lb, host: h, vserver_group: rsp-1}]}]}]}]\n"
    )
    found = problems_of(text)
    assert len(found) == 2
    assert all("needs a port; one in the default group has none" in problem for problem in found)


def test_the_floor_left_out_is_half_in_production_and_none_elsewhere() -> None:
    assert Workspace(name="prod", production=True).floor == 50
    assert Workspace(name="test").floor == 0
    assert Workspace(name="prod", production=True, floor_percent=0).floor == 0


def test_a_deprecated_stack_says_why() -> None:
    text = STACK.replace('version: "1.0",', 'version: "1.0", status: deprecated,')
    assert problems_of(text) == [
        "a.yaml:5: tenants[0].tech_stacks[0]: a deprecated tech stack needs a deprecation_reason"
    ]


def catalogue_with(parameters: str = "[]", variables: str = "{}") -> str:
    return f"""\
version: 1
tenants:
  - name: acme
    tech_stacks:
      - name: python-web
        version: "1.0"
        archive: {{region: cn-hangzhou, bucket: lab, key: s.tar.gz}}
        parameters: {parameters}
    apps:
      - {{name: shop, tech_stack: {{name: python-web, version: "1.0"}}}}
    workspaces:
      - name: prod
        regions: [{{name: cn-hangzhou}}]
        data_centres:
          - name: hz-a
            region: cn-hangzhou
            cells:
              - name: hz-a-1
                hosts:
                  - {{name: hz-01, address: 127.0.0.1, variables: {variables}}}
        service_instances:
          - {{app: shop, hosts: [hz-01]}}
"""


@pytest.mark.parametrize(
    "name", ["PATH", "path", "LD_PRELOAD", "ld_library_path", "IFS", "HOME", "BASH_ENV", "STACK_DIR", "ck_x"]
)
def test_a_variable_that_every_step_needs_is_refused_by_the_catalogue(name: str) -> None:
    said = f"the variable {name} would replace one that every step needs; give it another name"
    (of_host,) = problems_of(catalogue_with(variables=f'{{{name}: "x"}}'))
    assert of_host.startswith("a.yaml:20: ")
    assert of_host.endswith(f".hosts[0].variables.{name}: {said}")
    (of_stack,) = problems_of(catalogue_with(parameters=f"[{{name: {name}}}]"))
    assert of_stack == f"a.yaml:8: tenants[0].tech_stacks[0].parameters[0].name: {said}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("health_port", "no", "must be a port of 1–65535"),
        ("health_port", "70000", "must be a port of 1–65535"),
        ("staragent_port", "0", "must be a port of 1–65535"),
        ("app_port", "８０", "must be a port of 1–65535"),
        ("drain_s", "ten", "must be a number of seconds, or 0"),
        ("health_interval_s", "0", "must be a number of seconds above 0"),
        ("health_deadline_s", "nan", "must be a number of seconds above 0"),
        ("DEPLOY_DEADLINE_S", "-1", "must be a number of seconds above 0"),
    ],
)
def test_a_value_that_a_step_could_not_use_is_refused_by_the_catalogue(name: str, value: str, said: str) -> None:
    (of_host,) = problems_of(catalogue_with(variables=f'{{{name}: "{value}"}}'))
    assert of_host.endswith(f".variables.{name}: {name} is {value}; it {said}")
    (of_stack,) = problems_of(catalogue_with(parameters=f'[{{name: {name}, default: "{value}"}}]'))
    assert of_stack.endswith(f".parameters[0].default: {name} is {value}; it {said}")


def test_a_required_parameter_without_a_value_is_refused_by_the_catalogue() -> None:
    wanted = "[{name: schema, required: true}, {name: ZONE, required: true, default: a}]"
    assert problems_of(catalogue_with(wanted, variables='{schema: ""}')) == [
        "a.yaml:22: tenants[0].workspaces[0].service_instances[0].hosts[0]: "
        "these hosts have no value for schema, which tech stack python-web 1.0 requires: hz-01"
    ]
    read_text(catalogue_with(wanted, variables='{SCHEMA: "7"}'), file="a.yaml")
    usable = '{drain_s: "0", health_port: "9500", health_deadline_s: "1.5", other_s: anything}'
    read_text(catalogue_with(variables=usable), file="a.yaml")
