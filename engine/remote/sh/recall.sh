# Says what this host knows of a job of earlier. Changes nothing. What is appended to it looks whether what the job did is still so:
# `ck_variables() { … }`, `look <step> <body>` for each step, `answer done`.
# No arguments behind the common ones.
say_what_was_done() {
    while read -r d_word d_step d_status d_late d_rest; do
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
    s_since=restarted
    [ "$s_boot" = "$f_boot" ] || return 0
    s_since=same
    s_rest=${folder#*-}
    s_order=${folder%%-*}-${s_rest%%-*}
    for s_pid in "$orders"/*/*/pid; do
        case $s_pid in "$orders/$s_order"-*) continue ;; esac
        { read -r s_number s_start s_at; } 2>/dev/null <"$s_pid" || continue
        [ "${s_at-}" = "$f_boot" ] && [ "$s_start" -gt "$ck_ended" ] && s_since=another
    done
    return 0
}

# look <step> <body>: ends with 0 when it is still so; its last line says why it is not.
look() {
    l_said=$(
        exec 2>&1 </dev/null
        ck_variables
        cd "$HOME" || exit 1
        eval "$2"
    )
    l_status=$?
    answer look "$1" "$l_status" "$(printf '%s\n' "$l_said" | tail -n 1 | tr -d '\000-\037' | cut -c 1-200)"
}

ck_ended=0
if { read -r nonce; } 2>/dev/null <"$job/nonce"; then
    answer found
    say_what_was_done
    say_what_came_after
else
    answer gone
    exit 0
fi
