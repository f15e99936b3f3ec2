"""The sh that unpacks a .tar.gz on the host, after a look at everything in it. `engine.domain.archive` says the same of an archive
before it is on a host; a test holds the two together.
"""

from __future__ import annotations

# Two lists of the same archive, line by line: `tar -tf` (names) and `tar -tvf` (kinds and links; GNU's, busybox's or bsdtar's).
# Prints what must not be unpacked. A link is followed as the host's kernel would, through the archive's other links.
_LOOK = r"""
function walk(base, rest,    part, cut, there, hops) {
    while (rest != "") {
        if (rest ~ /^\//) return 0
        cut = index(rest, "/")
        part = cut ? substr(rest, 1, cut - 1) : rest
        rest = cut ? substr(rest, cut + 1) : ""
        while (rest ~ /^\//) rest = substr(rest, 2)
        if (part == ".") continue
        if (part == "..") {
            if (base == "") return 0
            if (!sub(/\/[^\/]*$/, "", base)) base = ""
            continue
        }
        there = base == "" ? part : base "/" part
        if (!(there in links)) { base = there; continue }
        if (++hops > 40) return 0
        rest = rest == "" ? links[there] : links[there] "/" rest
    }
    return 1
}
function clean(path) {
    gsub(/\/+/, "/", path)
    while (path ~ /^\.\//) path = substr(path, 3)
    while (sub(/\/\.\//, "/", path)) continue
    sub(/\/\.$/, "", path)
    sub(/\/$/, "", path)
    return path == "." ? "" : path
}
function parent(path) { return sub(/\/[^\/]*$/, "", path) ? path : "" }
function ends(text, tail) { return length(text) >= length(tail) && substr(text, length(text) - length(tail) + 1) == tail }
function dotted(path) { return ("/" path "/") ~ /\/\.\.\// }
function bad(what) { print what }
# Sets `target` and `found`: 0 no link, 1 a link, -1 the line can be read in two ways.
function link_of(kind, row, name,    between, at, rest) {
    between = kind == "h" && index(row, " link to ") ? " link to " : " -> "
    at = index(row, between)
    found = 0
    if (!at) { if (kind == "l" || kind == "h") found = -1; return }
    if (kind == "-" && index(name, between) && ends(row, " " name)) return
    rest = substr(row, at + length(between))
    found = index(rest, between) || !ends(substr(row, 1, at - 1), " " name) ? -1 : 1
    target = rest
}
FILENAME == ARGV[1] { name[++names] = $0; next }
{ row[++rows] = $0 }
END {
    if (names != rows) { bad("its list of contents cannot be read"); exit }
    for (i = 1; i <= names; i++) {
        kind = substr(row[i], 1, 1)
        path = clean(name[i])
        if (name[i] ~ /^\// || dotted(name[i])) bad(name[i])
        if (row[i] !~ /^[-dlhC][r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-]/) { bad(row[i]); continue }
        link_of(kind, row[i], name[i])
        if (found < 0) { bad(row[i]); continue }
        is = "file"
        if (found > 0 && kind == "l") { is = "l " target; links[path] = target; order[++count] = path }
        if (found > 0 && kind != "l") { hard[++hards] = path; same[hards] = target }
        if ((path in seen) && seen[path] != is && (seen[path] ~ /^l / || is ~ /^l /)) bad(name[i] " is there twice")
        seen[path] = is
    }
    for (path in seen)
        for (above = parent(path); above != ""; above = parent(above))
            if (above in links) bad(path " lies behind the link " above)
    for (i = 1; i <= count; i++)
        if (!walk(parent(order[i]), links[order[i]])) bad(order[i] " -> " links[order[i]])
    for (i = 1; i <= hards; i++)
        if (dotted(same[i]) || !walk("", same[i])) bad(hard[i] " link to " same[i])
}
"""

DIGEST = ".cockpit-digest"  # in an unpacked folder: of which archive it is

UNPACK = (
    """
ck_look() {
    awk '"""
    + _LOOK
    + """' "$1" "$2"
}

# ck_unpack <archive> <folder> <digest>: into a new folder beside it, then in its place. tar runs only on names looked at.
ck_unpack() {
    if [ -n "$3" ] && [ "$(cat "$2/@digest@" 2>/dev/null)" = "$3" ]; then
        echo "already unpacked: $2"
        return 0
    fi
    if ! gzip -t "$1" || ! gzip -dc "$1" | LC_ALL=C tar -tf - >"$2.names" 2>"$2.said" ||
        ! gzip -dc "$1" | LC_ALL=C tar -tvf - >"$2.list" 2>/dev/null; then
        ck_why=$({ printf '%-65536s' x | LC_ALL=C cat >"$2.probe"; } 2>&1)
        rm -f "$2.names" "$2.said" "$2.list" "$2.probe"
        case $ck_why in *'o space left'* | *uota*) ck_full "${2%/*}" ;; esac
        echo "ARCHIVE BROKEN: $1 is not a whole .tar.gz"
        exit 1
    fi
    # A tar that leaves out the unsafe beginning of a name in its list says so.
    ck_unsafe=$(
        grep -E '^tar: [Rr]emoving leading' "$2.said"
        LC_ALL=C ck_look "$2.names" "$2.list" || echo 'its list of contents cannot be read'
    )
    rm -f "$2.names" "$2.said" "$2.list"
    if [ -n "$ck_unsafe" ]; then
        printf 'ARCHIVE UNSAFE: %s\\n' "$(printf '%s\\n' "$ck_unsafe" | head -n 5)"
        exit 1
    fi
    rm -rf "$2.new" && mkdir -p "$2.new" || exit 1
    if ! gzip -dc "$1" | LC_ALL=C tar -xof - -C "$2.new"; then
        rm -rf "$2.new"
        echo "ARCHIVE BROKEN: $1 could not be unpacked"
        exit 1
    fi
    # tar run by root keeps what a file may do as its owner.
    chmod -R u-s,g-s "$2.new" || exit 1
    rm -rf "$2.new/@digest@"
    printf '%s\\n' "$3" >"$2.new/@digest@" || exit 1
    rm -rf "$2.old"
    [ ! -e "$2" ] || mv "$2" "$2.old" || exit 1
    mv "$2.new" "$2" || exit 1
    rm -rf "$2.old"
    echo "unpacked: $2"
}
""".replace("@digest@", DIGEST)
)
