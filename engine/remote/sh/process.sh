# What a process is: known by its number, its start and the boot it belongs to, so that a number used again is never
# taken for ours. Without /proc only the number counts. Sets f_state f_group f_start f_boot.
facts() {
    f_state=- f_group=- f_start=- f_boot=- f_line=
    { read -r f_line; } 2>/dev/null <"/proc/$1/stat" || return 0
    # shellcheck disable=SC2086 # numbers and one letter, split on purpose
    facts_of ${f_line##*) }
    { read -r f_boot; } 2>/dev/null </proc/sys/kernel/random/boot_id || f_boot=-
}

facts_of() {
    f_state=$1 f_group=$3 f_start=${20}
}

identity() {
    facts "$1"
    printf '%-12s %-20s %s\n' "$1" "$f_start" "$f_boot"
}

# The start that a process has which begins now, and the boot it belongs to. Not the shell's own: it began earlier.
moment() {
    facts $$
    f_start=-
    f_line=$(cat /proc/self/stat 2>/dev/null)
    # shellcheck disable=SC2086
    [ -z "$f_line" ] || facts_of ${f_line##*) }
    printf '%-20s %s\n' "$f_start" "$f_boot"
}

# alive <pid> <start> <boot>: that very process, and not merely its remains.
alive() {
    case ${1-} in '' | *[!0-9]*) return 1 ;; esac
    kill -0 "$1" 2>/dev/null || return 1
    facts "$1"
    [ "$f_state" = Z ] && return 1
    [ "$2" = - ] || [ "$2 $3" = "$f_start $f_boot" ]
}

# group_alive <group>: a zombie that nobody collects (a container without an init) does not count.
group_alive() {
    kill -0 "-$1" 2>/dev/null || return 1
    [ -r /proc/self/stat ] || return 0
    for f_dir in /proc/[0-9]*; do
        { read -r f_line; } 2>/dev/null <"$f_dir/stat" || continue
        # shellcheck disable=SC2086
        facts_of ${f_line##*) }
        [ "$f_group" = "$1" ] && [ "$f_state" != Z ] && [ "$f_state" != X ] && return 0
    done
    return 1
}

# Sets n_now: seconds that only go forward, whatever happens to the host's clock; without /proc the clock must do.
ticks() {
    n_now=
    # shellcheck disable=SC2034
    { read -r n_now n_rest; } 2>/dev/null </proc/uptime
    n_now=${n_now%%.*}
    case $n_now in '' | *[!0-9]*) n_now=$(date +%s) ;; esac
}

# Not every sleep knows fractions.
nap() {
    sleep 0.2 2>/dev/null || sleep 1
}

# kill_group <group>: TERM, five seconds of grace, KILL; true when nothing of it is left. `kill -TERM -group` is the one
# spelling dash, bash and busybox agree on.
kill_group() {
    kill -TERM "-$1" 2>/dev/null
    ticks
    k_until=$((n_now + 5))
    while group_alive "$1"; do
        ticks
        [ "$n_now" -lt "$k_until" ] || break
        nap
    done
    group_alive "$1" || return 0
    kill -KILL "-$1" 2>/dev/null
    ticks
    k_until=$((n_now + 5))
    while group_alive "$1"; do
        ticks
        [ "$n_now" -lt "$k_until" ] || return 1
        nap
    done
}
