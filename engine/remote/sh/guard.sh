# Runs a short script with a deadline of its own, so that it ends even if nobody is left to end it; needs no timeout(1).
# Arguments: <seconds> <script>. Its standard error joins its standard output.
exec 3<&0
setsid sh -c "$2" cockpit <&3 2>&1 3<&- &
script=$!
exec 3<&- </dev/null 2>/dev/null
setsid sh -c 'sleep "$1"; kill -TERM "-$2"; sleep 2; kill -KILL "-$2"' cockpit "$1" "$script" >/dev/null &
watch=$!
trap 'kill -TERM "-$script" || kill -TERM "$script"; kill -TERM "-$watch" || kill -TERM "$watch"; exit 143' TERM HUP
wait "$script"
status=$?
kill -TERM "-$watch" || kill -TERM "$watch"
exit "$status"
