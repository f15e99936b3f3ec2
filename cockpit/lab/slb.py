"""The lab's Classic Load Balancer API (2014-05-15): what the unmodified vendor SDK needs to read and change weights, on loopback.

Signature, nonce, timestamp, limits, rate and busy codes are checked as the real service does; faults come on demand. It never
forwards traffic: the weights are in `SlbState`, for whoever does.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import ssl
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from cockpit.lab import slb_wire as wire
from cockpit.lab.faults import Fault, take
from cockpit.lab.slb_state import DEFAULT_GROUP, LabBalancer, Listener, Server, SlbState, WeightChange
from cockpit.lab.slb_wire import Answer, Params, Refusal

__all__ = [
    "DEFAULT_GROUP",
    "LabBalancer",
    "Listener",
    "Server",
    "SlbEndpoint",
    "SlbFaults",
    "SlbState",
    "WeightChange",
]

VERSION = "2014-05-15"
CLOCK_LIMIT_S = 15 * 60
RATE_WINDOW_S = 60.0


@dataclass(slots=True)
class SlbFaults:
    """How many of the next calls go wrong, by the way they do; -1 = all, until set to 0. The first that is not 0 is taken, in
    the order written here."""

    unavailable: Fault = 0  # 503, nothing done
    throttled: Fault = 0  # Throttling.User, nothing done
    busy: Fault = 0  # configuring / processing, nothing done
    error_not_done: Fault = 0  # 500, nothing done
    error_done: Fault = 0  # 500, although it was done
    no_answer: Fault = 0  # done, then the connection is closed
    lie: Fault = 0  # a good answer, nothing done
    html: Fault = 0  # done, then a page of HTML with status 200
    truncated: Fault = 0  # done, then half of the JSON
    stalled: Fault = 0  # done, then silence until the client gives up


@dataclass(slots=True)
class Call:
    """One call as it came in, for tests and the lab's own screen. `code` is empty when it was answered well."""

    action: str
    params: dict[str, str]
    at: float
    code: str = ""


@dataclass(slots=True)
class _Seen:
    nonces: dict[str, float] = field(default_factory=dict)
    changes: deque[float] = field(default_factory=deque)
    busy_until: dict[tuple[str, str], float] = field(default_factory=dict)


