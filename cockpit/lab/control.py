"""The lab's control port: status, faults, load and the end, as JSON over HTTP on loopback, for whoever can read the token."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from cockpit.lab.switches import UnknownFault

if TYPE_CHECKING:
    from cockpit.lab.lab import Lab


class Control:
    """`/status` (GET), `/fault`, `/load`, `/stop` (POST); each needs `Authorization: Bearer <token>`."""

    def __init__(self, lab: Lab, token: str) -> None:
        self._lab = lab
        self._token = token
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, port: int) -> None:
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/status", self._status),
                web.post("/fault", self._fault),
                web.post("/load", self._load),
                web.post("/stop", self._stop),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {self._token}".encode()):
            return web.Response(status=401, text="the token is in lab.json")
        try:
            answer: web.StreamResponse = await handler(request)
        except (UnknownFault, KeyError, ValueError, TypeError) as error:
            return web.Response(status=400, text=str(error))
        return answer

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response((await self._lab.status()).to_json())

    async def _fault(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        for_s = None if asked.get("for_s") is None else float(asked["for_s"])
        await self._lab.switches.set(asked["name"], bool(asked["on"]), asked.get("host"), for_s=for_s)
        return web.json_response({"faults": self._lab.switches.state()})

    async def _load(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        if asked["act"] == "start":
            await self._lab.start_load(workers=int(asked.get("workers", 4)), rate=float(asked.get("rate", 100.0)))
        elif asked["act"] == "stop":
            await self._lab.stop_load()
        else:
            raise ValueError(f"load is started or stopped, not {asked['act']}")
        load = self._lab.load_status()
        return web.json_response({"load": {name: getattr(load, name) for name in load.__dataclass_fields__}})

    async def _stop(self, _request: web.Request) -> web.Response:
        self._lab.stopping.set()
        return web.json_response({})
