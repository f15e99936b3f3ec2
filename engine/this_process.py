"""Which process this is, as an operator finds it: for messages about what it lacks (an access key, an SSH key).

An engine has what it was started with; somebody who has set a key since then looks at another process.
"""

from __future__ import annotations

import os
import platform
import time
from datetime import datetime
from typing import Any, Final

_STARTED_AT: Final = time.time()


def as_fields() -> dict[str, Any]:
    """`pid`, `machine` and `since` (local time), to fill a message in with."""
    since = datetime.fromtimestamp(_STARTED_AT).astimezone().strftime("%m-%d %H:%M:%S %Z")
    return {"pid": os.getpid(), "machine": platform.node(), "since": since}