class SlbEndpoint:
    """One HTTP port that speaks the API for every region and balancer of `state`."""

    def __init__(
        self,
        state: SlbState | None = None,
        *,
        credentials: Mapping[str, str] | None = None,
        busy_s: float = 0.05,
        changes_a_minute: int = 90,
    ) -> None:
        """`credentials` maps access key ids to secrets; `busy_s`: how long a group stays busy after a change."""
        self.state = state or SlbState()
        self.credentials = dict(credentials or {"lab-key": "lab-secret"})
        self.busy_s = busy_s
        self.changes_a_minute = changes_a_minute
        self.clock_offset_s = 0.0  # added to the endpoint's clock
        self.faults = SlbFaults()  # of changes
        self.read_faults = SlbFaults()  # of Describe*
        self.calls: deque[Call] = deque(maxlen=10_000)
        self.url = ""
        self._seen = _Seen()
        self._runner: web.ServerRunner | None = None
        self._stopping = asyncio.Event()

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> str:
        """Listen and return the URL (`http://127.0.0.1:4002`); port 0 picks a free one. OSError when it is taken.
        With `tls` it speaks https, as the real service does."""
        self._stopping = asyncio.Event()
        # A stalled answer waits for the client to give up, or for stop().
        runner = web.ServerRunner(
            web.Server(self._serve, handler_cancellation=True, access_log=None), shutdown_timeout=1.0
        )
        await runner.setup()
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        self._runner = runner
        self.url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def changes(self) -> list[Call]:
        """The calls that asked for a change, oldest first."""
        return [call for call in self.calls if not call.action.startswith("Describe")]

    # ---- one request

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        pairs = parse_qsl(urlsplit(request.raw_path).query, keep_blank_values=True)
        if request.content_type == "application/x-www-form-urlencoded":
            pairs += parse_qsl((await request.read()).decode(), keep_blank_values=True)
        params = dict(pairs)
        request_id = str(uuid.uuid4()).upper()
        call = Call(params.get("Action", ""), params, time.time())
        self.calls.append(call)
        try:
            self._authenticate(request.method, params)
            act = self._action(params)
            fault = take(self.read_faults if call.action.startswith("Describe") else self.faults)
            self._before(fault, params)
            answer = {} if fault == "lie" else act(params)
        except Refusal as refusal:
            call.code = refusal.code
            return wire.failure(params, request_id, refusal)
        return await self._answer(request, fault, params, {"RequestId": request_id, **answer})

    def _before(self, fault: str, params: Params) -> None:
        """The faults that leave everything as it was."""
        if fault == "unavailable":
            raise Refusal(503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
        if fault == "throttled":
            raise Refusal(400, "Throttling.User", "Request was denied due to user flow control.")
        if fault == "busy":
            raise wire.busy(params.get("VServerGroupId", ""))
        if fault == "error_not_done":
            raise Refusal(500, "InternalError", "The request processing has failed due to some unknown error.")

    async def _answer(self, request: web.BaseRequest, fault: str, params: Params, answer: Answer) -> web.StreamResponse:
        if fault == "error_done":
            failed = Refusal(500, "InternalError", "The request processing has failed due to some unknown error.")
            return wire.failure(params, answer["RequestId"], failed)
        if fault == "no_answer":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault == "html":
            return web.Response(text="<html><body>Welcome to the proxy</body></html>", content_type="text/html")
        if fault == "stalled":
            await self._stopping.wait()
            return web.Response(status=503)
        body = json.dumps(answer)
        if fault == "truncated":
            body = body[: len(body) // 2]
        return web.Response(text=body, content_type="application/json")

    # ---- who asks

    def _now(self) -> float:
        return time.time() + self.clock_offset_s

    def _authenticate(self, method: str, params: Params) -> None:
        for name in ("Action", "AccessKeyId", "Signature", "SignatureNonce", "Timestamp"):
            if not params.get(name):
                raise Refusal(400, f"Missing{name}", f"{name} is mandatory for this action.")
        secret = self.credentials.get(params["AccessKeyId"])
        if secret is None:
            raise Refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        to_sign = wire.string_to_sign(method, params)
        if not hmac.compare_digest(wire.sign(to_sign, secret), params["Signature"]):
            # The key is wrong, not the string: the SDK recognises its own string to sign and says so.
            raise Refusal(
                400,
                "SignatureDoesNotMatch",
                f"Specified signature is not matched with our calculation. server string to sign is:{to_sign}",
            )
        self._check_time(params["Timestamp"], params["SignatureNonce"])
        if params.get("Version") != VERSION:
            raise Refusal(400, "InvalidVersion", "Specified parameter Version is not valid.")

    def _check_time(self, timestamp: str, nonce: str) -> None:
        now = self._now()
        try:
            at = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise Refusal(400, "InvalidTimeStamp.Format", "Specified time stamp is not well formatted.") from None
        if abs(now - at) > CLOCK_LIMIT_S:
            raise Refusal(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        nonces = self._seen.nonces
        for old in [known for known, seen in nonces.items() if now - seen > CLOCK_LIMIT_S]:
            del nonces[old]
        if nonce in nonces:
            raise Refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        nonces[nonce] = now

    # ---- what is asked

    def _action(self, params: Params) -> Callable[[Params], Answer]:
        actions: dict[str, Callable[[Params], Answer]] = {
            "DescribeLoadBalancers": self._describe_balancers,
            "DescribeLoadBalancerAttribute": self._describe_balancer,
            "DescribeVServerGroups": self._describe_groups,
            "DescribeVServerGroupAttribute": self._describe_group,
            "DescribeHealthStatus": self._describe_health,
            "SetBackendServers": lambda p: self._change(p, self._set),
            "AddBackendServers": lambda p: self._change(p, self._add),
            "RemoveBackendServers": lambda p: self._change(p, self._remove),
            "SetVServerGroupAttribute": lambda p: self._change(p, self._set),
            "AddVServerGroupBackendServers": lambda p: self._change(p, self._add),
            "RemoveVServerGroupBackendServers": lambda p: self._change(p, self._remove),
        }
        if params["Action"] not in actions:
            raise Refusal(
                404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        return actions[params["Action"]]

    def _balancer(self, params: Params) -> LabBalancer:
        found = self.state.balancer(params.get("LoadBalancerId", ""))
        if found is None or found.region != params.get("RegionId", found.region):
            raise Refusal(404, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist.")
        return found

    def _group(self, params: Params) -> tuple[LabBalancer, str]:
        """The balancer and the VServer group that the call names, or the balancer's default group."""
        if "VServerGroup" not in params["Action"]:
            return self._balancer(params), DEFAULT_GROUP
        group_id = params.get("VServerGroupId", "")
        found = self.state.balancer_of_group(group_id)
        if found is None or found.region != params.get("RegionId", found.region):
            raise Refusal(404, "InvalidParameter", "The specified VServerGroupId does not exist.")
        return found, group_id

    def _describe_balancers(self, params: Params) -> Answer:
        wanted = [name for name in params.get("LoadBalancerId", "").split(",") if name]
        found = [b for b in self.state.balancers(params.get("RegionId")) if not wanted or b.balancer_id in wanted]
        page, size = wire.number(params, "PageNumber", 1, 1, 10_000), wire.number(params, "PageSize", 50, 1, 100)
        rows = [wire.balancer_row(b) for b in found[(page - 1) * size : page * size]]
        return {
            "PageNumber": page,
            "PageSize": size,
            "TotalCount": len(found),
            "LoadBalancers": {"LoadBalancer": rows},
        }

    def _describe_balancer(self, params: Params) -> Answer:
        balancer = self._balancer(params)
        ports = [listener.port for listener in balancer.listeners]
        protocols = [{"ListenerPort": x.port, "ListenerProtocol": x.protocol} for x in balancer.listeners]
        return {
            **wire.balancer_row(balancer),
            "ListenerPorts": {"ListenerPort": ports},
            "ListenerPortsAndProtocol": {"ListenerPortAndProtocol": protocols},
            "BackendServers": wire.servers(balancer.groups[DEFAULT_GROUP], has_ports=False),
        }

    def _describe_groups(self, params: Params) -> Answer:
        balancer = self._balancer(params)
        rows: list[Answer] = []
        for group_id, name in balancer.group_names.items():
            row: Answer = {"VServerGroupId": group_id, "VServerGroupName": name}
            if params.get("IncludeListener") == "true":
                row["AssociatedObjects"] = {"Listeners": {"Listener": wire.listeners(balancer, group_id)}}
            rows.append(row)
        return {"VServerGroups": {"VServerGroup": rows}}

    def _describe_group(self, params: Params) -> Answer:
        return self._group_row(*self._group(params))

    def _group_row(self, balancer: LabBalancer, group_id: str) -> Answer:
        servers = self.state.weights(balancer.balancer_id, group_id)
        if group_id == DEFAULT_GROUP:
            return {"LoadBalancerId": balancer.balancer_id, "BackendServers": wire.servers(servers, has_ports=False)}
        return {
            "LoadBalancerId": balancer.balancer_id,
            "VServerGroupId": group_id,
            "VServerGroupName": balancer.group_names[group_id],
            "BackendServers": wire.servers(servers, has_ports=True),
        }

    def _describe_health(self, params: Params) -> Answer:
        balancer = self._balancer(params)
        wanted = wire.number(params, "ListenerPort", 0, 0, 65_535)
        listeners = [x for x in balancer.listeners if x.checked and (not wanted or x.port == wanted)]
        if not listeners:
            raise Refusal(404, "CheckedListenerNotFound", "The checked listener does not exist.")
        rows = []
        for listener in listeners:
            for server_id, group_port in balancer.groups.get(listener.vserver_group_id, {}):
                port = group_port or listener.backend_port
                status = self.state.health(server_id, port)
                rows.append(
                    {
                        "ListenerPort": listener.port,
                        "Protocol": listener.protocol,
                        "ServerId": server_id,
                        "Port": port,
                        "ServerHealthStatus": status,
                    }
                )
        return {"BackendServers": {"BackendServer": rows}}

    # ---- changes

    def _change(self, params: Params, edit: Callable[[LabBalancer, str, dict[Server, int]], None]) -> Answer:
        balancer, group_id = self._group(params)
        servers = wire.named_servers(params, has_ports=group_id != DEFAULT_GROUP)
        self._pace((balancer.balancer_id, group_id))
        edit(balancer, group_id, servers)
        self._seen.busy_until[balancer.balancer_id, group_id] = time.monotonic() + self.busy_s
        return self._group_row(balancer, group_id)

    def _pace(self, group: tuple[str, str]) -> None:
        """At most `changes_a_minute` changes in any minute, and none while an earlier one of the group goes out."""
        now, changes = time.monotonic(), self._seen.changes
        while changes and now - changes[0] >= RATE_WINDOW_S:
            changes.popleft()
        if len(changes) >= self.changes_a_minute:
            raise Refusal(400, "Throttling.User", "Request was denied due to user flow control.")
        changes.append(now)
        if now < self._seen.busy_until.get(group, 0.0):
            raise wire.busy(group[1])

    def _set(self, balancer: LabBalancer, group_id: str, servers: dict[Server, int]) -> None:
        present = balancer.groups[group_id]
        if any(server not in present for server in servers):
            raise Refusal(404, "InvalidServerId.NotFound", "The specified ServerId does not exist.")
        self.state.set_weights(balancer.balancer_id, group_id, servers)

    def _add(self, balancer: LabBalancer, group_id: str, servers: dict[Server, int]) -> None:
        present = balancer.groups[group_id]
        if any(server in present for server in servers):
            raise Refusal(400, "BackendServerAlreadyAdded", "The specified server is already in the group.")
        if len(present) + len(servers) > 200:
            raise Refusal(400, "OverQuota", "The number of backend servers exceeds the quota.")
        self.state.set_weights(balancer.balancer_id, group_id, servers)

    def _remove(self, balancer: LabBalancer, group_id: str, servers: dict[Server, int]) -> None:
        self.state.remove_servers(balancer.balancer_id, group_id, servers)
