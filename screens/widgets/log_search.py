"""Looking through a whole log, however big: run as a program of its own, so that no screen waits for it and it can be ended.

`python -I -S log_search.py PATH WANTED older|newer OFFSET` prints where it was found, in bytes, or nothing. It needs nothing of the
cockpit: its start is quick, and what lies in the working directory plays no part.
"""

import os
import sys
from collections.abc import Callable

# bytes read in one go
READ_AT_ONCE = 1024 * 1024


def find_before(path: str, wanted: str, before: int) -> int | None:
    """Where the last place that says `wanted` begins, in front of byte `before`. Reads the file in pieces; one that is not there
    says nothing. Letters match whatever their case unless `wanted` has a capital one. Raises OSError."""
    text, fold = _looked_for(wanted)
    with open(path, "rb", buffering=0) as file:
        end = min(before + len(text) - 1, os.fstat(file.fileno()).st_size)
        while end > 0:
            start = max(0, end - READ_AT_ONCE)
            found = fold(os.pread(file.fileno(), end - start, start)).rfind(text)
            if found >= 0:
                return start + found
            end = start + len(text) - 1 if start else 0
    return None


def find_behind(path: str, wanted: str, start: int) -> int | None:
    """As `find_before`, but the first place from byte `start` on."""
    text, fold = _looked_for(wanted)
    with open(path, "rb", buffering=0) as file:
        while True:
            data = fold(os.pread(file.fileno(), READ_AT_ONCE, start))
            found = data.find(text)
            if found >= 0:
                return start + found
            if len(data) < READ_AT_ONCE:
                return None
            start += len(data) - len(text) + 1


def matches_case(wanted: str) -> bool:
    """A capital letter in what is looked for makes the case count."""
    return any(char.isupper() for char in wanted)


def _looked_for(wanted: str) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The bytes to look for, and how to fold those they are looked for in. Only ASCII letters have two cases here."""
    text = wanted.encode("utf-8", "surrogateescape")
    return (text, bytes) if matches_case(wanted) else (text.lower(), bytes.lower)


def main(path: str, wanted: str, which: str, offset: str) -> int:
    try:
        found = (find_before if which == "older" else find_behind)(path, wanted, int(offset))
    except FileNotFoundError:
        # not written yet, or cleared away: there is nothing to be found
        return 0
    if found is not None:
        sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
