"""How the lab's balancer API reads parameters and writes answers: signature, validation, JSON. Pure functions, no state."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

from cockpit.lab.slb_state import LabBalancer, Server

MAX_SERVERS_A_CALL = 20

Params = Mapping[str, str]
Answer = dict[str, Any]


class Refusal(Exception):
    """An API error: HTTP status, code and message, as the service words them."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


# ---- the signature, as documented: RPC style, HMAC-SHA1


def string_to_sign(method: str, params: Params) -> str:
    """Of all parameters except `Signature`, from the query and the form alike."""
    pairs = sorted((name, value) for name, value in params.items() if name != "Signature")
    joined = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    return f"{method}&%2F&{quote(joined, safe='-_.~')}"


def sign(to_sign: str, secret: str) -> str:
    return base64.b64encode(hmac.new(f"{secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()).decode()


# ---- reading parameters, writing answers


def named_servers(params: Params, *, has_ports: bool) -> dict[Server, int]:
    """The servers a change names; of one named twice the first counts."""
    try:
        rows = json.loads(params.get("BackendServers", ""))
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and row.get("ServerId") for row in rows):
        raise Refusal(400, "BackendServersMalformed", "The specified BackendServers is malformed.")
    if len(rows) > MAX_SERVERS_A_CALL:
        raise Refusal(400, "TooManyBackendServers", "The number of backend servers exceeds 20.")
    weight_is_optional = not params["Action"].startswith("Set")
    servers: dict[Server, int] = {}
    for row in rows:
        weight = row.get("Weight", "100" if weight_is_optional else "")
        port = row.get("Port", "") if has_ports else "0"
        if not str(weight).isdigit() or not 0 <= int(weight) <= 100:
            raise Refusal(400, "InvalidWeight.Malformed", "The specified weight is malformed: it must be 0 to 100.")
        if not str(port).isdigit() or (has_ports and not 1 <= int(port) <= 65_535):
            raise Refusal(400, "BackendServersMalformed", "The specified port is malformed.")
        servers.setdefault((str(row["ServerId"]), int(port)), int(weight))
    return servers


def number(params: Params, name: str, default: int, low: int, high: int) -> int:
    text = params.get(name, "") or str(default)
    if not text.isdigit() or not low <= int(text) <= high:
        raise Refusal(400, "InvalidParameter", f"The specified parameter {name} is not valid.")
    return int(text)


def busy(vserver_group_id: str) -> Refusal:
    if vserver_group_id:
        return Refusal(400, "VServerGroupProcessing", "The specified VServerGroup is processing.")
    return Refusal(409, "BackendServer.configuring", "The previous configuration of the backend server is pending.")


def failure(params: Params, request_id: str, refusal: Refusal) -> web.Response:
    body = {
        "RequestId": request_id,
        "HostId": "slb.lab",
        "Code": refusal.code,
        "Message": refusal.message,
        "Recommend": f"search the error centre for {refusal.code}",
    }
    if params.get("Format", "JSON").upper() == "JSON":
        return web.Response(status=refusal.status, text=json.dumps(body), content_type="application/json")
    # Weights are JSON only here; an error is given in XML too, so that a client that asked for it can say what happened.
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in body.items())
    return web.Response(status=refusal.status, text=f"<Error>{inner}</Error>", content_type="text/xml")


def balancer_row(balancer: LabBalancer) -> Answer:
    return {
        "LoadBalancerId": balancer.balancer_id,
        "LoadBalancerName": balancer.name,
        "LoadBalancerStatus": "active",
        "Address": balancer.address,
        "AddressType": "internet",
        "RegionId": balancer.region,
    }


def servers(servers: Mapping[Server, int], *, has_ports: bool) -> Answer:
    rows: list[Answer] = []
    for (server_id, port), weight in sorted(servers.items()):
        row: Answer = {"ServerId": server_id, "Weight": weight, "Type": "ecs", "ServerIp": ""}
        if has_ports:
            row["Port"] = port
        rows.append(row)
    return {"BackendServer": rows}


def listeners(balancer: LabBalancer, group_id: str) -> list[Answer]:
    return [{"Protocol": x.protocol, "Port": x.port} for x in balancer.listeners if x.vserver_group_id == group_id]
