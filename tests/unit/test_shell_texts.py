"""What `make lint` shows to shellcheck: everything that a host may be sent, and the scripts that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.steps.registry import STEPS
from tests.support import shell_texts


def test_every_step_every_script_and_the_runner_are_among_the_texts() -> None:
    names = {name for name, _ in shell_texts.built()}
    assert {f"rich step {step}" for step, row in STEPS.items() if row.remote is not None} <= names
    assert {"rich job", "attach program", "stop program", "guard program", "drain", "rich host check"} <= names
    shipped = {path.name for path in shell_texts.shipped()}
    assert {"run", "agent.sh", "deploy.sh", "curl"} <= shipped


def test_a_mistake_in_a_shell_text_is_named(tmp_path: Path) -> None:
    script = tmp_path / "bad.sh"
    script.write_text('rm -rf $HOME/$folder/*\n[[ a == b ]] && echo "yes"\n')
    said = shell_texts._checked([script])
    assert "SC2086" in said
    assert "SC3010" in said


def test_a_step_built_with_a_mistake_fails_the_lint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_texts, "drain_script", lambda *_: "for f in $(ls); do cat $f; done\n")
    monkeypatch.setattr(shell_texts, "shipped", lambda: iter(()))
    monkeypatch.setattr(shell_texts.program, "_part", shell_texts.program._part)
    assert "/drain:" in shell_texts.complaints()
