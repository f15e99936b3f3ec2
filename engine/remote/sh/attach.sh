# Starts the job unless it was started before, then shows its log from an offset until standard input is closed.
# Arguments behind the common ones: <offset> <may start: 0 or 1> <keep days>. Standard input, if it may start: the
# program, a line with the token, the secrets, a line with the token; then it stays open.
# Exit 71: the runner is gone without a last record; 73: and the disk is full.
offset=$1 may_start=$2 keep_days=$3
newline='
'

read_part() {
    part=
    while IFS= read -r p_line; do
        [ "$p_line" = "$token" ] && return 0
        part=$part$p_line$newline
    done
    exit 74
}

# A job of another order that was lost sight of: beside it this one would not be alone with the host. Two hosts of one order
# may share a login.
refuse_beside_another() {
    a_rest=${folder#*-}
    a_order=${folder%%-*}-${a_rest%%-*}
    for a_pid in "$orders"/*/*/pid; do
        case $a_pid in "$orders/$a_order"-*) continue ;; esac
        { read -r r_pid r_start r_boot; } 2>/dev/null <"$a_pid" || continue
        alive "$r_pid" "$r_start" "$r_boot" || continue
        a_job=${a_pid%/pid}
        case $(tail -n 1 "$a_job/steps" 2>/dev/null) in 'end '*) continue ;; esac
        rmdir "$job"
        refuse host_busy "$r_pid" "${a_job#"$orders"/}"
    done
}

start() {
    refuse_beside_another
    prepare "$program"
    umask "$login_umask"
    (
        cd "$HOME" || exit 1
        printf '%s\n' "$secrets" | setsid sh "$job/script" run "$job" "$keep_days" >>"$job/log" 2>&1 3<&- &
    )
    umask 077
}

attach() {
    read_nonce || refuse vanished
    [ "$(wc -c <"$job/log")" -ge "$offset" ] || refuse vanished
    answer attached "$nonce"
    exec 2>/dev/null
    # busybox's tail looks once a second (and knows no fraction), so its followers are up to a second late; others are not.
    tail -c "+$((offset + 1))" -f "$job/log" 3<&- &
    show=$!
    (
        cat <&3
        kill "$show"
    ) >/dev/null &
    exec 3<&-
    silent=0 untold=0
    while kill -0 "$show"; do
        if runner_alive; then
            silent=0
        elif ended; then
            # Whoever has read the last word is gone by now; it may have found no room in the log.
            untold=$((untold + 1))
            [ "$untold" -ne 5 ] || printf '\036%s %s\n' "$nonce" "$(tail -n 1 "$job/steps")" >>"$job/log"
        else
            silent=$((silent + 1))
            # The runner may not have come as far as to write its number down.
            [ "$silent" -lt 4 ] || vanished
        fi
        sleep 1
    done
}

vanished() {
    kill "$show"
    case $(write_fault "$job") in *'o space left'* | *uota*) exit 73 ;; esac
    exit 71
}

login_umask=$(umask)
umask 077
if [ "$may_start" = 1 ]; then
    read_part
    program=$part
    read_part
    secrets=$part
fi
exec 3<&0
[ "$may_start" != 1 ] || refuse_without_means
raise_epoch
if [ "$may_start" = 1 ] && mkdir "$job" 2>/dev/null; then
    start
elif [ ! -d "$job" ]; then
    [ "$may_start" = 1 ] || refuse vanished
    refuse_unwritable "$order"
fi
attach
