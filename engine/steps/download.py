"""The sh that brings one object from OSS to the host, verified: shared by the download steps.

The URL is an unexported shell variable and goes to curl on standard input, never into an argument list or a file. A file under
its own name is always whole and verified; what is not verified has another name.
"""

from __future__ import annotations

import re
from shlex import quote

from engine.domain.fleet import ObjectRef
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError

ATTEMPTS = 4
CONNECT_TIMEOUT_S = 10
STALLED_S = 30  # below 1 KiB/s for so long: the transfer is given up and resumed
PAUSE_S = 2

_MD5 = re.compile(r"[0-9A-Fa-f]{32}\Z")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}\Z")
_URL = re.compile(r"https?://[!#-\[\]-~]+\Z")  # printable ASCII but for space, " and \, which curl's config would read


def checked_url(url: str, what: str) -> str:
    """Raises ProblemError `url_invalid` for what curl's configuration could not hold as one URL."""
    if not _URL.match(url):
        raise ProblemError(
            Problem(
                "url_invalid",
                message("There is no usable download address for {what}.", what=what),
                message("Check its object key and the region's OSS endpoint in the catalogue, then retry."),
            )
        )
    return url


def checksum(ref: ObjectRef) -> tuple[str, str]:
    """(algorithm, lower-case hex): SHA-256 where it is known, else the ETag where it is an MD5, else two empty texts."""
    if _SHA256.match(ref.sha256):
        return "sha256", ref.sha256.lower()
    etag = ref.etag.strip('"')
    return ("md5", etag.lower()) if _MD5.match(etag) else ("", "")


def fetch(ref: ObjectRef, url_variable: str, target: str) -> str:
    """A call of `ck_fetch`: `target` is an sh word, `url_variable` the name of the shell variable that holds the URL."""
    algorithm, digest = checksum(ref)
    expected = f"{ref.size} {quote(algorithm)} {quote(digest)}"
    return f'ck_fetch {target} "${url_variable}" {expected} {quote(ref.key)}\n'


FETCH = f"""
ck_digest() {{
    if command -v "${{1}}sum" >/dev/null 2>&1; then
        "${{1}}sum" <"$2"
    elif command -v busybox >/dev/null 2>&1; then
        busybox "${{1}}sum" <"$2"
    else
        openssl dgst "-$1" <"$2" | sed 's/.*= *//'
    fi | sed 's/[^0-9A-Fa-f].*//' | tr ABCDEF abcdef
}}

# ck_verify <file> <size or -1> <algorithm> <digest>: says what does not fit.
ck_verify() {{
    ck_size=$(($(wc -c <"$1")))
    if [ "$2" -ge 0 ] && [ "$ck_size" -ne "$2" ]; then
        echo "CHECKSUM MISMATCH expected $2 bytes got $ck_size bytes"
        return 1
    fi
    ck_got=$(ck_digest "$3" "$1")
    if [ -z "$ck_got" ]; then
        echo "TOOL MISSING: ${{3}}sum"
        exit 1
    fi
    [ "$ck_got" = "$4" ] && return 0
    echo "CHECKSUM MISMATCH expected $3 $4 got $ck_got"
    return 1
}}

ck_full() {{
    df -Pk "$1" 2>/dev/null | tail -n 1
    echo "No space left on device: $1"
    exit 1
}}

# ck_transfer <url> <part>: sets ck_curl to curl's exit status and ck_http to the answer's.
ck_transfer() {{
    ck_http=$(printf 'url = "%s"\\n' "$1" | curl -q -K - -g -sS --fail --proto =http,https \\
        --connect-timeout {CONNECT_TIMEOUT_S} --speed-limit 1024 --speed-time {STALLED_S} \\
        -C - -D "$2.headers" -o "$2" -w '%{{http_code}}')
    ck_curl=$?
}}

# ck_etag <part>: the digest by the answer's own word, for an object whose checksum the catalogue does not know.
ck_etag() {{
    tr -d '\\r"' <"$1.headers" | sed -n 's/^[Ee][Tt][Aa][Gg]: *//p' | tail -n 1 | tr ABCDEF abcdef |
        grep -E '^[0-9a-f]{{32}}$'
}}

ck_refused() {{
    rm -f "$ck_part" "$ck_part.headers"
    case $1 in
        404) echo 'ERROR 404: Not Found' ;;
        403) echo 'ERROR 403: Forbidden' ;;
        *) echo "ERROR $1" ;;
    esac
    exit 1
}}

# ck_fetch <target> <url> <size or -1> <algorithm> <digest> <name for the log>
ck_fetch() {{
    ck_part=$1.part
    [ -z "$5" ] || ck_part=$1.$5.part
    if [ -n "$5" ] && [ -f "$1" ] && ck_verify "$1" "$3" "$4" "$5"; then
        echo "already here, checksum right: $6"
        return 0
    fi
    mkdir -p "${{1%/*}}" || exit 1
    # Without a checksum nobody can tell whether a rest belongs to the same object.
    [ -n "$5" ] || rm -f "$ck_part"
    ck_try=1 ck_wrong=0
    while :; do
        ck_resumed=0
        [ -s "$ck_part" ] && ck_resumed=1
        echo "downloading $6 (attempt $ck_try of {ATTEMPTS})"
        if [ "$ck_resumed" = 1 ] && ck_verify "$ck_part" "$3" "$4" "$5" >/dev/null; then
            break
        fi
        ck_transfer "$2" "$ck_part"
        if [ "$ck_curl" -eq 0 ]; then
            ck_algorithm=$4 ck_expected=$5
            if [ -z "$5" ]; then
                ck_algorithm=md5
                ck_expected=$(ck_etag "$ck_part") || {{
                    rm -f "$ck_part" "$ck_part.headers"
                    echo "CHECKSUM UNKNOWN: $6"
                    exit 1
                }}
            fi
            if ck_said=$(ck_verify "$ck_part" "$3" "$ck_algorithm" "$ck_expected"); then
                break
            fi
            rm -f "$ck_part" "$ck_part.headers"
            if [ "$ck_resumed" = 1 ]; then
                echo 'the rest of an earlier download did not fit: starting anew'
            elif [ "$ck_wrong" = 1 ]; then
                echo "$ck_said"
                exit 1
            else
                # What was damaged on its way comes right the second time; another object in its place does not.
                ck_wrong=1
                echo 'what came has another checksum: fetching it once more from the start'
            fi
        else
            ck_failed "$1"
        fi
        if [ "$ck_try" -ge {ATTEMPTS} ]; then
            rm -f "$ck_part.headers"
            echo "DOWNLOAD FAILED: $6: curl exit status $ck_curl, HTTP $ck_http"
            exit 1
        fi
        ck_try=$((ck_try + 1))
        sleep {PAUSE_S}
    done
    rm -f "$ck_part.headers"
    mv -f "$ck_part" "$1" || exit 1
    echo "downloaded and verified: $6"
}}

# ck_failed <target>: ends the step unless another attempt may help.
ck_failed() {{
    case $ck_http in
        408 | 429) ;;
        416) rm -f "$ck_part" ;;
        4??) ck_refused "$ck_http" ;;
    esac
    case $ck_curl in
        33 | 36) rm -f "$ck_part" ;;
        23)
            ck_why=$({{ printf '%-65536s' x | LC_ALL=C cat >"$ck_part.probe"; }} 2>&1)
            rm -f "$ck_part.probe"
            case $ck_why in *'o space left'* | *uota*) rm -f "$ck_part" "$ck_part.headers"; ck_full "${{1%/*}}" ;; esac
            ;;
    esac
}}
"""
