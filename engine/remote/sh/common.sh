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

# refuse_unwritable <folder>: says whether the disk is full or the folder is not ours to write.
refuse_unwritable() {
    u_why=$({ printf x | LC_ALL=C tee "$1/.probe" >/dev/null; } 2>&1)
    rm -f "$1/.probe"
    case $u_why in
        *'o space left'* | *uota*) refuse disk_full "$1" ;;
        *) refuse unwritable "${u_why:-$1}" ;;
    esac
}

make_folder() {
    m_why=$(LC_ALL=C mkdir -p "$1" 2>&1) && return 0
    case $m_why in
        *'o space left'* | *uota*) refuse disk_full "$1" ;;
        *) refuse unwritable "$m_why" ;;
    esac
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

# prepare: the new job's own files. `reserve` is room kept back for the last records; pid and group are later
# overwritten in place.
prepare() {
    {
        printf '%s' "$1" >"$job/script" &&
            printf '%-4096s\n' reserve >"$job/reserve" &&
            printf '%-80s\n' - >"$job/pid" &&
            printf '%-12s\n' - >"$job/group" &&
            : >"$job/steps" &&
            : >"$job/log" &&
            printf '%s\n' "$new_nonce" >"$job/nonce.new" &&
            mv "$job/nonce.new" "$job/nonce"
    } 2>/dev/null && return 0
    rm -rf "$job"
    return 1
}

# The one who made the folder writes the nonce last; it is there within moments or never.
read_nonce() {
    n_tries=0 nonce=
    until { read -r nonce; } 2>/dev/null <"$job/nonce"; do
        n_tries=$((n_tries + 1))
        [ "$n_tries" -lt 10 ] || return 1
        sleep 1
    done
}
