"""`python -m cockpit.lab DIR`: the lab in the foreground, until it is told to stop. `cockpit.lab.process` starts it detached."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
from pathlib import Path

from cockpit.lab.lab import Lab


async def serve(dir: Path, hosts: int, more_apps: bool | None) -> None:
    lab = Lab(dir, hosts, more_apps=more_apps)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, lab.stopping.set)
    starting = asyncio.ensure_future(lab.start())
    told = asyncio.ensure_future(lab.stopping.wait())
    await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        return
    starting.result()
    await told
    await lab.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cockpit.lab", description=__doc__)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--more-apps", action=argparse.BooleanOptionalAction, default=None)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    asyncio.run(serve(arguments.dir, arguments.hosts, arguments.more_apps))


if __name__ == "__main__":
    main()
