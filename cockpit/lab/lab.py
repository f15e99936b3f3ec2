"""The practice lab: a fleet of hosts behind a jump host, OSS, SLB, a balancer that forwards and a load generator, in one process
on loopback. The services themselves are processes of their own, started by the stack's scripts.

It never talks to the engine; a cockpit reaches it by SSH, OSS and SLB as it would reach the real thing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from cockpit.lab import artefacts, paperwork
from cockpit.lab.balancer import Forwarder
from cockpit.lab.control import Control
from cockpit.lab.fleet_host import FleetHost
from cockpit.lab.health_checks import HealthChecks
from cockpit.lab.layout import (
    BUCKET,
    FIRST_VERSION,
    GATEWAY,
    JUMP_NAME,
    JUMP_USER,
    PROD,
    PROD_BALANCER,
    PROD_GROUP,
    REGION,
    TENANT,
    TEST,
    TEST_BALANCER,
    TRADE_CORE,
    Layout,
    layout_of,
)
from cockpit.lab.leftovers import end_leftovers
from cockpit.lab.load import LoadGenerator, LoadResult
from cockpit.lab.oss import AccessKey, OssEndpoint
from cockpit.lab.process import PROGRESS, LabHost, LabInfo, LabLoad, LabStatus, own_record
from cockpit.lab.running import forget, remember
from cockpit.lab.slb import Listener, SlbEndpoint
from cockpit.lab.slb_state import DEFAULT_GROUP, Server, SlbState, WeightChange
from cockpit.lab.ssh_hosts import JumpHost
from cockpit.lab.star_server import StarServer
from cockpit.lab.switches import Switches

AT_ONCE = 8  # scripts of hosts, while the fleet is brought up
FULL_WEIGHT = 100


class Lab:
    """`hosts` are those behind the production balancer; two more stand in `test`. Start it once, stop it once."""

    def __init__(self, dir: Path, hosts: int = 8, *, more_apps: bool | None = None) -> None:
        """`more_apps`: with pricing, and gateway that calls it; None: as in this folder before. ValueError for fewer than 2 or
        more than 1,000 hosts."""
        self.dir = dir.expanduser().resolve()
        self.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        end_leftovers(self.dir)
        self.layout: Layout = layout_of(self.dir, hosts, more_apps=more_apps)
        self.hosts: dict[str, FleetHost] = {}
        self.load: LoadGenerator | None = None
        self.stopping = asyncio.Event()
        self._artefacts = artefacts.build(more_apps=bool(self.layout.more))
        self._token = secrets.token_urlsafe(24)
        self._undo: list[Callable[[], Any]] = []

    # ---- up and down

    async def start(self) -> LabInfo:
        """Bring everything up; when this returns the fleet serves. What went up before an error comes down again."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self.info

    async def _start(self) -> None:
        ports = self.layout.ports
        operator, keys = self._keys()
        for plan in self.layout.hosts:
            root = self.dir / "hosts" / plan.name
            self.hosts[plan.name] = FleetHost(plan, root, self.dir, self.layout, keys[plan.name], operator)
        self.switches = Switches(self)
        self._undo.append(self.switches.close)
        self._unpack_stack()
        await self._start_cloud()
        self.star = StarServer()
        await self.star.start(ports.star)
        self._undo.append(self.star.stop)
        await self._start_ssh(operator, keys)
        self.forwarders = {
            PROD: Forwarder(self.slb_state, PROD_BALANCER, PROD_GROUP, lambda server: server[1]),
            TEST: Forwarder(self.slb_state, TEST_BALANCER, DEFAULT_GROUP, self._app_port),
        }
        listeners = {PROD: ports.balancer, TEST: ports.test_balancer}
        for more in self.layout.more:
            self.forwarders[more.name] = Forwarder(self.slb_state, PROD_BALANCER, more.group, lambda server: server[1])
            listeners[more.name] = more.port
        for name, port in listeners.items():
            self._undo.append(self.forwarders[name].stop)
            await self.forwarders[name].start(port)
        await self._bring_up_fleet()
        self._write_paperwork(keys)
        self.control = Control(self, self._token)
        self._undo.append(self.control.stop)
        await self.control.start(ports.control)
        self.info = self._info()
        self._write_record()

    async def stop(self) -> None:
        """Take everything down, the services of the hosts last; they are asked first and killed after a grace."""
        if self.load is not None:
            await self.load.stop()
        for undo in reversed(self._undo):
            await undo()
        self._undo.clear()
        _, left = await asyncio.to_thread(end_leftovers, self.dir)
        (self.dir / "lab.json").unlink(missing_ok=True)
        forget(self.dir)
        if left:
            raise RuntimeError(f"processes of the lab could not be ended: {left}")

    # ---- pieces

    def _keys(self) -> tuple[asyncssh.SSHKey, dict[str, asyncssh.SSHKey]]:
        folder = self.dir / "keys"
        folder.mkdir(exist_ok=True, mode=0o700)
        names = [JUMP_NAME, *(plan.name for plan in self.layout.hosts)]
        return _kept_key(folder / "operator"), {name: _kept_key(folder / f"host-{name}") for name in names}

    def _unpack_stack(self) -> None:
        """The lab's own copies, from which the first version is deployed."""
        stack = self.dir / "stack"
        shutil.rmtree(stack, ignore_errors=True)
        stack.mkdir()
        (self.dir / "packages").mkdir(exist_ok=True)
        for artefact in self._artefacts:
            file = self.dir / "packages" / Path(artefact.key).name
            file.write_bytes(artefact.content)
            if artefact.key == artefacts.STACK_KEY:
                with tarfile.open(file) as archive:
                    # Python 3.11.2, which Debian 12 has, knows no filters yet.
                    archive.extraction_filter = getattr(tarfile, "data_filter", None)
                    archive.extractall(stack)

    async def _start_cloud(self) -> None:
        ports = self.layout.ports
        secret = self._access_key()
        self.oss = OssEndpoint(self.dir / "oss", keys=(secret,), region=REGION)
        self.put_artefacts()
        self._undo.append(self.oss.stop)
        await self.oss.start("127.0.0.1", ports.oss)
        self.slb_state = SlbState()
        self._fill_balancers()
        self.slb_state.on_change = self._keep_weights
        self.slb = SlbEndpoint(self.slb_state, credentials={secret.access_key_id: secret.secret})
        self._undo.append(self.slb.stop)
        await self.slb.start("127.0.0.1", ports.slb)
        health_checks = HealthChecks(self.slb_state, lambda server: server[1] or self._app_port(server))
        self._undo.append(health_checks.stop)
        health_checks.start()

    def put_artefacts(self, *, only: str = "") -> None:
        """Put the archives into OSS as they should be; `only` one of them."""
        for artefact in self._artefacts:
            if not only or artefact.key == only:
                self.oss.put_local(BUCKET, artefact.key, artefact.content)

    def _access_key(self) -> AccessKey:
        file = self.dir / "access_key.json"
        if not file.exists():
            pair = {"id": f"LTAIlab{secrets.token_hex(8)}", "secret": secrets.token_urlsafe(24)}
            file.touch(mode=0o600)
            file.write_text(json.dumps(pair))
        kept = json.loads(file.read_text())
        return AccessKey(kept["id"], kept["secret"])

    def _fill_balancers(self) -> None:
        state, kept = self.slb_state, self._kept_weights()
        test = {plan.server_id: FULL_WEIGHT for plan in self.layout.in_workspace(TEST)}

        def full(app: str) -> dict[Server, int]:
            return {(plan.server_id, plan.app_port): FULL_WEIGHT for plan in self.layout.of_app(app)}

        state.add_balancer(PROD_BALANCER, REGION, name="public")
        state.add_vserver_group(PROD_BALANCER, PROD_GROUP, kept.get(PROD_GROUP, full(TRADE_CORE)), name=TRADE_CORE)
        state.add_listener(PROD_BALANCER, Listener(self.layout.ports.balancer, "http", PROD_GROUP))
        for more in self.layout.more:
            state.add_vserver_group(PROD_BALANCER, more.group, kept.get(more.group, full(more.name)), name=more.name)
            state.add_listener(PROD_BALANCER, Listener(more.port, "http", more.group))
        state.add_balancer(TEST_BALANCER, REGION, name="test", servers=test)
        state.add_listener(TEST_BALANCER, Listener(self.layout.ports.test_balancer))
        if TEST_BALANCER in kept:
            state.remove_servers(TEST_BALANCER, DEFAULT_GROUP, list(state.weights(TEST_BALANCER)))
            state.set_weights(TEST_BALANCER, DEFAULT_GROUP, kept[TEST_BALANCER])

    def _kept_weights(self) -> dict[str, dict[Server, int]]:
        """The weights of an earlier run of this very layout, by group id (a default group by its balancer's id)."""
        file = self.dir / "weights.json"
        try:
            kept = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        if kept["ports"] != [plan.app_port for plan in self.layout.hosts]:
            return {}
        return {group: {(row[0], row[1]): row[2] for row in rows} for group, rows in kept["groups"].items()}

    def _keep_weights(self, _change: WeightChange) -> None:
        groups = {
            group or balancer.balancer_id: [[*server, weight] for server, weight in servers.items()]
            for balancer in self.slb_state.balancers()
            for group, servers in balancer.groups.items()
        }
        _replace(
            self.dir / "weights.json",
            json.dumps({"ports": [plan.app_port for plan in self.layout.hosts], "groups": groups}),
        )

    def _app_port(self, server: Server) -> int:
        """Where a server of a default group answers: such groups have no port of their own."""
        return next((plan.app_port for plan in self.layout.hosts if plan.server_id == server[0]), 0)

    async def _start_ssh(self, operator: asyncssh.SSHKey, keys: dict[str, asyncssh.SSHKey]) -> None:
        self.jump = JumpHost(JUMP_NAME, JUMP_USER, keys[JUMP_NAME], operator)
        self._undo.append(self.jump.close)
        await self.jump.open(self.layout.ports.jump)
        for host in self.hosts.values():
            host.prepare()
            self._undo.append(host.server.close)
            await host.server.open(host.plan.ssh_port)

    async def start_service(self, host: FleetHost) -> None:
        """What is deployed there, or the first version; a service that runs is left alone."""
        package = self.dir / "packages" / Path(artefacts.package_key(host.plan.app, FIRST_VERSION)).name
        parameters = {"boot_wait_s": "30", "drain_s": str(paperwork.DRAIN_S)}
        await host.bring_up(self.dir / "stack", package, parameters)

    async def _bring_up_fleet(self) -> None:
        up = 0
        self._tell_progress(up)
        free = asyncio.Semaphore(AT_ONCE)

        async def bring_up(host: FleetHost) -> None:
            nonlocal up
            async with free:
                await host.agent("start")
                if host.plan.workspace == PROD or (host.app_home / "VERSION").exists():
                    await self.start_service(host)
                up += 1
                self._tell_progress(up)

        async with asyncio.TaskGroup() as group:
            for host in self.hosts.values():
                group.create_task(bring_up(host))

    def _tell_progress(self, up: int) -> None:
        """For whoever waits for the lab."""
        _replace(self.dir / PROGRESS, json.dumps([up, len(self.hosts)]))

    def _write_paperwork(self, keys: dict[str, asyncssh.SSHKey]) -> None:
        sha256 = {artefact.key: artefact.sha256 for artefact in self._artefacts}
        stored = {key: self.oss.objects.get(BUCKET, key) for key in sha256}
        objects = {
            key: {"size": found.size, "etag": found.etag, "crc64": found.crc64, "sha256": sha256[key]}
            for key, found in stored.items()
            if found is not None
        }
        text = paperwork.catalogue(
            self.layout,
            objects,
            {name: key.export_public_key().decode().strip() for name, key in keys.items()},
            {name: host.home for name, host in self.hosts.items()},
            {"oss": self.oss.url, "slb": self.slb.url},
        )
        _replace(self.dir / "catalogue.yaml", text)
        secret = self._access_key()
        _replace(self.dir / "credentials", paperwork.credentials(secret.access_key_id, secret.secret), 0o600)
        if not (self.dir / "config.toml").exists():  # an operator may have changed it
            settings = paperwork.settings(self.dir / "keys" / "operator", self.dir / "credentials")
            _replace(self.dir / "config.toml", settings)

    def _info(self) -> LabInfo:
        store = f"sqlite:///{self.dir / 'cockpit.db'}"
        return LabInfo(
            dir=str(self.dir),
            catalogue=str(self.dir / "catalogue.yaml"),
            store=store,
            config=str(self.dir / "config.toml"),
            environment={"COCKPIT_STORE": store},
            endpoints={
                "oss": self.oss.url,
                "slb": self.slb.url,
                "balancer": self.forwarders[PROD].url,
                "control": self.control.url,
                "jump": f"127.0.0.1:{self.layout.ports.jump}",
            },
            tenant=TENANT,
            workspace=PROD,
            app=TRADE_CORE,
            versions=sorted(artefacts.PACKAGES[TRADE_CORE]),
            hosts=[plan.name for plan in self.layout.of_app(TRADE_CORE)],
        )

    def _write_record(self) -> None:
        record = {**own_record(), "token": self._token, "info": self.info.to_json()}
        _replace(self.dir / "lab.json", json.dumps(record, indent=1), 0o600)
        remember(self.dir)

    # ---- asked while it runs

    async def status(self) -> LabStatus:
        rows = await asyncio.gather(*(self._host_status(host) for host in self.hosts.values()))
        weights = {
            f"{balancer.balancer_id}/{group or 'default'}": {
                f"{server}:{port}": w for (server, port), w in rows.items()
            }
            for balancer in self.slb_state.balancers()
            for group, rows in balancer.groups.items()
        }
        return LabStatus(own_record()["pid"], self.info, list(rows), weights, self.load_status(), self.switches.state())

    async def _host_status(self, host: FleetHost) -> LabHost:
        plan = host.plan
        version, health = await host.answers()
        return LabHost(
            plan.name,
            plan.workspace,
            plan.app,
            bool(version),
            version,
            health,
            host.agent_runs(),
            plan.ssh_port,
            plan.app_port,
            plan.health_port,
        )

    def load_status(self) -> LabLoad:
        if self.load is None:
            return LabLoad()
        now = self.load.result()
        return LabLoad(self.load.running, now.requests, now.failed, now.by_version, now.by_host, now.errors)

    async def start_load(self, *, workers: int = 4, rate: float = 100.0) -> None:
        """Start the load on the production balancer with counters at 0, on gateway too where there is one; a load that runs goes
        on. ValueError for bad figures."""
        if self.load is not None and self.load.running:
            return
        entrances = [self.forwarders[name].url for name in (PROD, GATEWAY) if name in self.forwarders]
        self.load = LoadGenerator(*(f"{url}/" for url in entrances), workers=workers, rate=rate)
        await self.load.start()

    async def stop_load(self) -> LoadResult:
        return await self.load.stop() if self.load is not None else LoadResult()


def _kept_key(file: Path) -> asyncssh.SSHKey:
    if file.exists():
        return asyncssh.read_private_key(file)
    key = asyncssh.generate_private_key("ssh-ed25519", comment=f"practice lab {file.name}")
    file.touch(mode=0o600)
    key.write_private_key(file)
    file.chmod(0o600)
    return key


def _replace(file: Path, text: str, mode: int = 0o644) -> None:
    """Whole or not at all, and never readable for others before it may be."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=mode)
    new.write_text(text, encoding="utf-8")
    new.replace(file)
