"""What can be set about SSH, in one frozen object. Reads nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class AskAt(StrEnum):
    """At which hops a server's questions are passed on to a person."""

    JUMP_HOSTS = "jump_hosts"  # one login for all the hosts behind it
    ALL = "all"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class SshSettings:
    """Without `identity_files` the usual ones in ~/.ssh are tried, after the agent's. `known_hosts` is asked for hosts whose
    object has no host key; None: only the objects count."""

    identity_files: tuple[Path, ...] = ()
    agent: bool = True
    agent_deadline_s: float = 5.0  # for the agent's list of keys, and for a signature
    touch_deadline_s: float = 30.0  # for a signature of a key that lives on a device
    known_hosts: Path | None = Path("~/.ssh/known_hosts")
    config: Path | None = None  # a client configuration of OpenSSH whose supported options are honoured; see ssh_config
    kex: tuple[str, ...] = ()  # names in the order of preference; empty: see `algorithms`
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()
    connect_timeout_s: float = 10.0  # for one hop's TCP connection
    login_timeout_s: float = 20.0  # for one hop's key exchange and login, without the time a person is asked
    answer_timeout_s: float = 30.0  # for a login shell to run our sh
    ask_at: AskAt = AskAt.JUMP_HOSTS
    ask_deadline_s: float = 300.0  # for one question; the server may hang up before, then it is logged in again
    ask_attempts: int = 3  # logins whose answers the server refused
    keepalive_s: float = 15.0
    keepalive_count: int = 3
    max_handshakes_per_server: int = 10  # OpenSSH drops logins beyond MaxStartups 10:30:100
    handshake_attempts: int = 4  # when the server resets the connection before the login
    max_channels_per_connection: int = 8  # OpenSSH allows MaxSessions 10
    connection_idle_s: float = 60.0
    asked_connection_idle_s: float = 4 * 3600.0  # where a person had to answer: an order may wait at a gate for long
    reattach_backoff_s: float = 0.5  # first wait after a lost link; doubles up to the next
    reattach_backoff_max_s: float = 15.0
    job_grace_s: float = 60.0  # added to the sum of a job's deadlines
    job_keep_days: int = 30  # older job folders are cleaned on the host after a job; 0: never
    stop_deadline_s: float = 60.0
    window_bytes: int = 512 * 1024  # of one channel: what a slow reader lets pile up
