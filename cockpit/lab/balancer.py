"""Forwards real HTTP to the hosts by the weights of `SlbState`, so that a release can be seen to lose no request, or to lose one.

Deliberately harsh: no health checks and no second try. A request that is sent to a dead host fails and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import aiohttp
from aiohttp import web

from cockpit.lab.slb_state import Server, SlbState

FORWARD_DEADLINE_S = 30.0
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"})


class SmoothWeights:
    """Smooth weighted round-robin: over any run of requests each server gets its share, spread evenly. Pure."""

    def __init__(self) -> None:
        self._current: dict[Server, int] = {}

    def choose(self, weights: Mapping[Server, int]) -> Server | None:
        """The next server; None when no weight is above 0. A server whose weight is 0 is forgotten, so that it starts level."""
        serving = {server: weight for server, weight in weights.items() if weight > 0}
        if not serving:
            self._current.clear()
            return None
        current = {server: self._current.get(server, 0) + weight for server, weight in serving.items()}
        chosen = max(current, key=lambda server: current[server])
        current[chosen] -= sum(serving.values())
        self._current = current
        return chosen


class Forwarder:
    """One listener: what arrives at its port goes to a server group's hosts.

    Connections to the hosts are closed after each request: one left idle would look like a running request to whoever waits
    for a host to drain.
    """

    def __init__(
        self, state: SlbState, balancer_id: str, vserver_group_id: str, port_of: Callable[[Server], int]
    ) -> None:
        """`port_of` tells where on 127.0.0.1 a server of the group answers."""
        self._state = state
        self._group = (balancer_id, vserver_group_id)
        self._port_of = port_of
        self._weights = SmoothWeights()
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None
        self.url = ""
        self.failed = 0

    async def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 and return the URL. OSError when the port is taken."""
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(total=FORWARD_DEADLINE_S, connect=5)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, trust_env=False
        )
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._session is not None
        server = self._weights.choose(self._state.weights(*self._group))
        if server is None:
            self.failed += 1
            return web.Response(status=503, text="no server in service\n")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"http://127.0.0.1:{self._port_of(server)}{request.raw_path}"
        try:
            body = await request.read()
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                content = await answer.read()
                return web.Response(
                    status=answer.status,
                    body=content,
                    content_type=answer.content_type,
                    headers={"X-Lab-Server": server[0]},
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.failed += 1
            return web.Response(status=502, text=f"{server[0]}: {error or type(error).__name__}\n")
