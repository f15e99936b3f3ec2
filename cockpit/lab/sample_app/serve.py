"""The sample app: a small HTTP service that is deployed, drained, stopped and looked at like a real one.

Run by the stack's start script as `python -I -S serve.py <APP_HOME>`; standard library only, few imports, so that twenty of
them start quickly on a small machine. It is packaged and runs on the hosts; the cockpit never imports it.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

BEGIN = time.time()
RUNNING = threading.Lock()
running = 0
Handle = Callable[[str], tuple[str, bytes]]

SLOW_START_S = 12


def release(here: str) -> dict[str, str]:
    with open(os.path.join(here, "release.txt"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write(path: str, text: str) -> None:
    """A line that can't be written (a full disk) is said on standard error; the service goes on."""
    try:
        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    except OSError as error:
        sys.stderr.write(f"{path}: {error}\n")


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(128)
    return server


def answer(connection: socket.socket, handle: Handle) -> None:
    global running
    with RUNNING:
        running += 1
    try:
        connection.settimeout(10)
        data = b""
        while b"\r\n\r\n" not in data and len(data) < 65536:
            part = connection.recv(8192)
            if not part:
                return
            data += part
        words = data.split(b"\r\n", 1)[0].decode("latin-1").split()
        status, body = handle(words[1] if len(words) > 1 else "/")
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        connection.sendall((head + "Connection: close\r\n\r\n").encode() + body)
    except OSError:
        return  # the client left; there is nobody to tell
    finally:
        connection.close()
        with RUNNING:
            running -= 1


def serve(server: socket.socket, handle: Handle) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return  # closed: the service is stopping
        threading.Thread(target=answer, args=(connection, handle), daemon=True).start()


def ask(port: int, path: str) -> int:
    """The status of another app's answer; 0 when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            words = connection.recv(4096).split(None, 2)
        return int(words[1])
    except (OSError, IndexError, ValueError):
        return 0


def main(home: str) -> int:
    environment = os.environ
    here = os.path.dirname(os.path.abspath(__file__))
    facts = release(here)
    app, host = environment["APP_NAME"], environment["HOST_NAME"]
    log_dir = environment.get("LOG_DIR") or os.path.join(environment["HOME"], "logs", app)
    sofa = os.path.join(environment["HOME"], "logs", "sofa")
    faults = os.path.join(environment["HOME"], ".lab", "faults")
    for folder in (log_dir, sofa):
        os.makedirs(folder, exist_ok=True)
    default_log, error_log = os.path.join(log_dir, "common-default.log"), os.path.join(log_dir, "common-error.log")
    startup_log, health_log = os.path.join(sofa, "sofa-startup.log"), os.path.join(sofa, "sofa-healthcheck.log")
    if os.getpid() != os.getsid(0):
        os.setsid()
    with open(os.path.join(home, "app.pid"), "w", encoding="utf-8") as pid_file:
        pid_file.write(f"{os.getpid()}\n")
    open(error_log, "a", encoding="utf-8").close()
    write(startup_log, f"INFO  [main] starting {app} {facts['version']} on {host}, pid {os.getpid()}")
    while os.path.exists(os.path.join(faults, "hung_start")):
        write(startup_log, "WARN  [main] waiting for the configuration centre (no answer from 10.0.0.7:9603)")
        time.sleep(1)
    for left_s in range(SLOW_START_S if os.path.exists(os.path.join(faults, "slow_start")) else 0, 0, -1):
        write(startup_log, f"INFO  [main] loading routes, {left_s} s to go")
        time.sleep(1)

    def reason() -> str:
        if facts.get("health") == "fail":
            return f"component trade-router of {facts['version']} not ready: route table is empty (schema 7 expected, 6 found)"
        if os.path.exists(os.path.join(faults, "failing_health")):
            return "component datasource not ready: connection pool exhausted (active 32, idle 0, waiting 118)"
        return ""

    def business(path: str) -> tuple[str, bytes]:
        if path.startswith("/slow"):
            time.sleep(2)
        serves = facts.get("serves", "")
        if path.startswith("/v") and serves and not path.startswith(tuple(serves.split(","))):
            write(error_log, f"ERROR GET {path}: {app} {facts['version']} does not know it")
            return "404 Not Found", f"{app} {facts['version']} does not know {path}\n".encode()
        if facts.get("calls") and environment.get("UPSTREAM_PORT"):
            status = ask(int(environment["UPSTREAM_PORT"]), facts["calls"])
            if status != 200:
                write(error_log, f"ERROR GET {path}: {facts['calls']} was answered with {status}")
                return (
                    "502 Bad Gateway",
                    f"{app} {facts['version']}: {facts['calls']} was answered with {status}\n".encode(),
                )
        write(default_log, f"INFO  GET {path} 200")
        return "200 OK", f"{app} {facts['version']} {host}\n".encode()

    def health(path: str) -> tuple[str, bytes]:
        if path.split("?")[0] != environment.get("HEALTH_PATH", "/checkService"):
            return "404 Not Found", b"not found\n"
        while os.path.exists(os.path.join(faults, "hung_health")):
            time.sleep(0.1)
        why = reason()
        write(health_log, f"ERROR health check failed: {why}" if why else "INFO  health check passed")
        if why:
            write(error_log, f"ERROR [health] {why}")
            return "200 OK", f"passed:false\nreason:{why}\n".encode()
        return "200 OK", f"passed:true\nversion:{facts['version']}\nuptime:{time.time() - BEGIN:.0f}s\n".encode()

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        servers = [listen(int(environment["APP_PORT"])), listen(int(environment.get("HEALTH_PORT", "9500")))]
    except OSError as error:
        write(startup_log, f"ERROR [main] cannot listen: {error}")
        write(error_log, f"ERROR [main] cannot listen: {error}")
        return 1
    for server, handle in zip(servers, (business, health), strict=True):
        threading.Thread(target=serve, args=(server, handle), daemon=True).start()
    open(os.path.join(home, "ready"), "w", encoding="utf-8").close()
    write(startup_log, f"INFO  [main] started {app} {facts['version']} in {(time.time() - BEGIN) * 1000:.0f} ms")
    stopping.wait()
    write(startup_log, f"INFO  [main] stopping {app} {facts['version']}: no new connections, {running} running")
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    until = time.time() + 10
    while running and time.time() < until:
        time.sleep(0.02)
    write(startup_log, f"INFO  [main] stopped {app} {facts['version']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
