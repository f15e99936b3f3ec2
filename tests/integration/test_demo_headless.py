"""`cockpit demo --headless` as anybody would run it: a whole release on the lab, under load, with nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 100.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With somebody's real keys and settings in it: the demo must use none of them."""
    return {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "somebodys",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "real-key",
        "COCKPIT_STORE": "postgresql://nowhere.invalid/cockpit",
        "PYTHONPATH": str(ROOT),
    }


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes that name the folder in their arguments, environment or current folder."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            arguments = (process / "cmdline").read_bytes()
            said = [arguments, (process / "environ").read_bytes(), os.readlink(process / "cwd").encode()]
        except OSError:  # it has ended
            continue
        if any(str(folder / "cockpit-demo").encode() in each for each in said):
            found.append(arguments.replace(b"\0", b" ").decode())
    return found


def test_a_whole_release_under_load_loses_no_request(environment: dict[str, str], tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cockpit", "demo", "--headless", "--json", "--hosts", "6"],
        env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    order: dict[str, Any] = json.loads(ran.stdout)
    hosts = [host for group in order["groups"] for host in group["hosts"]]
    assert order["state"] == "succeeded"
    assert [group["kind"] for group in order["groups"]] == ["beta", "group", "group"]
    assert len({host["name"] for host in hosts}) == len(hosts) == 6
    assert {(host["state"], host["version"]) for host in hosts} == {("succeeded", "2.0.0")}
    weights = [weight for host in hosts for weight in host["weights"]]
    assert len(weights) == 6
    assert all(weight["weight"] == weight["recorded"] == 100 for weight in weights)
    assert order["load"]["requests"] > 100
    assert order["load"]["failed"] == 0
    assert processes_in(tmp_path) == []
    assert not list(tmp_path.glob("cockpit-demo-*"))


def test_a_demo_that_is_told_to_end_brings_the_lab_down(environment: dict[str, str], tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "cockpit", "demo", "--headless", "--hosts", "4"],
        env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stdout is not None
    assert any("the order runs" in line for line in demo.stdout)
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10.0
    while (left := processes_in(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert not list(tmp_path.glob("cockpit-demo-*"))
