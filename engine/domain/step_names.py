"""The names of the built-in steps: what they are called in rows, logs, records and JSON. A list of steps is the kind's own."""

from __future__ import annotations

from typing import Final

CUT_TRAFFIC: Final = "cut_traffic"
CHECK_AGENT: Final = "check_agent"
DOWNLOAD_SCRIPTS: Final = "download_scripts"
INSTALL_SOFTWARE: Final = "install_software"
CONFIGURE_ENVIRONMENT: Final = "configure_environment"
DOWNLOAD_PACKAGE: Final = "download_package"
DEPLOY: Final = "deploy"
CHECK_HEALTH: Final = "check_health"
RESTORE_TRAFFIC: Final = "restore_traffic"
