# Starts the service and waits until it listens, at most BOOT_WAIT_S seconds. A service that runs is left alone.
. "${0%/*}/common.sh"
if pid=$(app_pid) && [ -e "$APP_HOME/ready" ]; then
    say "$APP_NAME already runs, pid $pid"
    exit 0
fi
[ -r "$APP_HOME/current/serve.py" ] || fail "nothing is deployed in $APP_HOME"
mkdir -p "$LOG_DIR" "$HOME/logs/sofa"
rm -f "$APP_HOME/ready" "$pid_file"
say "starting $APP_NAME on port ${APP_PORT:?}"
export APP_NAME APP_HOME APP_PORT LOG_DIR HOST_NAME
"$PYTHON" -I -S "$APP_HOME/current/serve.py" "$APP_HOME" </dev/null >>"$LOG_DIR/stdout.log" 2>&1 &
child=$!
begun=$(date +%s)
while [ ! -e "$APP_HOME/ready" ]; do
    if ! kill -0 "$child" 2>/dev/null; then
        tail -n 5 "$HOME/logs/sofa/sofa-startup.log" "$LOG_DIR/stdout.log" 2>/dev/null
        fail "$APP_NAME ended while it started"
    fi
    if [ $(($(date +%s) - begun)) -ge "${BOOT_WAIT_S:-60}" ]; then
        tail -n 5 "$HOME/logs/sofa/sofa-startup.log"
        fail "python run time out: $APP_NAME does not listen after ${BOOT_WAIT_S:-60} s"
    fi
    nap
done
say "$APP_NAME listens, pid $child"
