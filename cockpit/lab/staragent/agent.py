"""The practice agent: a process that holds a connection to its server and says so in its log. Runs on the hosts as
`python -I -S agent.py <home> <server port>`; the cockpit never imports it."""

import os
import signal
import socket
import sys
import time

PAUSE_S = 1.0


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} [staragent_core] {text}\n")
    sys.stdout.flush()


def stop(*_: object) -> None:
    say("INFO stopping")
    os._exit(0)


def main(home: str, port: int) -> None:
    signal.signal(signal.SIGTERM, stop)
    if os.getpid() != os.getsid(0):
        os.setsid()
    connected = os.path.join(home, "run", "connected")
    with open(os.path.join(home, "run", "agent.pid"), "w", encoding="utf-8") as pid_file:
        pid_file.write(f"{os.getpid()}\n")
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as server:
                server.settimeout(None)
                say(f"INFO connected to the server, port {port}")
                open(connected, "w", encoding="utf-8").close()
                while server.recv(256):
                    pass
            say("WARN the server closed the connection")
        except OSError as error:
            say(f"ERROR no connection to the server, port {port}: {error}")
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
