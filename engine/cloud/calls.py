"""Runs the SDKs' blocking calls in a few threads of their own, and keeps the SDKs silent. Knows nothing of OSS or SLB.

A pool of its own, because a call that hangs in a socket must not take the threads that name lookups and files wait for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """At most `threads` blocking calls at once; more wait, within their deadline."""

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def run(self, deadline_s: float, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result or exception; TimeoutError when the deadline passed.

        A call that had not started by then never starts. One that had goes on in its thread, until its own socket timeouts
        end it: what it asked for may still happen.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(deadline_s):
            return await loop.run_in_executor(self._executor, partial(call, *args, **kwargs))


def silence(name: str) -> None:
    """Keep the SDK's loggers off stderr: they would tear the screen, and at DEBUG they print keys and signatures.

    What they have to say also reaches us as an exception. Called after the SDK's import, which adds handlers of its own.
    """
    for logger_name in [name, *(n for n in list(logging.root.manager.loggerDict) if n.startswith(name + "."))]:
        logger = logging.getLogger(logger_name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.setLevel(logging.CRITICAL)
        logger.propagate = logger_name != name


def split_endpoint(endpoint: str) -> tuple[str, str]:
    """(scheme, host[:port]) of an endpoint of a region; https unless it says http://, so that nothing signed travels in clear
    by omission."""
    scheme, separator, rest = endpoint.strip().rstrip("/").partition("://")
    return (scheme.lower(), rest) if separator else ("https", scheme)


def proxies_for(endpoint: str) -> dict[str, str]:
    """The proxies of an endpoint, by scheme; loopback never goes through one, and NO_PROXY counts (one of the SDKs ignores it)."""
    scheme, host = split_endpoint(endpoint)
    name = urlsplit(f"{scheme}://{host}").hostname or ""
    if name == "localhost" or name.startswith("127.") or name == "::1" or proxy_bypass(host):
        return {"http": "", "https": ""}
    proxies = getproxies()
    return {"http": proxies.get("http", ""), "https": proxies.get("https", "")}
