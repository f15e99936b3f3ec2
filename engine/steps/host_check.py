"""What a host is like before the first step: a script that tells, a parser of what it told, and the problems that follow.

The script changes nothing but a probe file that it removes. Judging is pure: the time now is given, never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from engine.domain.clean import clean_text
from engine.domain.fleet import Host, TechStack
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.steps.context import DEFAULTS, lookup
from engine.steps.shell import staragent_process

MAX_SKEW_S = 60.0
MIN_INODES = 1_000
SPARE_KIB = 64 * 1024
ROOM_FACTOR = 3  # the download, its unpacked content, and the version that is still there
TOOLS = ("curl", "tar", "gzip", "awk", "sed", "grep", "tail", "head", "setsid")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host told; None or empty: it did not say. `disk_free_kib` and `inodes_free` are of the home's file system."""

    os: str = ""
    os_version: str = ""
    disk_free_kib: int | None = None
    inodes_free: int | None = None
    clock: float | None = None  # epoch seconds
    tools_missing: tuple[str, ...] = ()
    home: str = ""
    home_writable: bool = False
    agent_running: bool | None = None  # None: not asked
    load: float | None = None  # of the last minute


def host_check_script(host: Host, stack: TechStack, *, requires_staragent: bool) -> str:
    """A piece of sh that prints key=value lines and exits 0."""
    agent = ""
    if requires_staragent:
        home = lookup(host, stack, "staragent_home", DEFAULTS["staragent_home"])
        agent = f"{staragent_process(home)}\nif ck_agent_running; then echo agent=yes; else echo agent=no; fi\n"
    return _SCRIPT.replace("@tools@", " ".join(map(quote, TOOLS))) + agent + "echo end=yes\nexit 0\n"


_SCRIPT = r"""
echo "clock=$(date +%s)"
for ck_release in /etc/os-release /usr/lib/os-release; do
    [ -r "$ck_release" ] || continue
    sed -n -e 's/^ID=/os=/p' -e 's/^VERSION_ID=/os_version=/p' "$ck_release"
    break
done
[ ! -r /etc/redhat-release ] || echo "redhat=$(head -n 1 /etc/redhat-release)"
echo "home=$HOME"
df -Pk "$HOME" 2>/dev/null | awk 'END { print "disk_free_kib=" $(NF - 2) }'
df -Pi "$HOME" 2>/dev/null | awk 'END { if ($(NF - 4) + 0 > 0) print "inodes_free=" $(NF - 2) }'
for ck_tool in @tools@; do
    command -v "$ck_tool" >/dev/null 2>&1 || echo "missing=$ck_tool"
done
command -v sha256sum >/dev/null 2>&1 || command -v md5sum >/dev/null 2>&1 || command -v busybox >/dev/null 2>&1 ||
    command -v openssl >/dev/null 2>&1 || echo missing=sha256sum
ck_probe="$HOME/.cockpit-probe.$$"
if { printf 'probe\n' | cat >"$ck_probe"; } 2>/dev/null; then
    echo home_writable=yes
else
    echo home_writable=no
fi
rm -f "$ck_probe"
[ ! -r /proc/loadavg ] || awk '{ print "load=" $1 }' /proc/loadavg
"""


def parse_host_check(output: bytes) -> HostFacts:
    """Lines that are none of ours (a talkative login shell) are passed over; the last of a key counts."""
    pairs: list[tuple[str, str]] = []
    for line in clean_text(output).splitlines():
        key, equals, value = line.partition("=")
        if equals:
            pairs.append((key, value.strip().strip("\"'")))
    told = dict(pairs)
    os, os_version = _system(told)
    return HostFacts(
        os=os,
        os_version=os_version,
        disk_free_kib=_integer(told.get("disk_free_kib", "")),
        inodes_free=_integer(told.get("inodes_free", "")),
        clock=_number(told.get("clock", "")),
        tools_missing=tuple(value for key, value in pairs if key == "missing"),
        home=told.get("home", ""),
        home_writable=told.get("home_writable") == "yes",
        agent_running={"yes": True, "no": False}.get(told.get("agent", "")),
        load=_number(told.get("load", "")),
    )


