# Says what this host knows of a job of earlier. Changes nothing. What is appended to it asks further: `say_whether_it_has <line>`,
# then whether what the job did is still so, `look <step> <seconds> <body>` for each step, then `answer end`.
# No arguments behind the common ones.
say_what_was_done() {
    while read -r d_word d_step d_status d_late _; do
        [ "$d_word $d_status $d_late" != 'done 0 0' ] || answer step "$d_step"
    done <"$job/steps"
}

# Whether the host is the one it was when the job ended. Sets ck_ended: the start of a process that began then.
say_what_came_after() {
    s_since=unknown s_boot=
    { read -r ck_ended s_boot; } 2>/dev/null <"$job/ended"
    case $ck_ended in
        '' | *[!0-9]*) ck_ended=0 ;;
        *) came_after ;;
    esac
    answer since "$s_since"
}

came_after() {
    facts $$
    # a system that does not tell its boots apart
    [ "$f_boot" != - ] || return 0
    s_since=restarted
    [ "$s_boot" = "$f_boot" ] || return 0
    s_since=same
    s_rest=${folder#*-}
    s_order=${folder%%-*}-${s_rest%%-*}
    for s_pid in "$orders"/*/*/pid; do
        case $s_pid in "$orders/$s_order"-*) continue ;; esac
        { read -r _ s_start s_at; } 2>/dev/null <"$s_pid" || continue
        [ "${s_at-}" = "$f_boot" ] && [ "$s_start" -gt "$ck_ended" ] && s_since=another
    done
    return 0
}

# say_whether_it_has <line>: the job's program has it, so it was made of the same.
say_whether_it_has() {
    ! grep -qxF -e "$1" "$job/script" 2>/dev/null || answer same_setup
}

# look <step> <seconds> <body>: ends with 0 when it is still so; its last line says why it is not. One that does not end is ended.
look() {
    l_said=$(
        exec 2>&1 </dev/null
        cd "$HOME" || exit 1
        export ck_ended
        setsid sh -c "$3" &
        l_group=$!
        setsid sh -c 'sleep "$1"; kill -KILL "-$2"' cockpit "$2" "$l_group" >/dev/null 2>&1 &
        l_watch=$!
        wait "$l_group" 2>/dev/null
        l_status=$?
        kill -KILL "-$l_watch" 2>/dev/null
        kill -KILL "-$l_group" 2>/dev/null
        exit "$l_status"
    )
    l_status=$?
    answer look "$1" "$l_status" "$(printf '%s\n' "$l_said" | tail -n 1 | tr -d '\000-\037' | cut -c 1-200)"
}

ck_ended=0
if { read -r _; } 2>/dev/null <"$job/nonce"; then
    answer found
    say_what_was_done
    say_what_came_after
else
    answer gone
    exit 0
fi
