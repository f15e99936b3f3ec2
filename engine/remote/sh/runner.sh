# The runner: the part of a job that lives on the host. Appended to it are the job's own lines: ck_nonce, ck_steps,
# ck_variables, ck_describe and the call of ck_main. Its standard output is the job's log, opened for appending.
#   run <job> <keep days>    runs the steps one after another; secrets arrive on standard input
#   step <job> <number>      one step, in a session of its own
#   watch <group> <seconds>  ends a step that is still there after its deadline

ck_mark() {
    printf '\036%s %s\n' "$ck_nonce" "$*"
}

ck_write() {
    { printf '%s\n' "$*" >>"$ck_job/steps"; } 2>/dev/null && ck_mark "$*" 2>/dev/null
}

# A record that cannot be written is tried once more with the room kept back for it; then the job ends here.
ck_record() {
    ck_write "$@" && return 0
    rm -f "$ck_job/reserve"
    ck_write "$@" || exit 1
    ck_full=1
}

# Overwritten in place: needs no room on a full disk.
ck_note() {
    printf '%-12s\n' "$2" 1<>"$ck_job/$1"
}

ck_run() {
    eval "$(cat)"
    exec </dev/null
    identity $$ 1<>"$ck_job/pid"
    ck_full='' ck_status=0
    for ck_number in $ck_steps; do
        [ -e "$ck_job/stopped" ] && break
        ck_step "$ck_number"
        [ "$ck_status" = 0 ] && [ "$ck_late" = 0 ] || break
        [ -z "$ck_full" ] || break
    done
    ck_end
    ck_clean
}

ck_step() {
    ck_describe "$1"
    ck_record "start $ck_name $(date +%s)"
    [ -z "$ck_full" ] || return 0
    eval "ck_secret=\${ck_secret_$1-}"
    printf '%s\n' "$ck_secret" | setsid sh "$ck_job/script" step "$ck_job" "$1" &
    ck_group=$!
    ck_note group "$ck_group"
    setsid sh "$ck_job/script" watch "$ck_group" "$ck_deadline" </dev/null >/dev/null 2>&1 &
    ck_watch=$!
    wait "$ck_group" 2>/dev/null
    ck_status=$?
    kill -TERM "-$ck_watch" 2>/dev/null || kill -TERM "$ck_watch" 2>/dev/null
    wait "$ck_watch" 2>/dev/null
    case $? in 42) ck_late=1 ;; *) ck_late=0 ;; esac
    # Before the record: from here on the group belongs to what the step left running (the service it started).
    ck_note group -
    ck_record "done $ck_name $ck_status $ck_late $(date +%s)"
}

ck_end() {
    if [ -e "$ck_job/stopped" ]; then
        ck_word=stopped
    elif [ "$ck_status" != 0 ] || [ "$ck_late" != 0 ]; then
        ck_word=failed
    elif [ -n "$ck_full" ]; then
        ck_word=full
    else
        ck_word=ok
    fi
    moment 1<>"$ck_job/ended"
    ck_record "end $ck_word $(date +%s)"
}

# Folders of orders nobody has touched for a long time; at most fifty at once.
ck_clean() {
    [ "$ck_keep" -gt 0 ] || return 0
    find "$HOME/.cockpit/jobs/." ! -name . -prune -type d -mtime "+$ck_keep" 2>/dev/null | head -n 50 |
        while IFS= read -r ck_old; do rm -rf "$ck_old"; done
}

ck_watch() {
    sleep "$2"
    trap '' TERM
    kill_group "$1"
    exit 42
}

ck_main() {
    ck_late=0
    case $1 in
        run) ck_job=$2 ck_keep=$3 && ck_run ;;
        watch) ck_watch "$2" "$3" ;;
        step)
            ck_describe "$3"
            ck_secret=$(cat)
            exec </dev/null
            ck_variables
            eval "$ck_secret"
            unset ck_secret
            cd "$HOME" || exit 1
            eval "$ck_body"
            ;;
    esac
}
