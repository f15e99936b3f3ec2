"""The command line: every act of the screens, for scripts and for terminals too small for screens.

`main` is all that others call. Each command imports what it needs when it runs, so that `cockpit --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `cockpit` with these arguments (None: the process's own) and end the process with its exit code."""
    from cockpit.cli.run import run

    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
