"""What the engine is measured against: a plain asyncssh loop that sends the same commands to the same hosts, 50 at once.

One options object, the host key as an object, fast ciphers, one exec a step: as good as a loop gets without a design. It keeps
no journal, writes no log, moves no weight and cannot be resumed. Prints JSON: wall and CPU seconds.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

import asyncssh

from engine.domain.fleet import Host, ObjectRef, TechStack
from engine.steps.host_check import host_check_script
from tests.benchmarks.fleet import address
from tests.benchmarks.trivial import STEPS, body

AT_ONCE = 50


async def main(folder: Path, hosts: int) -> None:
    facts = json.loads((folder / "fleet.json").read_text())
    key = asyncssh.import_public_key(facts["host_key"])
    options = asyncssh.SSHClientConnectionOptions(
        config=None, username="admin", client_keys=[str(folder / "id")], known_hosts=([key], [], []), agent_path=None,
        gss_kex=False, gss_auth=False, preferred_auth="publickey", kex_algs=["curve25519-sha256"],
        encryption_algs=["aes128-gcm@openssh.com"], compression_algs=None,
    )  # fmt: skip
    host = Host("any", "", 22, "admin", "", "", "")
    check = host_check_script(host, TechStack("web", "1", ObjectRef("", "", ""), {}), requires_staragent=False)
    free = asyncio.Semaphore(AT_ONCE)

    async def release(number: int) -> None:
        async with free, asyncssh.connect(address(number), facts["port"], options=options) as connection:
            for script in (check, *map(body, STEPS)):
                done = await connection.run(script, encoding=None, stderr=asyncssh.DEVNULL)
                assert done.exit_status == 0, (number, script, done.stdout)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(release, range(hosts)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - used, "memory_mib": memory})
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
