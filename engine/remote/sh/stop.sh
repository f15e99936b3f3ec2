# Stops the job and verifies it. Answers never_started (its place is taken; every time it is asked), already_ended, stopped, or
# still_running.
# No arguments behind the common ones.
last_words() {
    printf 'end stopped %s\n' "$1" >>"$job/steps" && printf '\036%s end stopped %s\n' "$nonce" "$1" >>"$job/log"
}

running_group() {
    s_group=
    { read -r s_group; } 2>/dev/null <"$job/group"
    case $s_group in '' | *[!0-9]*) return 1 ;; esac
}

never_started() {
    printf '' >"$job/stopped"
    prepare ''
    nonce=$new_nonce
    last_words "$(date +%s)"
    refuse never_started
}

umask 077
raise_epoch
mkdir "$job" 2>/dev/null && never_started
[ -d "$job" ] || refuse_unwritable "$order"
# Who made the folder died before the start; were it only slow, its runner would find `stopped`.
read_nonce || never_started
if ended; then
    [ -s "$job/script" ] || refuse never_started
    refuse already_ended
fi
# Not `:`, a special builtin: when its redirection fails, dash leaves the script.
printf '' 2>/dev/null >"$job/stopped" || refuse_unwritable "$job"

tries=0
ticks
give_up=$((n_now + 40))
until ended; do
    running_group && group_alive "$s_group" && { kill_group "$s_group" || refuse still_running "$s_group"; }
    if ! runner_alive; then
        tries=$((tries + 1))
        # A runner just started sees `stopped` before its first step; one that is gone leaves the last words to us.
        if [ "$tries" -gt 10 ] && ! ended; then
            last_words "$(date +%s)" || refuse_unwritable "$job"
        fi
    fi
    ticks
    [ "$n_now" -lt "$give_up" ] || refuse still_running "${s_group:-${r_pid:-?}}"
    nap
done
running_group && group_alive "$s_group" && refuse still_running "$s_group"
# It may have come to its own end before it saw us.
case $(tail -n 1 "$job/steps") in 'end stopped '*) refuse stopped ;; esac
refuse already_ended
