"""What a failed step's log is taken for."""

from __future__ import annotations

import re

import pytest

from engine.diagnose import explain
from engine.diagnose.cards import CARDS
from engine.domain import step_names
from engine.domain.problem import Problem
from engine.steps.registry import STEPS, step


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
        (step_names.CHECK_HEALTH, "attempt 9: HTTP 200: passed:false", "health_check_failed"),
    ],
)
def test_a_line_is_known_by_its_card_and_shown(step: str, line: str, code: str) -> None:
    problem = said(step, f"before\n\x1b[31m{line}\x1b[0m\n")
    assert problem.code == code
    assert line in problem.evidence
    assert "{" not in str(problem)


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
