"""A real sshd with accounts of its own: each with a home, a login shell and start files, none of them on the machine.

sshd reads its user database through nss_wrapper (Debian: libnss-wrapper): the accounts need no root and leave nothing behind. They
all have the user id of whoever runs the tests.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from engine.domain.fleet import Host, JumpHost
from engine.remote.settings import SshSettings
from tests.support.ssh_servers import Sshd, host_on

WRAPPERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
# What an operator may find as a login shell; the last one is none.
LOGIN_SHELLS = ("dash", "bash", "busybox", "zsh", "mksh", "csh", "tcsh", "fish", "rc", "nologin")


@dataclass
class Accounts:
    """`add` before or while `serving`."""

    sshd: Sshd
    folder: Path
    settings: SshSettings
    shells: dict[str, str] = field(default_factory=dict)
    homes: dict[str, Path] = field(default_factory=dict)  # of accounts that were moved

    @staticmethod
    def make(folder: Path, *, first: str = "", extra: str = "", like: Accounts | None = None) -> Accounts:
        """`like`: with that one's client key."""
        folder.mkdir(parents=True, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519")
        if like is not None:
            key = asyncssh.read_private_key(like.folder / "id")
        key.write_private_key(folder / "id")
        key.write_public_key(folder / "id.pub")
        (folder / "id").chmod(0o600)
        sshd = Sshd.make(folder / "sshd", key, first=first, extra=extra, own_home=False)
        settings = SshSettings(
            identity_files=(folder / "id",),
            agent=False,
            known_hosts=None,
            reattach_backoff_s=0.1,
            reattach_backoff_max_s=0.5,
            answer_timeout_s=10.0,
        )
        accounts = Accounts(sshd, folder, settings)
        accounts._write()
        sshd.environment = {
            "LD_PRELOAD": _wrapper(),
            "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(folder / "group"),
        }
        return accounts

    @contextmanager
    def serving(self) -> Iterator[None]:
        with self.sshd.serving():
            yield

    def home(self, user: str) -> Path:
        return self.folder / "homes" / user

    def add(self, user: str, shell: str, files: Mapping[str, str] | None = None) -> Host:
        """An account with that login shell (a name or a path), and files in its home; the host as the catalogue has it."""
        home = self.home(user)
        home.mkdir(parents=True, exist_ok=True)
        for name, text in (files or {}).items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.give_shell(user, shell)
        return self.host(user)

    def give_shell(self, user: str, shell: str) -> None:
        self.shells[user] = _shell(shell, self.folder)
        self._write()

    def move_home(self, user: str, to: str) -> None:
        """From its next login on the account has the home `to`."""
        self.homes[user] = self.folder / "homes" / to
        self.homes[user].mkdir()
        self._write()

    def host(self, user: str, *jumps: JumpHost) -> Host:
        return host_on(self.sshd.port, self.sshd.public_key, *jumps, name=f"h-{user}", user=user)

    def jump(self, user: str) -> JumpHost:
        return JumpHost("gate", "127.0.0.1", self.sshd.port, user, self.sshd.public_key)

    def _write(self) -> None:
        """As the real files, with our accounts behind; replaced in one move, sshd reads them whenever it likes."""
        lines = [
            f"{user}:x:{os.getuid()}:{os.getgid()}::{self.homes.get(user, self.home(user))}:{shell}"
            for user, shell in self.shells.items()
        ]
        _replace(self.folder / "passwd", Path("/etc/passwd").read_text() + "".join(f"{line}\n" for line in lines))
        _replace(self.folder / "group", Path("/etc/group").read_text())


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def _wrapper() -> str:
    found = next((path for each in WRAPPERS for path in Path(each).glob("libnss_wrapper.so*")), None)
    assert found, "libnss_wrapper.so is needed for this test (Debian: libnss-wrapper)"
    return str(found)


def _shell(name: str, folder: Path) -> str:
    if name.startswith("/"):
        return name
    if name == "busybox":  # by its name it knows which applet it is
        link = folder / "busybox" / "sh"
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(_found("busybox"))
        return str(link)
    return _found(name)


def _found(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found, f"{name} is needed for this test"
    return found


@contextmanager
def machine_account(folder: Path, *, password: str, expired: bool = False) -> Iterator[str]:
    """A real account of this machine for what only PAM can do: a password, asked for or expired. Needs root, as CI has it."""
    assert os.geteuid() == 0, "this test makes an account on the machine: run it as root"
    user = f"ck{secrets.token_hex(4)}"
    home = folder / user
    home.mkdir()
    folder.chmod(0o755)
    _patiently("useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/bash", user)
    try:
        shutil.chown(home, user)
        subprocess.run(["chpasswd"], input=f"{user}:{password}".encode(), check=True, timeout=30)
        if expired:
            _patiently("chage", "-d", "0", user)
        yield user
    finally:
        _patiently("userdel", "--force", user)


def _patiently(*command: str) -> None:
    """The machine's account files are locked while another test makes one."""
    for _ in range(50):
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
        if b"try again later" not in done.stderr:
            break
        time.sleep(0.1)
    assert done.returncode == 0 or command[0] == "userdel", done.stderr.decode()
