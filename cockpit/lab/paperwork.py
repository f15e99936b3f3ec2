"""What a cockpit needs to know of the lab, as the files an operator would write: the catalogue, the settings beside the store
and the cloud credentials."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import yaml

from cockpit.identity import operating_system_user
from cockpit.lab.artefacts import MORE_PACKAGES, PACKAGES, SDK_KEY, STACK_KEY, STACK_NAME, STACK_VERSION, package_key
from cockpit.lab.layout import (
    BUCKET,
    FIRST_VERSION,
    GATEWAY,
    HOST_USER,
    JUMP_NAME,
    JUMP_USER,
    LEDGER,
    PRICING,
    PROD,
    PROD_BALANCER,
    PROD_GROUP,
    REGION,
    TENANT,
    TEST,
    TEST_BALANCER,
    TRADE_CORE,
    LabHostPlan,
    Layout,
)

DRAIN_S = 10
Json = dict[str, Any]


def catalogue(
    layout: Layout,
    objects: dict[str, Json],
    host_keys: dict[str, str],
    homes: dict[str, Path],
    endpoints: dict[str, str],
) -> str:
    """The catalogue file. `objects` are {size, etag, crc64, sha256} by key; `host_keys` public key lines by host name."""
    system, version = operating_system()

    def ref(key: str) -> Json:
        return {"region": REGION, "bucket": BUCKET, "key": key, **objects[key]}

    def host(plan: LabHostPlan) -> Json:
        return {
            "name": plan.name,
            "address": "127.0.0.1",
            "ssh_port": plan.ssh_port,
            "ssh_user": HOST_USER,
            "host_key": host_keys[plan.name],
            "jump_chain": [JUMP_NAME],
            "server_id": plan.server_id,
            "os": system,
            "os_version": version,
            "variables": variables(plan, homes[plan.name], layout),
        }

    def workspace(name: str, **more: Any) -> Json:
        region = {"name": REGION, "oss_endpoint": endpoints["oss"], "slb_endpoint": endpoints["slb"]}
        jump = {
            "name": JUMP_NAME,
            "address": "127.0.0.1",
            "ssh_port": layout.ports.jump,
            "ssh_user": JUMP_USER,
            "host_key": host_keys[JUMP_NAME],
        }
        centres: dict[str, dict[str, list[Json]]] = {}
        for plan in layout.in_workspace(name):
            centres.setdefault(plan.data_centre, {}).setdefault(plan.cell, []).append(host(plan))
        data_centres = [
            {
                "name": centre,
                "region": REGION,
                "cells": [{"name": cell, "hosts": hosts} for cell, hosts in cells.items()],
            }
            for centre, cells in centres.items()
        ]
        return {"name": name, **more, "regions": [region], "jump_hosts": [jump], "data_centres": data_centres}

    def app(name: str, alias: str, **more: Any) -> Json:
        versions = PACKAGES.get(name) or MORE_PACKAGES[name]
        packages = [{"version": v, **ref(package_key(name, v))} for v in versions]
        stack = {"name": STACK_NAME, "version": STACK_VERSION}
        return {"name": name, "alias": alias, "tech_stack": stack, **more, "packages": packages}

    stack = {
        "name": STACK_NAME,
        "version": STACK_VERSION,
        "supported_os": {"debian": sorted({"11", "12", "13"}), **({system: []} if system != "debian" else {})},
        "supported_regions": [REGION],
        "parameters": [
            {
                "name": "drain_s",
                "default": str(DRAIN_S),
                "description": "longest wait for open connections after a cut",
            },
            {"name": "python", "required": True, "description": "the runtime's path"},
            {"name": "boot_wait_s", "default": "60", "description": "longest wait for the service to listen"},
            {"name": "health_path", "default": "/checkService", "description": "the path of the health check"},
            {"name": "health_interval_s", "default": "1", "description": "pause between two health checks"},
            {"name": "health_deadline_s", "default": "15", "description": "longest wait for a good health check"},
        ],
        "scripts": {
            act: f"bin/{act}.sh"
            for act in ("install", "configure", "deploy", "start", "stop", "restart", "offline", "initialise")
        },
        "archive": ref(STACK_KEY),
        "sdk": ref(SDK_KEY),
    }
    test = layout.in_workspace(TEST)

    def in_production(name: str, group: str) -> Json:
        plans = layout.of_app(name)
        mounts = [
            {"balancer": PROD_BALANCER, "vserver_group": group, "host": plan.name, "port": plan.app_port}
            for plan in plans
        ]
        hosts = [plan.name for plan in plans]
        return {"app": name, "version": FIRST_VERSION, "hosts": hosts, "mounts": mounts}

    ledger = {
        "app": LEDGER,
        "hosts": [plan.name for plan in test],
        "mounts": [{"balancer": TEST_BALANCER, "host": plan.name} for plan in test],
    }
    tenant = {
        "name": TENANT,
        "groups": [{"name": "trading", "description": "order flow"}, {"name": "accounting", "description": "books"}],
        "levels": [{"name": "core", "rank": 1}, {"name": "normal", "rank": 2}],
        "tech_stacks": [stack],
        "apps": [
            app(TRADE_CORE, "交易核心", group="trading", level="core", owner="alice", metadata={"team": "trading"}),
            app(LEDGER, "账务", group="accounting", level="normal", owner="bob", metadata={"team": "books"}),
            *(
                app(more.name, _ALIASES[more.name], group="trading", level="normal", owner="bob")
                for more in layout.more
            ),
        ],
        "workspaces": [
            workspace("dev", production=False),
            workspace(
                TEST,
                production=False,
                requires_staragent=True,
                balancers=[{"id": TEST_BALANCER, "region": REGION, "name": "test"}],
                service_instances=[ledger],
            ),
            workspace(
                PROD,
                production=True,
                floor_percent=50,
                requires_staragent=False,
                balancers=[{"id": PROD_BALANCER, "region": REGION, "name": "public"}],
                service_instances=[
                    in_production(TRADE_CORE, PROD_GROUP),
                    *(in_production(more.name, more.group) for more in layout.more),
                ],
            ),
        ],
    }
    operators = {"alice": "approver", "bob": "operator", operating_system_user(): "admin"}
    people = [{"name": name, "roles": [{"tenant": TENANT, "role": role}]} for name, role in operators.items()]
    return yaml.safe_dump(
        {"version": 1, "tenants": [tenant], "operators": people}, allow_unicode=True, sort_keys=False, width=200
    )


_ALIASES = {PRICING: "行情定价", GATEWAY: "交易网关"}


def variables(plan: LabHostPlan, home: Path, layout: Layout) -> dict[str, str]:
    """The host's variables, as its scripts see them (upper-cased)."""
    called = layout.called_by(plan.app)
    return {
        **({"upstream_port": str(called.port)} if called else {}),
        "app_port": str(plan.app_port),
        "health_port": str(plan.health_port),
        "python": sys.executable,
        "staragent_home": str(home / "staragent"),
        "staragent_port": str(layout.ports.star),
    }


def settings(operator_key: Path, credentials: Path) -> str:
    """The `config.toml` beside the store."""
    quoted = {"key": _toml(str(operator_key)), "credentials": _toml(str(credentials))}
    return (
        "# Written by the practice lab.\n"
        f'tenant = "{TENANT}"\nworkspace = "{PROD}"\ncredentials_file = {quoted["credentials"]}\n\n'
        f"[ssh]\nidentity_files = [{quoted['key']}]\nagent = false\n"
    )


def credentials(access_key_id: str, access_key_secret: str) -> str:
    """Cloud credentials as the vendor's SDKs read them."""
    return f"[default]\ntype = access_key\naccess_key_id = {access_key_id}\naccess_key_secret = {access_key_secret}\n"


def operating_system() -> tuple[str, str]:
    """Id and version of the system the lab runs on, which is what its hosts say when they are asked."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian", "12"
    return release.get("ID", "debian"), release.get("VERSION_ID", "")


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