def _system(told: Mapping[str, str]) -> tuple[str, str]:
    """CentOS 6 has no os-release: `CentOS release 6.10 (Final)`."""
    if told.get("os"):
        return told["os"].lower(), told.get("os_version", "")
    words = told.get("redhat", "").split()
    if not words:
        return "", ""
    name = "rhel" if words[0].lower() == "red" else words[0].lower()
    return name, next((word for word in words if word[0].isdigit()), "")


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def host_problems(
    facts: HostFacts,
    host: Host,
    stack: TechStack,
    *,
    region: str,
    package_size: int,
    now: float,
    requires_staragent: bool,
) -> list[Problem]:
    """Every problem at once. `package_size` in bytes; `now` is the moment the answer came, epoch seconds."""
    found = [
        *_system_problems(facts, host, stack),
        *_region_problems(host, stack, region),
        *_room_problems(facts, host, stack, package_size),
        *_clock_problems(facts, host, now),
    ]
    if facts.tools_missing:
        found.append(
            Problem(
                "tool_missing",
                message("{host} lacks {tools}.", host=host.name, tools=", ".join(facts.tools_missing)),
                message("Install what is missing on the host, then initialise again."),
            )
        )
    if not facts.home_writable:
        found.append(
            Problem(
                "home_not_writable",
                message("{user} cannot write to {home} on {host}.",
                        user=host.ssh_user, home=facts.home or "~", host=host.name),
                message("Check the folder's owner, its mode and the disk, then initialise again."),
            )
        )  # fmt: skip
    if requires_staragent and not facts.agent_running:
        found.append(
            Problem(
                "agent_not_running",
                message("StarAgent is not running on {host}.", host=host.name),
                message("Restart the agent on the host, then initialise again."),
            )
        )
    return found


def _system_problems(facts: HostFacts, host: Host, stack: TechStack) -> list[Problem]:
    found = []
    says = f"{facts.os or 'unknown'} {facts.os_version}".strip()
    if host.os and facts.os and not _same_system(host, facts):
        found.append(
            Problem(
                "os_differs",
                message("The catalogue says {host} runs {recorded}; it runs {says}.",
                        host=host.name, recorded=f"{host.os} {host.os_version}".strip(), says=says),
                message("Correct the host in the catalogue, then initialise again."),
            )
        )  # fmt: skip
    if not _supported(facts, stack):
        fits = "; ".join(f"{name} {', '.join(versions)}".strip() for name, versions in stack.supported_os.items())
        found.append(
            Problem(
                "os_unsupported",
                message("Tech stack {stack} {version} is for {fits}; {host} runs {says}.",
                        stack=stack.name, version=stack.version, fits=fits, host=host.name, says=says),
                message("Choose another version of the stack or another host, then initialise again."),
            )
        )  # fmt: skip
    return found


def _same_system(host: Host, facts: HostFacts) -> bool:
    same_version = not host.os_version or not facts.os_version or _fits(facts.os_version, host.os_version)
    return host.os.lower() == facts.os and same_version


def _supported(facts: HostFacts, stack: TechStack) -> bool:
    if not stack.supported_os:
        return True
    for name, versions in stack.supported_os.items():
        if name.lower() == facts.os:
            return not versions or any(_fits(facts.os_version, version) for version in versions)
    return False


def _fits(actual: str, wanted: str) -> bool:
    """A wanted `7` takes 7, 7.9 and so on; `7.2` only takes 7.2 and what is below it; a host saying just `7` is taken."""
    have, want = actual.split("."), wanted.split(".")
    shared = min(len(have), len(want))
    return have[:shared] == want[:shared]


def _region_problems(host: Host, stack: TechStack, region: str) -> list[Problem]:
    if not stack.supported_regions or region in stack.supported_regions:
        return []
    return [
        Problem(
            "region_unsupported",
            message("Tech stack {stack} {version} is not offered in {region}, where {host} is.",
                    stack=stack.name, version=stack.version, region=region or "an unknown region", host=host.name),
            message("Choose another stack or another host, then initialise again."),
        )
    ]  # fmt: skip


def _room_problems(facts: HostFacts, host: Host, stack: TechStack, package_size: int) -> list[Problem]:
    sizes = [package_size, stack.archive.size, stack.sdk.size if stack.sdk else 0]
    needed_kib = SPARE_KIB + ROOM_FACTOR * sum(max(0, size) for size in sizes) // 1024
    if facts.disk_free_kib is None or facts.disk_free_kib < needed_kib:
        free = "an unknown amount" if facts.disk_free_kib is None else f"{facts.disk_free_kib // 1024} MiB"
        what = message("{host} has {free} of disk free in {home}; {needed} MiB are needed.",
                       host=host.name, free=free, home=facts.home or "~", needed=-(-needed_kib // 1024))  # fmt: skip
    elif facts.inodes_free is not None and facts.inodes_free < MIN_INODES:
        what = message("{host} has {free} inodes free in {home}; {needed} are needed.",
                       host=host.name, free=facts.inodes_free, home=facts.home or "~", needed=MIN_INODES)  # fmt: skip
    else:
        return []
    return [Problem("disk_low", what, message("Find the biggest folders, free space, then initialise again."))]


def _clock_problems(facts: HostFacts, host: Host, now: float) -> list[Problem]:
    if facts.clock is not None and abs(facts.clock - now) <= MAX_SKEW_S:
        return []
    told = facts.clock is not None
    skew = round(facts.clock - now) if facts.clock is not None else 0
    return [
        Problem(
            "clock_skewed",
            message("The clock of {host} is {skew} s off the cockpit's.", host=host.name, skew=f"{skew:+d}")
            if told
            else message("{host} did not say what time it is.", host=host.name),
            message("Set the clocks right (look at chronyd or ntpd), then initialise again."),
        )
    ]
