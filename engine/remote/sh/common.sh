# The beginning of attach.sh and stop.sh. Arguments: <token> <folder> <key> <epoch> <nonce> …; what is meant for the
# engine starts with the token, so that a talkative login shell is no answer.
token=$1 folder=$2 key=$3 epoch=$4 new_nonce=$5
shift 5
orders=$HOME/.cockpit/jobs
order=$orders/$folder
job=$order/$key

answer() {
    printf '\036%s %s\n' "$token" "$*"
}

refuse() {
    answer "$@"
    exit 0
}

# refuse_because <path> <message of a tool in the C locale>: a full disk, or a folder that is not ours to write.
refuse_because() {
    case $2 in
        *'o space left'* | *uota*) refuse disk_full "$1" ;;
        *) refuse unwritable "$1: $2" ;;
    esac
}

# What a tool says when it cannot write a good deal to <folder>; the shell's own messages differ from shell to shell, and
# busybox's tools say nothing, so df is asked as well.
write_fault() {
    { printf '%-65536s' x | LC_ALL=C tee "$1/.probe" >/dev/null; } 2>&1
    free_kb=$(df -P -k "$1" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "${free_kb:-64}" -ge 64 ] || echo 'no space left'
    rm -f "$1/.probe"
}

refuse_unwritable() {
    refuse_because "$1" "$(write_fault "$1")"
}

# What the runner needs, and a home to be in: what is missing is said before anything is made.
refuse_without_means() {
    h_missing=
    for h_tool in setsid mkdir tail wc cat date find awk df tee mv rm; do
        command -v "$h_tool" >/dev/null 2>&1 || h_missing="$h_missing $h_tool"
    done
    [ -z "$h_missing" ] || refuse tool_missing "$h_missing"
    [ -d "$HOME" ] || refuse unwritable "$HOME: no such folder"
}

make_folder() {
    m_why=$(LC_ALL=C mkdir -p "$1" 2>&1) || refuse_because "$1" "$m_why"
}

refuse_older_epoch() {
    for e_seen in "$order"/epoch/*; do
        e_seen=${e_seen##*/}
        [ "$e_seen" = '*' ] || [ "$e_seen" -le "$epoch" ] || refuse epoch_refused "$e_seen"
    done
}

# An epoch is an entry of its own, so two engines that raise it at once cannot lower it again.
raise_epoch() {
    refuse_older_epoch
    make_folder "$order/epoch/$epoch"
    refuse_older_epoch
}

ended() {
    case $(tail -n 1 "$job/steps" 2>/dev/null) in 'end '*) return 0 ;; esac
    return 1
}

runner_alive() {
    { read -r r_pid r_start r_boot; } 2>/dev/null <"$job/pid" || return 1
    alive "$r_pid" "$r_start" "$r_boot"
}

# prepare: the new job's own files. `reserve` is room kept back for the last records; pid, group and ended are later
# overwritten in place. Comes back only if all of it was written.
prepare() {
    {
        printf '%s' "$1" >"$job/script" &&
            printf '%-4096s\n' reserve >"$job/reserve" &&
            printf '%-80s\n' - >"$job/pid" &&
            printf '%-12s\n' - >"$job/group" &&
            printf '%-80s\n' - >"$job/ended" &&
            printf '' >"$job/steps" &&
            printf '' >"$job/log" &&
            printf '%s\n' "$new_nonce" >"$job/nonce.new" &&
            mv "$job/nonce.new" "$job/nonce"
    } 2>/dev/null && return 0
    p_why=$(write_fault "$job")
    rm -rf "$job"
    refuse_because "$job" "$p_why"
}

# The one who made the folder writes the nonce last; it is there within moments or never.
# shellcheck disable=SC2034  # read by attach.sh and stop.sh
read_nonce() {
    n_tries=0 nonce=
    until { read -r nonce; } 2>/dev/null <"$job/nonce"; do
        n_tries=$((n_tries + 1))
        [ "$n_tries" -lt 10 ] || return 1
        sleep 1
    done
}
