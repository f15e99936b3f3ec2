"""Weights in Alibaba's Classic Load Balancer (SLB, API 2014-05-15), by the vendor's SDK. One call, one answer.

Never retries, paces or reads back: the weight ledger does, and it must know of every call. Every call has a request object of
its own, because signing writes into it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from engine.cloud import slb_errors, slb_health
from engine.cloud.calls import Calls, proxies_for, silence, split_endpoint
from engine.cloud.credentials import Credentials, CredentialsMissing, CredentialsSource
from engine.domain.fleet import MountWeight, Region, ServerGroup
from engine.domain.states import Health
from engine.ports import BalancerRefused

MAX_SERVERS_A_CALL = 20
THREADS = 8
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 10
# Longer than a call can take by its socket timeouts: a change given up on must not be sent after it was read back.
DEADLINE_S = 30.0

_Answer = Mapping[str, Any]


class SlbBalancers:
    """`engine.ports.Balancers` on SLB. `regions` give the endpoints; a region without one is reached at its public endpoint."""

    def __init__(
        self,
        regions: Sequence[Region],
        credentials: CredentialsSource,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Opens nothing yet."""
        self._endpoints = {region.name: region.slb_endpoint for region in regions}
        self._credentials = credentials
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._deadline_s = deadline_s
        self._calls = Calls("slb", THREADS)
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, Credentials], Any] = {}

    async def read_weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        """(server id, port) → weight as the balancer has it now; port is 0 in a default group. Raises BalancerError."""
        action = "DescribeVServerGroupAttribute" if group.vserver_group_id else "DescribeLoadBalancerAttribute"
        answer = await self._call(action, group, _scope(group), change=False)
        owner = str(answer.get("LoadBalancerId", "") or group.balancer_id)
        if owner != group.balancer_id:  # a slip in the catalogue must not drain somebody else's balancer
            raise slb_errors.other_balancer(group, owner, str(answer.get("RequestId", "")))
        try:
            return _weights(answer, has_ports=bool(group.vserver_group_id))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise slb_errors.unreadable(group, change=False) from error

    async def read_health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health]:
        """(server id, port) → what the balancer's own health check says; empty when it checks nothing. Raises BalancerError."""
        of_balancer = {"LoadBalancerId": group.balancer_id}
        try:
            answer = await self._call("DescribeHealthStatus", group, of_balancer, change=False)
        except BalancerRefused as refused:
            if refused.api_code == "CheckedListenerNotFound":
                return {}
            raise
        try:
            rows = slb_health.rows(answer)
            if group.vserver_group_id:
                return slb_health.of_vserver_group(rows)
            groups = await self._call(
                "DescribeVServerGroups", group, {**of_balancer, "IncludeListener": "true"}, change=False
            )
            return slb_health.of_default_group(rows, slb_health.listeners(groups))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise slb_errors.unreadable(group, change=False) from error

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        """Set the weights of 1–20 servers of the group, leaving the others alone; returns the request id. Raises BalancerError:
        `BalancerRefused` without a call when what is asked for is not possible."""
        _check(group, weights)
        servers = json.dumps([_server(weight, has_port=bool(group.vserver_group_id)) for weight in weights])
        action = "SetVServerGroupAttribute" if group.vserver_group_id else "SetBackendServers"
        answer = await self._call(action, group, {**_scope(group), "BackendServers": servers}, change=True)
        return str(answer["RequestId"])

    async def _call(self, action: str, group: ServerGroup, parameters: Mapping[str, str], *, change: bool) -> _Answer:
        try:
            credentials = await self._calls.run(self._deadline_s, self._credentials.find)
        except CredentialsMissing as missing:
            raise slb_errors.no_credentials(group, missing) from missing
        except TimeoutError as error:
            # Nothing was asked of the balancer yet, so nothing is in doubt.
            raise slb_errors.unanswered(group, self._deadline_s, change=False) from error
        try:
            return await self._calls.run(self._deadline_s, self._ask, action, group, parameters, credentials, change)
        except TimeoutError as error:
            raise slb_errors.unanswered(group, self._deadline_s, change=change) from error

    def _ask(
        self, action: str, group: ServerGroup, parameters: Mapping[str, str], credentials: Credentials, change: bool
    ) -> _Answer:
        request = _request(action, parameters)
        endpoint = self._endpoints.get(group.region, "")
        scheme, host = split_endpoint(endpoint) if endpoint else ("https", "")
        request.set_protocol_type(_protocol(scheme))
        if host:
            request.set_endpoint(host)
        try:
            body = self._client(group.region, endpoint, credentials).do_action_with_exception(request)
        except Exception as error:  # noqa: BLE001 - the SDK's edge: once sent, any failure leaves it unknown
            # from None: the SDK's text has the signed URL in it, and a traceback would print it.
            raise slb_errors.to_balancer_error(error, group, credentials, change=change) from None
        try:
            answer = json.loads(body)
        except ValueError as error:  # the SDK does not notice a body cut short, nor a page of HTML
            raise slb_errors.unreadable(group, change=change) from error
        if not isinstance(answer, dict) or not answer.get("RequestId"):
            raise slb_errors.unreadable(group, change=change)
        return answer

    def _client(self, region: str, endpoint: str, credentials: Credentials) -> Any:
        with self._lock:
            known = self._clients.get((region, credentials))
            if known is None:
                # A renewed temporary key makes a new client; the one of the old key is of no more use.
                self._clients = {key: client for key, client in self._clients.items() if key[1] == credentials}
                known = self._clients[region, credentials] = self._new_client(region, endpoint, credentials)
            return known

    def _new_client(self, region: str, endpoint: str, credentials: Credentials) -> Any:
        from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
        from aliyunsdkcore.client import AcsClient

        silence("aliyunsdkcore")
        key_id, secret = credentials.access_key_id, credentials.access_key_secret
        token = credentials.security_token
        return AcsClient(
            region_id=region,
            credential=StsTokenCredential(key_id, secret, token) if token else AccessKeyCredential(key_id, secret),
            auto_retry=False,
            timeout=self._read_timeout_s,
            connect_timeout=self._connect_timeout_s,
            pool_size=THREADS,
            proxy=proxies_for(endpoint or "https://slb.aliyuncs.com"),
        )


