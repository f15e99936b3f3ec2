"""The contract of `engine.ports.Balancers`. The first part is a kit: every adapter passes it, given a `World` to run it in. The
second part is what only the SDK on the wire can get wrong: signatures, clocks, half answers, secrets in error texts."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient

from cockpit.lab.health_checks import HealthChecks
from cockpit.lab.slb import Listener, SlbEndpoint
from engine.cloud import slb_errors
from engine.cloud.cloud import AliyunCloud
from engine.cloud.credentials import Credentials, CredentialsSource
from engine.cloud.role_providers import Places
from engine.cloud.slb import SlbBalancers
from engine.domain.fleet import Mount, MountWeight, Region, ServerGroup
from engine.domain.states import Health, Verified
from engine.ports import (
    BalancerBusy,
    BalancerError,
    BalancerRefused,
    Balancers,
    BalancerThrottled,
    BalancerUnknown,
    Cloud,
)
from engine.run.clock import SystemClock
from engine.run.journal import Journal
from engine.run.ledger import Ledger
from engine.store.store import Store
from tests.support.certificate import LoopbackCertificate
from tests.unit.test_ledger import insert_order

REGION = "cn-hangzhou"
SECRET = "lab-secret-of-the-test"
DEFAULT = ServerGroup(REGION, "lb-1")
VSERVER = ServerGroup(REGION, "lb-1", "rsp-1")
BOTH = pytest.mark.parametrize("group", [DEFAULT, VSERVER], ids=["default", "vserver"])
SERVERS = 25


class World(Protocol):
    """What a kit test needs of the place an adapter runs in: `lb-1` with 25 servers i-01… of weight 100 in both groups, on
    port 80 in `rsp-1`."""

    balancers: Balancers

    def weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]: ...
    def fault(self, name: str) -> None: ...
    def change_calls(self) -> int: ...
    def listen(self, group: ServerGroup, *, checked: bool = True) -> None: ...
    def health_is(self, server_id: str, port: int, says: str) -> None: ...


@dataclass
class LabWorld:
    """The vendor's SDK against the lab's endpoint."""

    endpoint: SlbEndpoint
    balancers: Balancers

    def weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        return self.endpoint.state.weights(group.balancer_id, group.vserver_group_id)

    def fault(self, name: str) -> None:
        setattr(self.endpoint.faults, name, 1)
        setattr(self.endpoint.read_faults, name, 1)

    def change_calls(self) -> int:
        return len(self.endpoint.changes())

    def listen(self, group: ServerGroup, *, checked: bool = True) -> None:
        port = 8080 if group.vserver_group_id else 80
        listener = Listener(port, "http", group.vserver_group_id, 0 if group.vserver_group_id else 9000, checked)
        self.endpoint.state.add_listener(group.balancer_id, listener)

    def health_is(self, server_id: str, port: int, says: str) -> None:
        self.endpoint.state.set_health(server_id, port, says)


def source(access_key_id: str = "lab-key", secret: str = SECRET) -> CredentialsSource:
    environ = {"ALIBABA_CLOUD_ACCESS_KEY_ID": access_key_id, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret}
    return CredentialsSource(environ=environ, default_file=Path("/nonexistent/credentials"), places=Places(metadata=""))


def adapter(url: str, credentials: CredentialsSource | None = None, **limits: float) -> SlbBalancers:
    return SlbBalancers([Region(REGION, slb_endpoint=url)], credentials or source(), **limits)


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bare SDK would send the lab's requests through a proxy of whoever runs the tests; ours must not (see below)."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def endpoint() -> AsyncIterator[SlbEndpoint]:
    started = SlbEndpoint(credentials={"lab-key": SECRET}, busy_s=0.0)
    names = [f"i-{n:02}" for n in range(SERVERS)]
    started.state.add_balancer("lb-1", REGION, servers=dict.fromkeys(names, 100))
    started.state.add_vserver_group("lb-1", "rsp-1", dict.fromkeys([(name, 80) for name in names], 100))
    started.state.add_balancer("lb-other", REGION)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture(params=["sdk-on-lab"])
async def world(request: pytest.FixtureRequest, endpoint: SlbEndpoint) -> World:
    return LabWorld(endpoint, adapter(endpoint.url))


def weight(group: ServerGroup, server: int | str, value: int, port: int | None = None) -> MountWeight:
    server_id = server if isinstance(server, str) else f"i-{server:02}"
    if port is None:
        port = 80 if group.vserver_group_id else 0
    return MountWeight(Mount(f"host-{server_id}", server_id, group, port), value)


async def error_of(call: Awaitable[object]) -> BalancerError:
    """The error of a call, after checking what holds for every one: whole sentences, no secret even in its traceback."""
    with pytest.raises(BalancerError) as caught:
        await call
    problem = caught.value.problem
    assert str(problem.what).endswith(".")
    assert str(problem.remedy).endswith(".")
    printed = "".join(traceback.format_exception(caught.value)) + problem.evidence
    for secret in (SECRET, "Signature=", "SignatureNonce="):
        assert secret not in printed
    return caught.value


# ---- the kit


@BOTH
async def test_weights_are_read_by_server_and_port(world: World, group: ServerGroup) -> None:
    read = await world.balancers.read_weights(group)
    assert len(read) == SERVERS
    assert read == world.weights(group)
    assert {port for _, port in read} == ({80} if group.vserver_group_id else {0})


@BOTH
async def test_only_the_named_servers_change(world: World, group: ServerGroup) -> None:
    request_id = await world.balancers.set_weights(group, [weight(group, 1, 0), weight(group, 2, 37)])
    assert request_id
    changed = {key: value for key, value in (await world.balancers.read_weights(group)).items() if value != 100}
    assert {server: value for (server, _), value in changed.items()} == {"i-01": 0, "i-02": 37}


@BOTH
async def test_twenty_servers_are_one_call(world: World, group: ServerGroup) -> None:
    await world.balancers.set_weights(group, [weight(group, n, 0) for n in range(20)])
    assert world.change_calls() == 1
    assert sum(value == 0 for value in world.weights(group).values()) == 20


@BOTH
async def test_setting_the_same_weights_again_is_harmless(world: World, group: ServerGroup) -> None:
    for _ in range(2):
        await world.balancers.set_weights(group, [weight(group, 3, 55)])
    after = dict(world.weights(group))
    assert after.pop(("i-03", 80 if group.vserver_group_id else 0)) == 55
    assert set(after.values()) == {100}


@BOTH
async def test_what_cannot_be_asked_is_refused_before_any_call(world: World, group: ServerGroup) -> None:
    other_port = 0 if group.vserver_group_id else 80
    other_group = VSERVER if group is DEFAULT else DEFAULT
    impossible = {
        "21 servers": [weight(group, n, 0) for n in range(21)],
        "none": [],
        "over 100": [weight(group, 1, 101)],
        "negative": [weight(group, 1, -1)],
        "twice": [weight(group, 1, 0), weight(group, 1, 100)],
        "wrong kind of port": [weight(group, 1, 0, other_port)],
        "mount of another group": [weight(other_group, 1, 0)],
        "no server": [weight(group, "", 0)],
    }
    for case, weights in impossible.items():
        error = await error_of(world.balancers.set_weights(group, weights))
        assert isinstance(error, BalancerRefused), case
        assert error.problem.code == "balancer_refused", case
    assert world.change_calls() == 0
    assert set(world.weights(group).values()) == {100}


@BOTH
@pytest.mark.parametrize(
    ("fault", "kind", "code", "done"),
    [
        ("busy", BalancerBusy, "balancer_busy", False),
        ("throttled", BalancerThrottled, "balancer_throttled", False),
        ("error_not_done", BalancerUnknown, "balancer_unknown", False),
        ("error_done", BalancerUnknown, "balancer_unknown", True),
        ("no_answer", BalancerUnknown, "balancer_unknown", True),
        ("html", BalancerUnknown, "balancer_unknown", True),
        ("truncated", BalancerUnknown, "balancer_unknown", True),
    ],
)
async def test_a_change_that_went_wrong_is_told_as_what_it_may_have_done(
    world: World, group: ServerGroup, fault: str, kind: type[BalancerError], code: str, done: bool
) -> None:
    world.fault(fault)
    error = await error_of(world.balancers.set_weights(group, [weight(group, 4, 0)]))
    assert type(error) is kind
    assert error.problem.code == code
    assert str(group) in str(error.problem.what)
    assert (world.weights(group)[weight(group, 4, 0).mount.server_id, 80 if group.vserver_group_id else 0] == 0) is done
    assert world.change_calls() == 1  # never repeated in here


@BOTH
async def test_a_lie_shows_only_by_reading_back(world: World, group: ServerGroup) -> None:
    world.fault("lie")
    assert await world.balancers.set_weights(group, [weight(group, 4, 0)])
    assert set(world.weights(group).values()) == {100}


@BOTH
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("throttled", BalancerThrottled),
        ("error_not_done", BalancerUnknown),
        ("no_answer", BalancerUnknown),
        ("html", BalancerUnknown),
        ("truncated", BalancerUnknown),
        ("lie", BalancerUnknown),
    ],
)
async def test_weights_that_could_not_be_read_are_never_made_up(
    world: World, group: ServerGroup, fault: str, kind: type[BalancerError]
) -> None:
    world.fault(fault)
    assert type(await error_of(world.balancers.read_weights(group))) is kind
    assert len(await world.balancers.read_weights(group)) == SERVERS


@pytest.mark.parametrize("group", [ServerGroup(REGION, "lb-0"), ServerGroup(REGION, "lb-1", "rsp-0")], ids=str)
async def test_an_unknown_balancer_or_group_is_not_found(world: World, group: ServerGroup) -> None:
    for call in (
        world.balancers.read_weights(group),
        world.balancers.set_weights(group, [weight(group, 1, 0)]),
    ):
        error = await error_of(call)
        assert isinstance(error, BalancerRefused)
        assert error.problem.code == "balancer_not_found"
        assert error.request_id


@BOTH
async def test_a_server_that_is_not_in_the_group_changes_nothing(world: World, group: ServerGroup) -> None:
    error = await error_of(world.balancers.set_weights(group, [weight(group, 1, 0), weight(group, "i-gone", 0)]))
    assert isinstance(error, BalancerRefused)
    assert error.problem.code == "balancer_not_found"
    assert set(world.weights(group).values()) == {100}


async def test_a_group_of_another_balancer_is_not_taken_for_ours(world: World) -> None:
    error = await error_of(world.balancers.read_weights(ServerGroup(REGION, "lb-other", "rsp-1")))
    assert isinstance(error, BalancerRefused)
    assert error.problem.code == "balancer_not_found"
    assert "lb-1" in str(error.problem.what)


@BOTH
async def test_health_is_what_the_balancers_own_check_says(world: World, group: ServerGroup) -> None:
    for each in (DEFAULT, VSERVER):
        world.listen(each)
    ours, theirs = (80, 9000) if group.vserver_group_id else (9000, 80)
    world.health_is("i-00", ours, "normal")
    world.health_is("i-01", ours, "abnormal")
    world.health_is("i-02", theirs, "abnormal")  # of the same server, by a listener of another group
    found = await world.balancers.read_health(group)
    port = 80 if group.vserver_group_id else 0
    assert found["i-00", port] is Health.HEALTHY
    assert found["i-01", port] is Health.UNHEALTHY
    assert found["i-02", port] is found["i-03", port] is Health.UNKNOWN
    assert {port for _, port in found} >= {port}


@BOTH
async def test_a_group_that_is_not_checked_is_told_of_nothing(world: World, group: ServerGroup) -> None:
    assert await world.balancers.read_health(group) == {}
    world.listen(group, checked=False)
    assert await world.balancers.read_health(group) == {}


@BOTH
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("throttled", BalancerThrottled),
        ("no_answer", BalancerUnknown),
        ("html", BalancerUnknown),
        ("lie", BalancerUnknown),
    ],
)
async def test_health_that_could_not_be_read_is_never_made_up(
    world: World, group: ServerGroup, fault: str, kind: type[BalancerError]
) -> None:
    world.listen(group)
    world.fault(fault)
    assert type(await error_of(world.balancers.read_health(group))) is kind


# ---- the SDK on the wire


async def test_the_labs_balancer_really_checks_its_servers(endpoint: SlbEndpoint) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(status + b"\r\n\r\n")
        writer.close()

    async def until(health: Health) -> None:
        async with asyncio.timeout(10):
            while (await balancers.read_health(VSERVER)).get(("i-00", 80)) is not health:
                await asyncio.sleep(0.05)

    status = b"HTTP/1.0 200 OK"
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    balancers = adapter(endpoint.url)
    endpoint.state.add_listener("lb-1", Listener(8080, "http", "rsp-1", check_path="/alive"))
    checks = HealthChecks(endpoint.state, lambda _server: port, interval_s=0.05)
    assert (await balancers.read_health(VSERVER))["i-00", 80] is Health.UNKNOWN
    checks.start()
    try:
        await until(Health.HEALTHY)
        status = b"HTTP/1.0 500 No"
        await until(Health.UNHEALTHY)
        status = b"HTTP/1.0 200 OK"
        await until(Health.HEALTHY)
        server.close()
        await until(Health.UNHEALTHY)
    finally:
        await checks.stop()
        server.close()


async def test_a_group_stays_busy_for_a_while_after_each_change(endpoint: SlbEndpoint) -> None:
    endpoint.busy_s = 60.0
    balancers = adapter(endpoint.url)
    for group, code in ((DEFAULT, "BackendServer.configuring"), (VSERVER, "VServerGroupProcessing")):
        await balancers.set_weights(group, [weight(group, 1, 0)])
        error = await error_of(balancers.set_weights(group, [weight(group, 2, 0)]))
        assert isinstance(error, BalancerBusy)
        assert error.api_code == code
        assert error.request_id
        assert len(await balancers.read_weights(group)) == SERVERS  # reading goes on


async def test_the_minutes_quota_of_changes_throttles_and_reading_goes_on(endpoint: SlbEndpoint) -> None:
    endpoint.changes_a_minute = 2
    balancers = adapter(endpoint.url)
    for n in range(2):
        await balancers.set_weights(DEFAULT, [weight(DEFAULT, n, 0)])
    error = await error_of(balancers.set_weights(DEFAULT, [weight(DEFAULT, 3, 0)]))
    assert isinstance(error, BalancerThrottled)
    assert error.api_code == "Throttling.User"
    assert len(await balancers.read_weights(DEFAULT)) == SERVERS


async def test_a_silent_service_leaves_the_outcome_unknown_in_bounded_time(endpoint: SlbEndpoint) -> None:
    for read_timeout_s, deadline_s in ((0.3, 30.0), (2.0, 0.3)):
        endpoint.faults.stalled = 1
        balancers = adapter(endpoint.url, read_timeout_s=read_timeout_s, deadline_s=deadline_s)
        started = time.monotonic()
        error = await error_of(balancers.set_weights(DEFAULT, [weight(DEFAULT, 1, 0)]))
        assert isinstance(error, BalancerUnknown)
        assert time.monotonic() - started < 2


async def test_nobody_listening_is_unknown_and_shows_no_signature(endpoint: SlbEndpoint) -> None:
    await endpoint.stop()
    error = await error_of(adapter(endpoint.url).set_weights(DEFAULT, [weight(DEFAULT, 1, 0)]))
    assert isinstance(error, BalancerUnknown)
    assert "lab-key" not in error.problem.evidence
    assert error.problem.evidence  # but says what broke


async def test_a_wrong_secret_is_a_matter_of_credentials(endpoint: SlbEndpoint) -> None:
    error = await error_of(adapter(endpoint.url, source(secret="wrong-secret")).read_weights(DEFAULT))
    assert isinstance(error, BalancerRefused)
    assert error.problem.code == "balancer_credentials"
    assert error.api_code == "InvalidAccessKeySecret"  # the SDK found its own string to sign in the message
    assert "wrong-secret" not in str(error) + error.problem.evidence
    assert f"the access key of process {os.getpid()} on {platform.node()}, running since" in str(error.problem.remedy)


async def test_an_unknown_key_is_a_matter_of_credentials(endpoint: SlbEndpoint) -> None:
    error = await error_of(adapter(endpoint.url, source("nobody")).read_weights(DEFAULT))
    assert error.problem.code == "balancer_credentials"
    assert error.api_code == "InvalidAccessKeyId.NotFound"


@pytest.mark.parametrize("offset_s", [-16 * 60, 16 * 60])
async def test_a_wrong_clock_is_named_as_such(endpoint: SlbEndpoint, offset_s: float) -> None:
    endpoint.clock_offset_s = offset_s
    error = await error_of(adapter(endpoint.url).read_weights(DEFAULT))
    assert error.problem.code == "balancer_credentials"
    assert error.api_code == "InvalidTimeStamp.Expired"
    assert "clock" in str(error.problem.remedy)


async def test_without_credentials_no_call_is_made(endpoint: SlbEndpoint, tmp_path: Path) -> None:
    nothing = CredentialsSource(
        tmp_path / "mine.ini", environ={}, default_file=tmp_path / "default.ini", places=Places(metadata="")
    )
    error = await error_of(adapter(endpoint.url, nothing).read_weights(DEFAULT))
    assert error.problem.code == "balancer_credentials"
    assert str(tmp_path / "mine.ini") in str(error)
    assert f"Process {os.getpid()} on {platform.node()}, running since" in str(error.problem.remedy)
    assert not endpoint.calls


async def test_many_calls_at_once_do_not_mix_up_their_requests(endpoint: SlbEndpoint) -> None:
    endpoint.changes_a_minute = 1000
    balancers = adapter(endpoint.url)
    async with asyncio.TaskGroup() as tasks:
        for n in range(SERVERS):
            tasks.create_task(balancers.set_weights(VSERVER, [weight(VSERVER, n, n)]))
            tasks.create_task(balancers.read_weights(DEFAULT))
    read = await balancers.read_weights(VSERVER)
    assert read == {(f"i-{n:02}", 80): n for n in range(SERVERS)}


async def test_an_endpoint_without_http_in_front_never_gets_a_signature_in_clear(endpoint: SlbEndpoint) -> None:
    error = await error_of(adapter(endpoint.url.removeprefix("http://")).read_weights(DEFAULT))
    assert isinstance(error, BalancerUnknown)  # the lab speaks no TLS
    assert "SSL" in error.problem.evidence
    assert not endpoint.calls


async def test_https_works_with_a_trusted_certificate_and_with_no_other(
    endpoint: SlbEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = LoopbackCertificate(tmp_path)
    await endpoint.stop()
    url = await endpoint.start(tls=certificate.context())
    error = await error_of(adapter(url).read_weights(DEFAULT))
    assert "CERTIFICATE_VERIFY_FAILED" in error.problem.evidence.replace(" ", "_").upper()
    assert not endpoint.calls
    monkeypatch.setenv("ALIBABA_CLOUD_CA_BUNDLE", str(certificate.path))
    assert len(await adapter(url).read_weights(DEFAULT)) == SERVERS


async def test_a_workspace_gets_its_cloud_from_its_regions(
    endpoint: SlbEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    file.write_text(f"[default]\ntype=access_key\naccess_key_id=lab-key\naccess_key_secret={SECRET}\n")
    cloud: Cloud = AliyunCloud(file)
    balancers = cloud.balancers([Region(REGION, slb_endpoint=endpoint.url)])
    assert len(await balancers.read_weights(VSERVER)) == SERVERS
    assert cloud.balancers([Region(REGION, slb_endpoint=endpoint.url)]) is balancers  # connections are shared


async def test_a_proxy_of_the_environment_is_not_used_for_the_lab(
    endpoint: SlbEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert len(await adapter(endpoint.url).read_weights(DEFAULT)) == SERVERS


async def test_the_sdk_writes_nothing_to_the_screen(
    endpoint: SlbEndpoint, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG", "sdk")  # makes the SDK print its requests, keys included
    await adapter(endpoint.url).read_weights(DEFAULT)
    endpoint.read_faults.html = 1
    await error_of(adapter(endpoint.url).read_weights(DEFAULT))
    endpoint.read_faults.no_answer = 1
    await error_of(adapter(endpoint.url).read_weights(DEFAULT))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def _answering(body: str, status: int = 200) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type="application/json")

    return serve


async def _read_from(body: str, group: ServerGroup, status: int = 200) -> Mapping[tuple[str, int], int]:
    runner = web.ServerRunner(web.Server(_answering(body, status)))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return await adapter(f"http://127.0.0.1:{runner.addresses[0][1]}").read_weights(group)
    finally:
        await runner.cleanup()


async def test_weights_and_ports_are_read_from_text_as_from_numbers() -> None:
    body = """{"RequestId": "R", "BackendServers": {"BackendServer": [
        {"ServerId": "i-1", "Port": "80", "Weight": "0"}, {"ServerId": "i-1", "Port": 81, "Weight": 100}]}}"""
    assert await _read_from(body, VSERVER) == {("i-1", 80): 0, ("i-1", 81): 100}
    one_card_two_addresses = """{"RequestId": "R", "BackendServers": {"BackendServer": [
        {"ServerId": "eni-1", "Weight": 100, "ServerIp": "10.0.0.1"},
        {"ServerId": "eni-1", "Weight": 0, "ServerIp": "10.0.0.2"}]}}"""
    assert await _read_from(one_card_two_addresses, DEFAULT) == {("eni-1", 0): 100}


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        '{"BackendServers": {"BackendServer": []}}',
        '{"RequestId": "R"}',
        '{"RequestId": "R", "BackendServers": {"BackendServer": [{"ServerId": "i-1"}]}}',
        '{"RequestId": "R", "BackendServers": {"BackendServer": [{"ServerId": "i-1", "Weight": "many"}]}}',
        '{"RequestId": "R", "BackendServers": null}',
    ],
)
async def test_an_answer_of_another_shape_is_unknown(body: str) -> None:
    assert isinstance(await error_of(_read_from(body, DEFAULT)), BalancerUnknown)


async def test_a_signature_error_without_a_colon_does_not_break_the_adapter() -> None:
    body = '{"RequestId": "R", "Code": "SignatureDoesNotMatch", "Message": "no colon in here"}'
    error = await error_of(_read_from(body, DEFAULT, 400))
    assert isinstance(error, BalancerRefused)
    assert error.problem.code == "balancer_credentials"


@pytest.mark.parametrize(
    ("status", "api_code", "said", "kind", "code"),
    [
        (409, "BackendServer.configuring", "", BalancerBusy, "balancer_busy"),
        (449, "SystemBusy", "", BalancerBusy, "balancer_busy"),
        (403, "LastTokenProcessing", "", BalancerBusy, "balancer_busy"),
        (400, "ServiceIsConfiguring", "", BalancerBusy, "balancer_busy"),
        (409, "OperationConflict", "", BalancerBusy, "balancer_busy"),
        (400, "Throttling", "", BalancerThrottled, "balancer_throttled"),
        (400, "Throttling.Api", "", BalancerThrottled, "balancer_throttled"),
        (500, "InternalError", "", BalancerUnknown, "balancer_unknown"),
        (400, "InternalError", "", BalancerUnknown, "balancer_unknown"),
        (503, "ServiceUnavailable.RegionMaintaining", "", BalancerUnknown, "balancer_unknown"),
        (502, "SDK.UnknownServerError", "", BalancerUnknown, "balancer_unknown"),
        (403, "SDK.UnknownServerError", "a proxy's page", BalancerUnknown, "balancer_unknown"),
        (404, "InvalidLoadBalancerId.NotFound", "", BalancerRefused, "balancer_not_found"),
        (
            404,
            "InvalidParameter",
            "The specified VServerGroupId does not exist.",
            BalancerRefused,
            "balancer_not_found",
        ),
        (400, "InvalidParameter", "The Weight is invalid.", BalancerRefused, "balancer_refused"),
        (400, "ObtainIpFail", "", BalancerRefused, "balancer_not_found"),
        (403, "Forbidden.RAM", "", BalancerRefused, "balancer_denied"),
        (403, "Forbidden.AccessKeyDisabled", "", BalancerRefused, "balancer_credentials"),
        (400, "InvalidSecurityToken.Expired", "", BalancerRefused, "balancer_credentials"),
        (400, "ActionNotAllowed", "Locked for arrears", BalancerRefused, "balancer_refused"),
        (400, "TooManyBackendServers", "", BalancerRefused, "balancer_refused"),
    ],
)
def test_each_documented_code_means_one_of_four_things(
    status: int, api_code: str, said: str, kind: type[BalancerError], code: str
) -> None:
    raised = ServerException(api_code, said, status, "REQUEST")
    error = slb_errors.to_balancer_error(raised, VSERVER, Credentials("id", "secret"), change=True)
    assert type(error) is kind
    assert (error.problem.code, error.api_code, error.request_id) == (code, api_code, "REQUEST")
    assert f"{api_code}, request id REQUEST" in error.problem.evidence
    link = f"https://api.aliyun.com/troubleshoot?q={api_code}&product=Slb&requestId=REQUEST"
    assert (link in error.problem.evidence.splitlines()) is not api_code.startswith("SDK.")
    means = {"ActionNotAllowed": "it is locked", "TooManyBackendServers": "as many servers as it may"}
    assert means.get(api_code, "") in str(error.problem.what)


# ---- the endpoint itself, driven by the unmodified SDK


async def test_the_endpoint_answers_the_sdk_as_slb_does(endpoint: SlbEndpoint) -> None:
    endpoint.state.add_listener("lb-1", Listener(8080, "http", "rsp-1"))
    endpoint.state.set_health("i-00", 80, "normal")
    client = AcsClient("lab-key", SECRET, REGION)

    def ask(action: str, **parameters: object) -> dict[str, Any]:
        module = import_module(f"aliyunsdkslb.request.v20140515.{action}Request")
        request = getattr(module, f"{action}Request")()
        request.set_endpoint(endpoint.url.removeprefix("http://"))
        for name, value in parameters.items():
            getattr(request, f"set_{name}")(value)
        answer: dict[str, Any] = json.loads(client.do_action_with_exception(request))
        return answer

    def code_of(action: str, **parameters: object) -> str:
        with pytest.raises(ServerException) as caught:
            ask(action, **parameters)
        return str(caught.value.get_error_code())

    def drive() -> None:
        found = ask("DescribeLoadBalancers", PageSize=1)
        assert (found["TotalCount"], len(found["LoadBalancers"]["LoadBalancer"])) == (2, 1)
        groups = ask("DescribeVServerGroups", LoadBalancerId="lb-1", IncludeListener="true")["VServerGroups"]
        assert groups["VServerGroup"][0]["AssociatedObjects"]["Listeners"]["Listener"] == [
            {"Protocol": "http", "Port": 8080}
        ]
        health = ask("DescribeHealthStatus", LoadBalancerId="lb-1")["BackendServers"]["BackendServer"]
        assert [row["ServerHealthStatus"] for row in health[:2]] == ["normal", "unavailable"]
        assert code_of("DescribeHealthStatus", LoadBalancerId="lb-other") == "CheckedListenerNotFound"

        new = json.dumps([{"ServerId": "i-new", "Port": 80}])
        added = ask("AddVServerGroupBackendServers", VServerGroupId="rsp-1", BackendServers=new)
        assert len(added["BackendServers"]["BackendServer"]) == SERVERS + 1
        assert endpoint.state.weight("lb-1", "rsp-1", "i-new", 80) == 100
        ask("RemoveVServerGroupBackendServers", VServerGroupId="rsp-1", BackendServers=new)
        assert endpoint.state.weight("lb-1", "rsp-1", "i-new", 80) is None
        ask("RemoveVServerGroupBackendServers", VServerGroupId="rsp-1", BackendServers=new)  # unknown: no error

        many = json.dumps([{"ServerId": f"i-{n:02}", "Weight": 0} for n in range(21)])
        assert code_of("SetBackendServers", LoadBalancerId="lb-1", BackendServers=many) == "TooManyBackendServers"
        heavy = json.dumps([{"ServerId": "i-00", "Weight": 101}])
        assert code_of("SetBackendServers", LoadBalancerId="lb-1", BackendServers=heavy) == "InvalidWeight.Malformed"
        assert code_of("SetBackendServers", LoadBalancerId="lb-1", BackendServers="{") == "BackendServersMalformed"

    await asyncio.to_thread(drive)


async def test_a_repeated_nonce_is_refused(endpoint: SlbEndpoint) -> None:
    await adapter(endpoint.url).read_weights(DEFAULT)
    replayed = urlencode(endpoint.calls[-1].params)
    async with aiohttp.ClientSession() as session, session.post(f"{endpoint.url}/?{replayed}") as answer:
        assert answer.status == 400
        assert (await answer.json())["Code"] == "SignatureNonceUsed"
    altered = urlencode({**endpoint.calls[-1].params, "LoadBalancerId": "lb-other"})
    async with aiohttp.ClientSession() as session, session.post(f"{endpoint.url}/?{altered}") as answer:
        assert (await answer.json())["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("url", "brief"),
    [
        ("http://127.0.0.1:9", "connection refused"),
        ("http://no-such-host.invalid", "name not found"),
    ],
)
async def test_why_nobody_answered_is_said_in_a_few_words(url: str, brief: str) -> None:
    with pytest.raises(BalancerUnknown) as caught:
        await adapter(url).read_weights(VSERVER)
    assert caught.value.brief == brief


async def test_a_service_that_is_away_says_its_status_and_code(endpoint: SlbEndpoint) -> None:
    endpoint.read_faults.unavailable = 1
    with pytest.raises(BalancerUnknown) as caught:
        await adapter(endpoint.url).read_weights(VSERVER)
    assert caught.value.brief == "503 ServiceUnavailable"


async def test_the_ledger_waits_for_an_api_that_is_away_on_the_wire(endpoint: SlbEndpoint, tmp_path: Path) -> None:
    """The unmodified SDK, real time, a service that answers 503 for some seconds, and one whose port is closed."""
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    with store.writing() as conn:
        order_id = insert_order(conn)
    group = ServerGroup(REGION, "lb-1", "rsp-1")
    lines = [MountWeight(Mount("h01", "i-01", group, 80), 0)]
    said: list[str] = []

    async def back() -> None:
        await asyncio.sleep(3)
        endpoint.faults.unavailable = endpoint.read_faults.unavailable = 0

    async with Journal(store) as journal:
        ledger = Ledger(journal, adapter(endpoint.url), SystemClock(), outage_s=60)
        endpoint.faults.unavailable = endpoint.read_faults.unavailable = -1
        (result,), _ = await asyncio.gather(
            ledger.move(order_id, 0, lines, owned=True, told=lambda text: said.append(str(text))), back()
        )
        port = int(endpoint.url.rsplit(":", 1)[1])
        await endpoint.stop()
        asked = asyncio.create_task(
            ledger.move(
                order_id,
                0,
                [MountWeight(lines[0].mount, 100)],
                owned=False,
                told=lambda text: said.append(str(text)),
            )
        )
        async with asyncio.timeout(20):
            while not any("(connection refused)" in each for each in said):
                await asyncio.sleep(0.05)
        await endpoint.start(port=port)
        (given,) = await asked
        await ledger.close()
    store.close()
    assert (result.verified, given.verified) == (Verified.YES, Verified.YES)
    assert endpoint.state.weights("lb-1", "rsp-1")["i-01", 80] == 100
    assert any("(503 ServiceUnavailable), at most until" in each for each in said)
    assert said[-1].startswith("the balancer lb-1 answers again after ")
