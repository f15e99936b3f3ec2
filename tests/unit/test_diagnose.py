"""What a failed step's log is taken for."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diagnose import explain
from engine.diagnose.deck import CARDS
from engine.domain import step_names
from engine.domain.problem import Problem
from engine.steps.registry import STEPS, step

# What tools really print, in English and in Chinese: the C library's, bash's, wget's, apt's own catalogues, yum and Java on hosts.
RECORDED = (
    ("disk_read_only", step_names.DEPLOY, (
        "touch: cannot touch '/home/admin/apps/x': Read-only file system",
        "touch: 无法创建 '/home/admin/apps/x': 只读文件系统",
        "touch: 唯讀的檔案系統",
    )),
    ("disk_broken", step_names.INSTALL_SOFTWARE, (
        "cp: error reading 'app.jar': Input/output error", "cp: 读取 'app.jar' 时出错: 输入/输出错误",
    )),
    ("stack_missing", step_names.DOWNLOAD_SCRIPTS, (
        "2026-11-29 01:02:03 ERROR 404: Not Found.", "2026-11-29 01:02:03 错误 404：Not Found。",
        "curl: (22) The requested URL returned error: 404",
    )),
    ("package_missing", step_names.DOWNLOAD_PACKAGE, (
        "2026-11-29 01:02:03 错误 404：Not Found。", "curl: (22) The requested URL returned error: 404 Not Found",
    )),
    ("download_denied", step_names.DOWNLOAD_PACKAGE, (
        "2026-11-29 01:02:03 ERROR 403: Forbidden.", "2026-11-29 01:02:03 错误 403：Forbidden。",
    )),
    ("software_unknown", step_names.INSTALL_SOFTWARE, (
        "No package tengine available.", "没有可用软件包 tengine。", "Error: Unable to find a match: tengine",
        "No match for argument: tengine", "未找到匹配的参数: tengine", "E: Unable to locate package tengine",
        "E: 无法定位软件包 tengine",
    )),
    ("installer_locked", step_names.INSTALL_SOFTWARE, (
        "Another app is currently holding the yum lock; waiting for it to exit...",
        "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)",
        "E: 无法获得锁 /var/lib/dpkg/lock-frontend。锁正由进程 713（apt-get）持有",
    )),
    ("permission_denied_on_host", step_names.DEPLOY, (
        "bash: ./start.sh: Permission denied", "bash: ./start.sh: 权限不够", "chown: 正在更改 'x' 的所有者: 不允许的操作",
        "java.nio.file.AccessDeniedException: /home/admin/logs/x.log", "mkdir: 拒絕不符權限的操作",
    )),
    ("command_missing", step_names.DEPLOY, (
        "start.sh: line 3: jps: command not found", "start.sh:行3: jps: 未找到命令", "start.sh: 3: jps: not found",
    )),
    ("wrong_architecture", step_names.DEPLOY, (
        "bash: ./tengine: cannot execute binary file: Exec format error", "bash: ./tengine: 可执行文件格式错误",
    )),
    ("step_timed_out", step_names.DEPLOY, ("python run time out", "脚本执行超时")),
    ("out_of_memory", step_names.DEPLOY, (
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
        "OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory(0x0, 1, 0) failed; error='Cannot allocate memory'",
        "OpenJDK 64-Bit Server VM warning: os::commit_memory 失败; error='无法分配内存' (errno=12)",
        "# There is insufficient memory for the Java Runtime Environment to continue.", "bash: fork: 无法分配内存",
    )),
    ("killed", step_names.DEPLOY, (
        "start.sh: line 12:  4711 Killed                  java -jar app.jar", "start.sh:行12:  4711 已杀死               java -jar",
    )),
    ("too_many_files", step_names.DEPLOY, (
        "java.net.SocketException: Too many open files", "java.net.SocketException: 打开的文件过多",
    )),
    ("java_too_old", step_names.DEPLOY, (
        "java.lang.UnsupportedClassVersionError: com/acme/Shop has been compiled by a more recent version of the Java Runtime"
        " (class file version 61.0)",
    )),
    ("java_class_missing", step_names.DEPLOY, (
        "Error: Could not find or load main class com.acme.Shop", "错误: 找不到或无法加载主类 com.acme.Shop",
        "Error: Unable to access jarfile app.jar", "错误: 无法访问 jarfile app.jar",
    )),
    ("name_unknown", step_names.DEPLOY, (
        "java.net.UnknownHostException: db.acme: Name or service not known", "ping: db.acme: 未知的名称或服务",
        "java.net.UnknownHostException: db.acme: 域名解析暂时失败", "curl: (6) Could not resolve host: db.acme",
        "wget: 无法解析主机地址 “db.acme”",
    )),
    ("connection_refused", step_names.DEPLOY, (
        "java.net.ConnectException: Connection refused (Connection refused)",
        "java.net.ConnectException: 拒绝连接 (Connection refused)", "正在连接 db.acme|10.0.0.9|:80... 失败：拒绝连接。",
    )),
    ("network_unreachable", step_names.DEPLOY, (
        "connect: No route to host", "connect: 没有到主机的路由", "connect: Network is unreachable", "connect: 网络不可达",
        "java.net.ConnectException: Connection timed out", "java.net.ConnectException: 连接超时 (Connection timed out)",
    )),
    ("agent_not_running", step_names.CHECK_AGENT, ("Agent status not running",)),
)  # fmt: skip


def said(name: str, log: str, status: int | None = 1, timed_out: bool = False) -> Problem:
    return explain(step(name), status, timed_out, log, host="hz-01", app="trade-core")


@pytest.mark.parametrize(
    ("step", "line", "code"),
    [
        (step_names.DEPLOY, "cp: write error: No space left on device", "disk_full"),
        (step_names.DOWNLOAD_SCRIPTS, "ERROR 404: Not Found", "stack_missing"),
        (step_names.DOWNLOAD_PACKAGE, "ERROR 404: Not Found", "package_missing"),
        (step_names.DOWNLOAD_PACKAGE, "CHECKSUM MISMATCH expected a got b", "checksum_mismatch"),
        (step_names.CHECK_AGENT, "Agent status not running", "agent_not_running"),
        (step_names.DEPLOY, "python run time out", "step_timed_out"),
        (step_names.DEPLOY, "java.net.BindException: Address already in use", "port_in_use"),
        (step_names.DEPLOY, "cp: 写入 'app.jar' 出错: 设备上没有空间", "disk_full"),
        (step_names.INSTALL_SOFTWARE, "java.io.IOException: 设备上没有空间", "disk_full"),
        (step_names.DEPLOY, "tar: 無法寫入: 裝置上已無多餘空間", "disk_full"),
        (step_names.DEPLOY, "cp: 磁碟配額已滿", "disk_full"),
        (step_names.DEPLOY, "bind: 位址已經有在使用", "port_in_use"),
        (step_names.DEPLOY, "cp: デバイスに空き領域がありません", "disk_full"),
        (step_names.DEPLOY, "cp: 超出磁盘限额", "disk_full"),
        (step_names.DEPLOY, "Error: ENOSPC: no space left on device, write", "disk_full"),
        (step_names.DEPLOY, "Error: ENOSPC: System limit for number of file watchers reached", "script_failed"),
        (step_names.DEPLOY, "java.net.BindException: 地址已在使用 (Bind failed)", "port_in_use"),
        (
            step_names.DEPLOY,
            "(98)地址已在使用中: AH00072: make_sock: could not bind to address 0.0.0.0:80",
            "port_in_use",
        ),
        (step_names.DEPLOY, "Web server failed to start. Port 8080 was already in use.", "port_in_use"),
        (step_names.DEPLOY, "Error: listen EADDRINUSE: address already in use :::3000", "port_in_use"),
        (step_names.DEPLOY, "OSError: [Errno 98] Address already in use", "port_in_use"),
        (step_names.DEPLOY, "端口 9500 已被占用", "port_in_use"),
        (step_names.DEPLOY, "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", "port_in_use"),
        (step_names.INSTALL_SOFTWARE, "2026-11-29 01:02:03 错误 404：Not Found。", "download_missing"),
        (step_names.DEPLOY, "the name web is already in use by another unit", "script_failed"),
        (step_names.DEPLOY, "something else", "script_failed"),
        *[(step, line, code) for code, step, lines in RECORDED for line in lines],
        (step_names.CHECK_HEALTH, "attempt 9: HTTP 200: passed:false", "health_check_failed"),
    ],
)
def test_a_line_is_known_by_its_card_and_shown(step: str, line: str, code: str) -> None:
    problem = said(step, f"before\n\x1b[31m{line}\x1b[0m\n")
    assert problem.code == code
    assert line in problem.evidence
    assert "{" not in str(problem)


# Told by the words that our own steps print.
OURS = {
    "checksum_mismatch", "checksum_unknown", "archive_unsafe", "archive_broken", "download_failed", "tool_missing",
    "home_not_writable", "script_missing",
}  # fmt: skip


def test_every_card_is_known_by_words_that_were_really_printed() -> None:
    recorded = {code for code, _step, _lines in RECORDED} | {"disk_full", "port_in_use", "download_missing"}
    assert {card.code for card in CARDS} == recorded | OURS


@pytest.mark.parametrize(("status", "code"), [(137, "killed"), (127, "command_missing"), (1, "script_failed")])
def test_a_status_alone_is_known_with_the_last_lines_as_evidence(status: int, code: str) -> None:
    problem = said(step_names.DEPLOY, "starting\nstill starting\n", status)
    assert (problem.code, problem.evidence) == (code, "starting\nstill starting")


def test_what_is_said_long_before_the_end_explains_nothing_where_it_may_be_harmless() -> None:
    """A script that waits for its port is refused until it listens; that is not why it fails an hour later."""
    waits = "curl: (7) Failed to connect to localhost port 9500: Connection refused\n" * 5
    assert said(step_names.DEPLOY, waits + "component started\n" * 8 + "oops\n").code == "script_failed"
    assert said(step_names.DEPLOY, waits).code == "connection_refused"


def test_an_unknown_failure_says_so_and_shows_its_last_lines() -> None:
    problem = said(step_names.DEPLOY, "".join(f"line {number}\n" for number in range(9)), 3)
    assert "unknown failure" in str(problem.what)
    assert problem.evidence == "line 5\nline 6\nline 7\nline 8"


# Words of logs in which nothing failed, and what an app may be told by strangers.
_FOREIGN = st.text(
    alphabet=st.characters(exclude_categories=["Cs"])
    | st.sampled_from(list("{}[]()%\\*+?|^$<&\x1b\x07\x9b\u202e\n\t")),
    max_size=300,
)
_HARMLESS = st.sampled_from(
    [
        "INFO  0 errors, 404 products loaded", "port 8080 is open", "connection pool: 10 in use", "space left: 10 GiB",
        "killed 0 idle sessions", "the permission of alice was granted", "memory: 512 MiB of 2 GiB",
        "agent status: running", "no timeouts", "file system: ext4, read-write", "设备已就绪", "端口 8080 已监听",
        "连接成功", "内存使用正常", "权限检查通过", "command found", "package tengine is available", "host key is known",
    ]
)  # fmt: skip


@given(st.lists(_FOREIGN | _HARMLESS, max_size=20), st.sampled_from(sorted(STEPS)))
def test_no_card_takes_foreign_text_for_its_own(lines: list[str], name: str) -> None:
    problem = said(name, "\n".join(lines), 1)
    assert problem.code in {"script_failed", "health_check_failed", "command_missing"}
    assert problem.code != "command_missing" or ": not found" in problem.evidence
    assert len(problem.evidence.splitlines()) <= 5
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", problem.evidence)
    assert str(problem)


@given(_FOREIGN, st.sampled_from([(step, line, code) for code, step, lines in RECORDED for line in lines]))
def test_a_card_is_found_behind_any_foreign_text(before: str, seen: tuple[str, str, str]) -> None:
    step, line, code = seen
    problem = said(step, f"{before}\n{line}\n")
    assert (problem.code, problem.evidence.splitlines()[-1]) == (code, line[:400])


def test_a_line_without_end_is_cut_and_searched_in_no_time() -> None:
    began = time.perf_counter()
    said(step_names.DEPLOY, ("port 1 " * 200_000) + "\n" + "端口" * 500_000)
    assert time.perf_counter() - began < 2.0


def test_words_of_an_earlier_step_explain_nothing() -> None:
    log = "── 10:00:00 download_package\nERROR 404: Not Found\nNo space left on device\n── 10:00:05 deploy\noops\n"
    problem = said(step_names.DEPLOY, log, 7)
    assert (problem.code, problem.evidence) == ("script_failed", "oops")
    assert "exit status 7" in str(problem.what)


def test_a_deadline_is_named_and_a_full_disk_still_explains_it() -> None:
    assert "deploy_deadline_s" in str(said(step_names.DEPLOY, "x", None, True))
    assert said(step_names.DEPLOY, "x", None, True).code == "step_timed_out"
    assert said(step_names.DEPLOY, "No space left on device", None, True).code == "disk_full"


def test_an_old_line_in_the_apps_logs_does_not_hide_the_health_check() -> None:
    log = "attempt 1: HTTP 503: passed:false\n--- last lines\nNo space left on device\nHEALTH CHECK NOT PASSED\n"
    problem = said(step_names.CHECK_HEALTH, log)
    assert problem.code == "health_check_failed"
    assert "sofa-healthcheck.log" in str(problem.remedy)
    assert "trade-core" in str(problem.remedy)


def test_silence_is_told_from_a_no() -> None:
    assert said(step_names.CHECK_HEALTH, "", None, True).code == "health_check_timed_out"


def test_evidence_is_short_and_holds_no_secret() -> None:
    problem = said(step_names.DEPLOY, "No space left on device Signature=abc&x\n" * 50)
    assert len(problem.evidence.splitlines()) == 5
    assert "abc" not in problem.evidence


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.code)
def test_every_card_can_be_read_and_filled_in(card: object) -> None:
    for each in CARDS:
        if each is card:
            re.compile(each.pattern)
            for step in each.steps or STEPS:
                assert str(each.what.text.format(step=step, host="h", app="a"))
                assert str(each.remedy.text.format(step=step, host="h", app="a"))
