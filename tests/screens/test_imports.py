"""The UI process stays light: no SSH, no cloud SDK at all, and nothing of SQLAlchemy before the first frame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("asyncssh", "oss2", "aliyunsdkcore", "aliyunsdkslb", "sqlalchemy", "psycopg", "alembic")


def test_importing_the_app_imports_nothing_heavy() -> None:
    code = f"import sys, cockpit.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
