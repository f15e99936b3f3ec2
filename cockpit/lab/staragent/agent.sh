#!/bin/sh
# The practice agent's own command: agent.sh start|stop|restart|status.
home=$(cd "${0%/*}/.." && pwd) || exit 1
pid_file=$home/run/agent.pid
# shellcheck source=/dev/null
. "$home/conf/agent.conf"

agent_pid() {
    { read -r pid; } 2>/dev/null <"$pid_file" || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    kill -0 "$pid" 2>/dev/null || return 1
    if [ -r "/proc/$pid/cmdline" ]; then
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -e "$home/bin/agent.py" || return 1
    fi
    printf '%s\n' "$pid"
}

nap() {
    sleep 0.1 2>/dev/null || sleep 1
}

start() {
    if agent_pid >/dev/null; then
        echo 'Agent status running'
        return 0
    fi
    mkdir -p "$home/run" "$home/log"
    rm -f "$home/run/connected"
    "$PYTHON" -I -S "$home/bin/agent.py" "$home" "$SERVER_PORT" </dev/null >>"$home/log/staragent_core.log" 2>&1 &
    tries=0
    until [ -e "$home/run/connected" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || { echo 'Agent status not running'; return 1; }
        nap
    done
    echo 'Agent status running'
}

stop() {
    pid=$(agent_pid) || return 0
    kill -s TERM "$pid" 2>/dev/null
    tries=0
    while agent_pid >/dev/null && [ "$tries" -lt 50 ]; do
        tries=$((tries + 1))
        nap
    done
    ! agent_pid >/dev/null || kill -s KILL "$pid"
    echo 'Agent stopped'
}

case ${1-} in
    start) start ;;
    stop) stop ;;
    restart) stop && start ;;
    status)
        if agent_pid >/dev/null; then
            echo 'Agent status running'
        else
            echo 'Agent status not running'
            exit 1
        fi
        ;;
    *)
        echo "usage: agent.sh start|stop|restart|status"
        exit 2
        ;;
esac
