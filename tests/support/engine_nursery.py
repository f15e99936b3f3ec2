"""Engine processes made by forking one that has imported everything: real ones to kill and to freeze, there in milliseconds.

Run as a program: every line on standard input is answered with the process id of a new engine, with this environment's settings.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from cockpit import engine_process
from cockpit.settings import load_settings
from engine.cloud import cloud, oss, slb
from engine.remote import ssh
from engine.run import engine
from engine.store import ownership, store

IMPORTED_FOR_ITS_CHILDREN = (cloud, oss, slb, ssh, engine, ownership, store)


def run() -> None:
    settings = load_settings()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _be_an_engine(settings)
        print(pid, flush=True)


def _be_an_engine(settings: engine_process.Settings) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(settings.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for there, here in ((null, 0), (log, 1), (log, 2)):
        os.dup2(there, here)
    faulthandler.register(signal.SIGUSR1)  # for whoever wants to know what it waits for
    try:
        engine_process.run_engine(settings, embedded=True)
    finally:
        os._exit(0)


if __name__ == "__main__":
    run()