def _scope(group: ServerGroup) -> dict[str, str]:
    if group.vserver_group_id:
        return {"VServerGroupId": group.vserver_group_id}
    return {"LoadBalancerId": group.balancer_id}


def _request(action: str, parameters: Mapping[str, str]) -> Any:
    """A fresh request object of the SDK, named by its action."""
    from importlib import import_module

    module = import_module(f"aliyunsdkslb.request.v20140515.{action}Request")
    request = getattr(module, f"{action}Request")()
    for name, value in parameters.items():
        getattr(request, f"set_{name}")(value)
    return request


def _protocol(scheme: str) -> Any:
    # The SDK compares protocols by identity, so its own constants are needed.
    from aliyunsdkcore.http import protocol_type

    return protocol_type.HTTP if scheme == "http" else protocol_type.HTTPS


def _server(weight: MountWeight, *, has_port: bool) -> dict[str, str | int]:
    server_id = weight.mount.server_id
    kind = "eni" if server_id.startswith("eni-") else "eci" if server_id.startswith("eci-") else "ecs"
    server: dict[str, str | int] = {"ServerId": server_id, "Weight": weight.weight, "Type": kind}
    if has_port:
        server["Port"] = weight.mount.port
    return server


def _weights(answer: _Answer, *, has_ports: bool) -> dict[tuple[str, int], int]:
    """The documentation shows Weight and Port as numbers in half of its samples and as strings in the rest."""
    weights: dict[tuple[str, int], int] = {}
    for server in answer["BackendServers"]["BackendServer"]:
        key = (str(server["ServerId"]), int(server["Port"]) if has_ports else 0)
        # A network card with several addresses is in the group several times: it is in service while one of them is.
        weights[key] = max(int(server["Weight"]), weights.get(key, 0))
    return weights


def _check(group: ServerGroup, weights: Sequence[MountWeight]) -> None:
    if not 1 <= len(weights) <= MAX_SERVERS_A_CALL:
        raise slb_errors.too_many(group, len(weights), MAX_SERVERS_A_CALL)
    seen: set[tuple[str, int]] = set()
    for weight in weights:
        mount = weight.mount
        key = (mount.server_id, mount.port)
        possible = (
            mount.server_group == group
            and 0 <= weight.weight <= 100
            and (mount.port > 0 if group.vserver_group_id else mount.port == 0)
            and mount.server_id
            and key not in seen
        )
        if not possible:
            raise slb_errors.impossible(group, mount.server_id, mount.port, weight.weight)
        seen.add(key)
