"""A fleet for the benchmarks in a process of its own: one SSH server that is a different host at each address of 127/8, with real
`sh` processes behind it, and the lab's SLB and OSS endpoints. Run it with a folder and a number of hosts; it writes `fleet.json`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh

from cockpit.lab.oss import OssEndpoint
from cockpit.lab.slb import SlbEndpoint, SlbState

BUCKET, REGION, BALANCER, GROUP = "lab", "cn-hangzhou", "lb-1", "rsp-1"
ARCHIVES = ("stack.tar.gz", "shop-1.0.0.tar.gz", "shop-2.0.0.tar.gz")


def address(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"


def name(number: int) -> str:
    return f"host-{number:04}"


class _AnyKey(asyncssh.SSHServer):
    """Logins are measured, not judged: every key is taken."""

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True


class Hosts:
    def __init__(self, folder: Path) -> None:
        self._homes = folder / "homes"

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        home = self._homes / str(process.get_extra_info("sockname")[0])
        home.mkdir(parents=True, exist_ok=True)
        child = await asyncio.create_subprocess_exec(
            "sh", "-c", process.command or "", cwd=home, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        )  # fmt: skip
        assert child.stdin
        assert child.stdout
        feeding = asyncio.create_task(_feed(process, child.stdin))
        try:
            while data := await child.stdout.read(65_536):
                process.stdout.write(data)
                await process.stdout.drain()
            process.exit(await child.wait())
        except (asyncssh.Error, OSError):
            await child.wait()  # the link is gone: what runs sees the end of its input and ends
        finally:
            feeding.cancel()


async def _feed(process: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
    try:
        while data := await process.stdin.read(65_536):
            stdin.write(data)
            await stdin.drain()
    except (asyncssh.Error, OSError):
        pass  # as above
    finally:
        stdin.close()


async def main(folder: Path, hosts: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "0.0.0.0", 0, server_factory=_AnyKey, server_host_keys=[key], process_factory=Hosts(folder).serve,
        encoding=None, config=None, backlog=1024, gss_host=None, allow_pty=False,
        kex_algs=["curve25519-sha256"], encryption_algs=["aes128-gcm@openssh.com"], compression_algs=None,
    )  # fmt: skip
    oss = OssEndpoint(folder / "oss")
    objects: dict[str, Any] = {}
    for archive in ARCHIVES:
        oss.put_local(BUCKET, archive, archive.encode() * 100)
        found = oss.objects.get(BUCKET, archive)
        assert found is not None
        objects[archive] = {"size": found.size, "etag": found.etag, "crc64": found.crc64}
    state = SlbState()
    state.add_balancer(BALANCER, REGION)
    state.add_vserver_group(BALANCER, GROUP, {(f"i-{name(number)}", 80): 100 for number in range(hosts)})
    slb = SlbEndpoint(state)
    facts = {
        "port": server.get_port(),
        "host_key": key.export_public_key().decode().strip(),
        "oss": await oss.start("127.0.0.1", 0),
        "slb": await slb.start("127.0.0.1", 0),
        "objects": objects,
    }
    ready = folder / "fleet.new"
    ready.write_text(json.dumps(facts))
    ready.rename(folder / "fleet.json")
    while True:
        await asyncio.sleep(0.2)
        counted = folder / "changes.new"
        counted.write_text(str(len(slb.changes())))
        counted.rename(folder / "changes")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
