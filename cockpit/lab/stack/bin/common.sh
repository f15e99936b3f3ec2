# Read by every script of the stack: what they all need to say and to find out.
say() {
    printf '%s [%s] %s\n' "$(date '+%H:%M:%S')" "${0##*/}" "$*"
}

fail() {
    say "FAILED: $*"
    exit 1
}

: "${APP_NAME:?}" "${APP_HOME:?}" "${HOME:?}"
LOG_DIR=${LOG_DIR:-$HOME/logs/$APP_NAME}
PYTHON=${PYTHON:-python3}
pid_file=$APP_HOME/app.pid

# app_pid: the number of the running service; false when it does not run. A number used again by somebody else is not ours.
app_pid() {
    { read -r pid; } 2>/dev/null <"$pid_file" || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    kill -0 "$pid" 2>/dev/null || return 1
    if [ -r "/proc/$pid/cmdline" ]; then
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -e "$APP_HOME" || return 1
    fi
    printf '%s\n' "$pid"
}

nap() {
    sleep 0.1 2>/dev/null || sleep 1
}
