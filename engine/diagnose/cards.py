"""The first deck of failure cards, as data: what is seen in a step's log, what it means, what to do. Order matters."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain import step_names
from engine.domain.message import Message, message

# Every step but the health check, whose log holds old lines of the app's own logs.
ANY: frozenset[str] | None = None
_DOWNLOADS = frozenset({step_names.DOWNLOAD_SCRIPTS, step_names.DOWNLOAD_PACKAGE})
_SCRIPTS = frozenset({step_names.INSTALL_SOFTWARE, step_names.CONFIGURE_ENVIRONMENT, step_names.DEPLOY})

# A host's scripts speak its locale's language. The sentences are those of the C library (simplified and traditional Chinese,
# Japanese), of Java, Node, Go and the usual servers; the names of the errors stand beside them in many logs.
_DISK_FULL = (
    r"(?i)no space left on device|disk quota exceeded|\bE(NOSPC|DQUOT)\b(?!: System limit)|not enough space on the disk"
    r"|设备上?没有(剩余)?空间|磁盘(空间不足|空间已满|已满)|超出磁盘(限额|配额)"
    r"|[裝設][置備]上?(已|已經)?[無沒](有)?(多餘|剩餘|可用)?(的)?空間|磁碟(空間不足|已滿)|超出磁碟[限配]額|磁碟配額已滿"
    r"|デバイスに空き領域がありません|ディスク使用量制限を超過しました"
)
_PORT_IN_USE = (
    r"(?i)address( is)? already in use|address in use\b|\bEADDRINUSE\b|\[Errno 98\]|\(os error 98\)|port is already allocated"
    r"|\bport[ :]+\d+\b.{0,40}\b(already in use|in use by|already used|being used)|only one usage of each socket address"
    r"|地址(已经|已|正)?(在|被)(使用|占用)|端口.{0,20}(被占用|被使用|已占用|在使用|正在使用|冲突)"
    r"|[位地]址(已經|已|正)?有?(在|被)?(使用|佔用|占用)|連接埠.{0,20}(被佔用|被占用|被使用|使用中)|アドレスは(既|すで)に使用"
)


@dataclass(frozen=True, slots=True)
class Card:
    """`steps` are those it explains, by what they do (None: any). `pattern` is a regular expression tried on every line of the
    step's log; `what` takes {step}, {host} and {app}."""

    code: str
    steps: frozenset[str] | None
    pattern: str
    what: Message
    remedy: Message
    when_late: bool = False  # also explains a step that ran into its deadline


CARDS: tuple[Card, ...] = (
    Card(
        "disk_full",
        ANY,
        _DISK_FULL,
        message("The disk of {host} is full."),
        message("Find the biggest folders (du -xk ~ | sort -n | tail), free space, then retry the host."),
        when_late=True,
    ),
    Card(
        "stack_missing",
        frozenset({step_names.DOWNLOAD_SCRIPTS}),
        r"ERROR 404: Not Found",
        message("The scripts of the tech stack of {app} are not in OSS."),
        message("Correct the stack's archive in the catalogue or upload it, then retry the host."),
    ),
    Card(
        "package_missing",
        frozenset({step_names.DOWNLOAD_PACKAGE}),
        r"ERROR 404: Not Found",
        message("The release package of {app} is not in OSS."),
        message("Upload the package again, then retry the host."),
    ),
    Card(
        "download_missing",
        _SCRIPTS,
        r"(ERROR|错误|錯誤|エラー) ?404[:：] ?Not Found|returned error: 404",
        message("A script of the tech stack on {host} asked for something that does not exist."),
        message("Correct the address in the stack's script, then retry the host."),
    ),
    Card(
        "download_denied",
        _DOWNLOADS,
        r"ERROR 40[13]\b",
        message(
            "OSS refused the download on {host}: the signed address is no longer valid, or reading is not allowed."
        ),
        message(
            "Check that the access key can read the object and that the host's clock is right, then retry the host."
        ),
    ),
    Card(
        "checksum_mismatch",
        _DOWNLOADS,
        r"CHECKSUM MISMATCH",
        message("What {host} downloaded is not what the catalogue says."),
        message("Compare the object in OSS with the catalogue, upload the right one, then create a new order."),
    ),
    Card(
        "checksum_unknown",
        _DOWNLOADS,
        r"CHECKSUM UNKNOWN",
        message("{host} has no checksum to verify its download with."),
        message("Give the object's sha256 in the catalogue, then retry the host."),
    ),
    Card(
        "archive_unsafe",
        _DOWNLOADS,
        r"ARCHIVE UNSAFE",
        message("The archive would write outside its folder on {host}; it was not unpacked."),
        message("Find out who made the archive, rebuild it, then create a new order."),
    ),
    Card(
        "archive_broken",
        _DOWNLOADS,
        r"ARCHIVE BROKEN",
        message("{host} could not unpack the archive."),
        message("Check that it is a complete .tar.gz, upload it again, then retry the host."),
    ),
    Card(
        "download_failed",
        _DOWNLOADS,
        r"DOWNLOAD FAILED|ERROR [45]\d\d\b|^curl: ",
        message("{host} could not download from OSS."),
        message("Check the host's path to the OSS endpoint (DNS, route, proxy), then retry the host."),
    ),
    Card(
        "agent_not_running",
        ANY,
        r"Agent status not running",
        message("StarAgent is not running on {host}, or has lost its server."),
        message("Restart the agent (bin/agent.sh restart in its home), then retry the host."),
    ),
    Card(
        "tool_missing",
        ANY,
        r"TOOL MISSING",
        message("{host} lacks a tool that the step needs."),
        message("Install what is missing on the host, then retry the host."),
    ),
    Card(
        "home_not_writable",
        frozenset({step_names.CHECK_AGENT}),
        r"HOME NOT WRITABLE",
        message("The login user cannot write to its home on {host}."),
        message("Check the folder's owner, its mode and the disk, then retry the host."),
    ),
    Card(
        "script_missing",
        _SCRIPTS,
        r"SCRIPT MISSING",
        message("The tech stack's archive lacks the script of {step}."),
        message("Correct the script's path in the catalogue or the archive, then create a new order."),
    ),
    Card(
        "step_timed_out",
        ANY,
        r"(?i)python run time ?out",
        message("{step} ran out of time on {host}: the start failed or is slow."),
        message(
            "Read the start-up log (sofa-startup.log), raise {step}_deadline_s if it is only slow, then retry the host."
        ),
    ),
    Card(
        "port_in_use",
        _SCRIPTS,
        _PORT_IN_USE,
        message("A port that {app} needs on {host} is in use."),
        message("Find who holds it (ss -tlnp), end it, then retry the host."),
    ),
)
