"""What is wrong with the host itself: its agent, its tools, its folders, the stack's scripts on it, its package manager."""

from engine.diagnose.card import ANY, LAST_WORDS, SCRIPTS, Card
from engine.domain import step_names
from engine.domain.message import message

_PERMISSION = (
    r"(?i)permission denied|operation not permitted|\bE(ACCES|PERM)\b|AccessDeniedException"
    r"|权限不够|不允许的操作|拒绝访问|拒絕不符權限的操作|此項操作並不被允許|許可がありません"
)
_NO_SUCH_PACKAGE = (
    r"(?i)^(error: )?no package \S+ available|unable to find a match: |no match for argument: |unable to locate package "
    r"|没有可用软件包|未找到匹配的参数|没有任何匹配|无法定位软件包"
)

HOSTS = (
    Card(
        "agent_not_running",
        ANY,
        r"Agent status not running",
        message("StarAgent is not running on {host}, or has lost its server."),
        message("Restart the agent (bin/agent.sh restart in its home), then retry the host."),
        remedy_step="restart_agent",
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
        SCRIPTS,
        r"SCRIPT MISSING",
        message("The tech stack's archive lacks the script of {step}."),
        message("Correct the script's path in the catalogue or the archive, then create a new order."),
    ),
    Card(
        "software_unknown",
        SCRIPTS,
        _NO_SUCH_PACKAGE,
        message("The package sources of {host} do not have what the tech stack installs."),
        message("Correct the stack's install list, or the sources on the host (yum repolist), then retry the host."),
    ),
    Card(
        "installer_locked",
        SCRIPTS,
        r"holding the yum lock|(\.rpm\.lock|/yum\.pid|dpkg/lock(-frontend)?|apt/lists/lock)\b",
        message("Another installation is at work on {host}: the package manager is locked."),
        message("Wait for it, or end it on the host (ps -ef), then retry the host."),
        last=LAST_WORDS,
    ),
    Card(
        "permission_denied_on_host",
        SCRIPTS,
        _PERMISSION,
        message("{step} was not allowed to do something on {host}."),
        message("Check who owns the file that is named, its mode and the login user's groups, then retry the host."),
        last=LAST_WORDS,
    ),
    Card(
        "command_missing",
        SCRIPTS,
        r"(?i)command not found|: not found$|未找到命令|找不到命令|找不到指令",
        message("{step} calls a command that {host} does not have."),
        message("Install it on the host or add it to the stack's install list, then retry the host."),
        statuses=frozenset({127}),
        last=LAST_WORDS,
    ),
    Card(
        "wrong_architecture",
        SCRIPTS,
        r"(?i)exec format error|cannot execute binary file|可执行文件格式错误|可執行檔格式錯誤|実行形式エラー",
        message("What {step} starts was built for another kind of machine than {host}."),
        message("Build the package for this host's architecture (uname -m), then create a new order."),
        last=LAST_WORDS,
    ),
)
