"""Applying catalogues to a store and writing them out again, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalogue.catalogue import Catalogue
from engine.catalogue.problems import CatalogueError
from engine.catalogue.read import read_text
from engine.domain.clean import visible
from engine.store import tables as t
from engine.store.catalogue import apply, export, plan_changes, stored
from engine.store.fleets import load_instance
from engine.store.store import Store, StoreError
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401

NOW = 1_790_000_000.0

RICH = """\
version: 1
tenants:
  - name: acme
    groups: [{name: trading, description: "all that trades"}, {name: ledgers}]
    levels: [{name: core, rank: 1, description: "wakes people up"}, {name: edge}]
    tech_stacks:
      - name: python-web
        version: "1.0"
        supported_os: {debian: ["11", "12"], ubuntu: []}
        supported_regions: [cn-hangzhou]
        web_server: "nginx 1.26"
        install_list: [curl, "python3 >= 3.11"]
        parameters:
          - {name: drain_s, default: "10"}
          - {name: app_port, required: true, description: "where it listens"}
        scripts: {install: bin/install.sh, deploy: bin/deploy.sh, check_health: bin/health.sh}
        archive: {region: cn-hangzhou, bucket: lab, key: stacks/python-web-1.0.tar.gz, size: 123, etag: '"ab12"', crc64: "1"}
        sdk: {region: cn-hangzhou, bucket: lab, key: sdk.tar.gz}
      - {name: python-web, version: "1.1", status: draft, archive: {region: r, bucket: lab, key: k}}
      - {name: old, version: "9", status: deprecated, deprecation_reason: "no updates", archive: {region: r, bucket: lab, key: k}}
    apps:
      - name: trade-core
        alias: 交易核心
        description: "two\\nlines: and a colon"
        group: trading
        level: core
        tech_stack: {name: python-web, version: "1.0"}
        owner: 李雷
        metadata: {team: trading, "key with spaces": "no"}
        packages:
          - {version: 1.0.0, region: cn-hangzhou, bucket: lab, key: packages/trade-core-1.0.0.tar.gz, size: 1, etag: AB}
          - {version: 2.0.0, region: cn-hangzhou, bucket: lab, key: packages/trade-core-2.0.0.tar.gz}
      - {name: ledger, tech_stack: {name: python-web, version: "1.1"}, owner: alice}
    workspaces:
      - {name: dev, floor_percent: 0}
      - name: prod
        production: true
        floor_percent: 34
        requires_staragent: true
        blue_green: true
        regions:
          - {name: cn-hangzhou, oss_endpoint: "http://127.0.0.1:4001", slb_endpoint: "http://127.0.0.1:4002"}
          - {name: cn-shanghai}
        jump_hosts:
          - {name: jump-1, address: 127.0.0.1, ssh_user: ops, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmT1vQ0yq"}
          - {name: jump-2, address: "fe80::1%eth0", ssh_port: 2222, ssh_user: "ops@bastion"}
        data_centres:
          - name: hz-a
            region: cn-hangzhou
            cells:
              - name: hz-a-1
                hosts:
                  - name: hz-01
                    address: 10.0.0.1
                    ssh_port: 4010
                    ssh_user: deploy
                    jump_chain: [jump-1, jump-2]
                    server_id: i-hz01
                    os: debian
                    os_version: "12"
                    variables: {app_port: "4110", health_port: "4210"}
                  - {name: hz-02, address: 10.0.0.2, server_id: i-hz02, variables: {app_port: "4110"}}
              - {name: hz-a-2}
          - {name: sh-a, region: cn-shanghai, cells: [{name: sh-a-1, hosts: [{name: sh-01, address: 10.1.0.1}]}]}
        balancers: [{id: lb-2zelab01, region: cn-hangzhou, name: public}, {id: lb-2, region: cn-shanghai}]
        service_instances:
          - app: trade-core
            version: 1.0.0
            hosts: [hz-01, hz-02]
            mounts:
              - {balancer: lb-2zelab01, vserver_group: rsp-2zelab01, host: hz-01, port: 4110}
              - {balancer: lb-2zelab01, host: hz-01}
              - {balancer: lb-2, vserver_group: rsp-2, host: hz-02, port: 4110}
          - {app: ledger, hosts: [sh-01]}
  - name: borealis
    tech_stacks: [{name: python-web, version: "1.0", archive: {region: other, bucket: their, key: k}}]
    apps: [{name: trade-core, tech_stack: {name: python-web, version: "1.0"}, owner: bob}]
operators:
  - {name: alice, roles: [{tenant: acme, role: viewer}, {tenant: acme, workspace: prod, role: approver}]}
  - {name: bob, roles: [{tenant: acme, role: admin}, {tenant: borealis, role: admin}]}
  - {name: nobody}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        opened = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
        yield opened
        opened.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database = server.create_database()
    opened = Store.open(server.url(database))
    yield opened
    opened.close()
    server.drop_database(database)


def rich(*replacements: tuple[str, str]) -> Catalogue:
    text = RICH
    for old, new in replacements:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    return read_text(text)


def rows(store: Store, table: sa.Table, **where: Any) -> list[Any]:
    with store.reading() as conn:
        return list(conn.execute(sa.select(table).filter_by(**where).order_by(*table.primary_key.columns)))


def refusal(store: Store, catalogue: Catalogue) -> list[str]:
    with pytest.raises(CatalogueError) as refused:
        apply(store, catalogue, "bob", NOW)
    return [str(problem) for problem in refused.value.problems]


def test_a_catalogue_comes_back_as_it_was_applied(store: Store) -> None:
    catalogue = rich()
    apply(store, catalogue, "bob", NOW)
    assert read_text(export(store, None)) == catalogue


def test_a_preview_says_what_applying_then_does_and_writes_nothing(store: Store) -> None:
    catalogue = rich()
    with store.reading() as conn:
        planned = plan_changes(conn, catalogue, operator="alice")
    assert rows(store, t.tenant) == []
    assert apply(store, catalogue, "alice", NOW) == planned
    assert len(planned) > 40


def test_applying_twice_changes_nothing_the_second_time(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    audited = len(rows(store, t.audit))
    assert apply(store, rich(), "bob", NOW + 1) == []
    assert len(rows(store, t.audit)) == audited


def test_every_change_is_audited_with_before_and_after(store: Store) -> None:
    assert len(apply(store, rich(), "alice", NOW)) == len(rows(store, t.audit))
    changes = apply(store, rich(("address: 10.0.0.2", "address: 10.0.0.9"), ("rank: 1", "rank: 2")), "bob", NOW + 5)
    assert [(change.kind, change.path, change.action, change.before, change.after) for change in changes] == [
        ("level", "acme/core", "change", {"rank": 1}, {"rank": 2}),
        ("host", "acme/prod/hz-02", "change", {"address": "10.0.0.2"}, {"address": "10.0.0.9"}),
    ]
    level, host = rows(store, t.audit, operator="bob")
    assert (level.act, level.target, level.before, level.after, level.workspace_id) == (
        "catalogue_change", "level acme/core", {"rank": 1}, {"rank": 2}, None,
    )  # fmt: skip
    (acme,) = rows(store, t.tenant, name="acme")
    (prod,) = rows(store, t.workspace, name="prod")
    assert (host.tenant_id, host.workspace_id, host.at, host.target) == (
        acme.id,
        prod.id,
        NOW + 5,
        "host acme/prod/hz-02",
    )


def test_a_changed_reference_is_shown_by_name(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    moved = rich(("group: trading\n", "group: ledgers\n"))
    (change,) = apply(store, moved, "bob", NOW)
    assert (change.before, change.after) == ({"group": "trading"}, {"group": "ledgers"})


def test_what_a_file_leaves_out_stays(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    assert apply(store, read_text("version: 1\ntenants: [{name: acme}]\n"), "bob", NOW) == []
    with store.reading() as conn:
        assert stored(conn) == rich()


def test_a_file_that_only_adds_to_a_workspace_leaves_its_safety_alone(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    with store.reading() as conn:
        known = stored(conn)
    prod = "version: 1\ntenants: [{name: acme, workspaces: [{name: prod, %s}]}]\n"
    added = apply(
        store, read_text(prod % "jump_hosts: [{name: j3, address: 10.9.0.1, ssh_user: ops}]", known=known), "bob", NOW
    )
    assert [(change.kind, change.action) for change in added] == [("jump_host", "add")]
    (changed,) = apply(store, read_text(prod % "production: false", known=known), "bob", NOW)
    assert changed.after == {"production": False, "floor_percent": 0}


def test_a_new_instance_with_a_version_counts_as_having_succeeded(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    instance = next(row for row in rows(store, t.service_instance) if row.current_version)
    with store.reading() as conn:
        facts = load_instance(conn, instance.id)
    assert (facts.app, facts.current_version, facts.succeeded_versions) == ("trade-core", "1.0.0", ("1.0.0",))
    assert {(host.name, host.state.value, host.version) for host in facts.hosts} == {
        ("hz-01", "deployed", "1.0.0"),
        ("hz-02", "deployed", "1.0.0"),
    }
    assert [jump.name for jump in facts.hosts[0].jump_chain] == ["jump-1", "jump-2"]
    assert len(facts.mounts) == 3
    (other,) = rows(store, t.host, name="sh-01")
    assert (other.state, other.version) == ("ready", "")


def test_live_state_is_never_touched_again(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    with store.writing() as conn:
        conn.execute(sa.update(t.host).where(t.host.c.name == "hz-01").values(state="deploy_failed", version="2.0.0"))
        conn.execute(sa.update(t.service_instance).values(current_version="2.0.0"))
    apply(store, rich(("10.0.0.1\n", "10.0.0.7\n")), "bob", NOW)
    (host,) = rows(store, t.host, name="hz-01")
    assert (host.address, host.state, host.version) == ("10.0.0.7", "deploy_failed", "2.0.0")
    assert {row.current_version for row in rows(store, t.service_instance)} == {"2.0.0"}
    assert [row.version for row in rows(store, t.succeeded_version)] == ["1.0.0"]


def test_a_host_added_to_a_running_instance_waits_for_a_release(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    more = rich(
        (
            "- {name: hz-a-2}",
            '- {name: hz-a-2, hosts: [{name: hz-03, address: 10.0.0.3, variables: {app_port: "4110"}}]}',
        ),
        ("hosts: [hz-01, hz-02]", "hosts: [hz-01, hz-02, hz-03]"),
    )
    apply(store, more, "bob", NOW)
    (host,) = rows(store, t.host, name="hz-03")
    assert (host.state, host.version) == ("ready", "")
    assert len(rows(store, t.service_instance_host)) == 4


def test_the_owner_left_out_is_the_operator_and_then_stays(store: Store) -> None:
    text = RICH.replace("        owner: 李雷\n", "")
    apply(store, read_text(text), "alice", NOW)
    apply(store, read_text(text), "bob", NOW)
    owners = {row.owner: row.creator for row in rows(store, t.app, alias="交易核心")}
    assert owners == {"alice": "alice"}


def test_a_published_stack_no_longer_changes(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    before = export(store, None)
    found = refusal(store, rich(('web_server: "nginx 1.26"', 'web_server: "nginx 1.27"'), ("rank: 1", "rank: 7")))
    assert found == [
        "catalogue:7: tenants[0].tech_stacks[0]: tech stack python-web 1.0 is published and no longer changes (web_server);"
        " give it a new version"
    ]
    assert export(store, None) == before, "a refused catalogue leaves nothing behind"


def test_a_published_stack_can_be_deprecated_but_not_unpublished(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    deprecated = rich(
        ("supported_os: {d", "status: deprecated\n        deprecation_reason: old\n        supported_os: {d")
    )
    (change,) = apply(store, deprecated, "bob", NOW)
    assert change.after == {"status": "deprecated", "deprecation_reason": "old"}
    draft = rich(("supported_os: {d", "status: draft\n        supported_os: {d"))
    assert "can't be a draft again" in refusal(store, draft)[0]


def test_a_draft_stack_changes_and_is_published(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    published = rich(
        ("status: draft, archive: {region: r, bucket: lab, key: k}", "archive: {region: r, bucket: lab, key: k2}")
    )
    (change,) = apply(store, published, "bob", NOW)
    assert change.before["status"] == "draft"
    assert change.after["archive"]["key"] == "k2"


def test_a_host_of_another_app_is_not_taken_away(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    text = "version: 1\ntenants: [{name: acme, workspaces: [{name: prod, service_instances: [{app: ledger, hosts: [hz-01]}]}]}]\n"
    with store.reading() as conn:
        known = stored(conn)
    with pytest.raises(CatalogueError) as refused:
        read_text(text, known=known)
    assert "host hz-01 already runs trade-core" in str(refused.value.problems[0])
    by_hand = Catalogue(read_text(RICH).tenants)
    ledger = by_hand.tenants[0].workspaces[1].service_instances[1].model_copy(update={"hosts": ["hz-01"]})
    workspace = by_hand.tenants[0].workspaces[1].model_copy(update={"service_instances": [ledger]})
    tenant = by_hand.tenants[0].model_copy(update={"workspaces": [workspace]})
    assert "already runs another app" in refusal(store, Catalogue((tenant,)))[0]


def test_a_part_may_refer_to_what_the_store_has(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    with store.reading() as conn:
        known = stored(conn)
    part = read_text(
        "version: 1\ntenants: [{name: acme, apps: [{name: risk, group: trading, tech_stack: {name: old, version: '9'}}]}]\n",
        known=known,
    )
    (change,) = apply(store, part, "bob", NOW)
    assert (change.kind, change.path, change.after["owner"], change.after["tech_stack"]) == (
        "app", "acme/risk", "bob", "old 9",
    )  # fmt: skip
    with store.writing() as conn:
        conn.execute(sa.delete(t.app).where(t.app.c.name == "risk"))
        conn.execute(sa.delete(t.tech_stack).where(t.tech_stack.c.name == "old"))
    assert refusal(store, part) == ["catalogue:2: tenants[0].apps[0]: there is no tech stack old 9"]


def test_one_tenant_is_written_out_without_the_others(store: Store) -> None:
    apply(store, rich(), "bob", NOW)
    document = yaml.safe_load(export(store, "borealis"))
    assert [tenant["name"] for tenant in document["tenants"]] == ["borealis"]
    assert [operator["name"] for operator in document["operators"]] == ["bob"]
    assert "acme" not in str(document)
    with pytest.raises(StoreError) as refused:
        export(store, "nope")
    assert refused.value.problem.code == "no_such_tenant"


def test_two_who_apply_at_once_both_succeed(store: Store) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            apply(store, rich(), "bob", NOW)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with store.reading() as conn:
        assert stored(conn) == rich()


def test_a_thousand_hosts_are_applied_in_seconds(store: Store) -> None:
    hosts = [
        {
            "name": f"h-{n:04d}",
            "address": f"10.0.{n // 250}.{n % 250 + 1}",
            "server_id": f"i-{n}",
            "variables": {"app_port": "4110"},
        }
        for n in range(1000)
    ]
    document = yaml.safe_load(RICH)
    prod = document["tenants"][0]["workspaces"][1]
    prod["data_centres"][0]["cells"][1]["hosts"] = hosts
    prod["service_instances"][0]["hosts"] += [host["name"] for host in hosts]
    catalogue = read_text(yaml.safe_dump(document))
    assert len(apply(store, catalogue, "bob", NOW)) > 3000
    assert apply(store, catalogue, "bob", NOW) == []


# ---------------------------------------------------------------------------------------------------- any text at all

# names show every character they have: hidden ones are refused
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30).filter(lambda text: visible(text) == text)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    description=WORDS, alias=WORDS, metadata=st.dictionaries(WORDS, WORDS, max_size=4), rank=st.integers(-1000, 1000)
)
def test_any_text_survives_the_way_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, description: str, alias: str, metadata: dict[str, str], rank: int
) -> None:
    document = yaml.safe_load(RICH)
    app = document["tenants"][0]["apps"][0]
    app |= {"description": description, "alias": alias, "metadata": metadata}
    document["tenants"][0]["levels"][0]["rank"] = rank
    catalogue = read_text(yaml.safe_dump(document, allow_unicode=True))
    assert catalogue.tenants[0].apps[0].metadata == metadata
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('any') / 'a.db'}")
    try:
        apply(store, catalogue, "bob", NOW)
        assert read_text(export(store, None)) == catalogue
    finally:
        store.close()
