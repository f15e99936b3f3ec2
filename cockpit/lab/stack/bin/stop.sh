# Asks the service to finish what it is doing and end; kills it when it does not. Running it twice changes nothing.
. "${0%/*}/common.sh"
if ! pid=$(app_pid); then
    say "$APP_NAME is not running"
    rm -f "$pid_file" "$APP_HOME/ready"
    exit 0
fi
say "stopping $APP_NAME, pid $pid"
kill -s TERM "$pid" 2>/dev/null
tries=0
while app_pid >/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || break
    nap
done
if app_pid >/dev/null; then
    say "it does not end: killing it"
    kill -s KILL "$pid" 2>/dev/null
    nap
    app_pid >/dev/null && fail "pid $pid cannot be ended"
fi
rm -f "$pid_file" "$APP_HOME/ready"
say "stopped"
