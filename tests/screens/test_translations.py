"""Everything that is said to people is said in every language, with the same fields."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from cockpit.app import LOCALE_DIR
from engine.domain.message import message
from engine.domain.states import (
    Act,
    AppStatus,
    HostState,
    NodeState,
    OrderState,
    RunState,
    StepState,
)
from engine.kinds.registry import KINDS
from engine.steps.registry import STEPS
from engine.views.orders import StepView
from screens import translate, words

ROOT = LOCALE_DIR.parent.parent


@pytest.fixture(scope="module")
def catalogues() -> ModuleType:
    spec = importlib.util.spec_from_file_location("locale_update", LOCALE_DIR / "update.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def english_afterwards() -> object:
    yield
    translate.use("en", LOCALE_DIR)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_sentence_is_translated_with_its_fields_and_compiled(language: str, catalogues: ModuleType) -> None:
    template = catalogues.extracted()
    assert len(template) > 300
    assert catalogues.complaints(language, template) == []


@pytest.mark.parametrize("folder", ["screens", "cockpit", "engine"])
def test_no_sentence_hides_from_the_extraction_inside_an_f_string(folder: str) -> None:
    hidden = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                hidden += [f"{path}:{node.lineno}" for part in ast.walk(node) if _says_something(part)]
    assert hidden == []


def _says_something(node: ast.AST) -> bool:
    named = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "ngettext", "message")
    )
    return named and any(isinstance(given, ast.Constant) for given in node.args)  # type: ignore[attr-defined]


@pytest.mark.parametrize("vocabulary", [OrderState, NodeState, RunState, StepState, HostState, AppStatus])
def test_every_state_has_a_word_a_glyph_and_a_tone(vocabulary: type) -> None:
    translate.use("zh_CN", LOCALE_DIR)
    for state in vocabulary:
        assert words.word(state)
        assert not words.word(state).isascii()
        assert len(words.glyph(state)) == 1
        assert words.tone(state) in words.Tone


def test_every_step_kind_and_act_has_a_word() -> None:
    translate.use("zh_CN", LOCALE_DIR)
    steps = [StepView(name, name, "", StepState.PENDING, None, None, None) for name in STEPS]
    for said in [*map(words.step_word, steps), *map(words.kind_word, KINDS), *map(words.act_word, Act)]:
        assert said
        assert not said.isascii()


def test_a_state_inside_a_message_is_said_in_words_but_a_name_stays() -> None:
    translate.use("zh_CN", LOCALE_DIR)
    assert (
        translate.tr(message("Order #{id} has ended ({state}).", id=7, state="rolled_back"))
        == "发布单 #7 已结束（已回滚）。"
    )
    said = translate.tr(message("{name} is listed twice", name="running"))
    assert said == "running 列出了两次"


def test_a_message_nobody_translated_is_said_in_english(tmp_path: Path) -> None:
    translate.use("zh_CN", LOCALE_DIR)
    assert translate.tr(message("no such {thing} anywhere", thing="sentence")) == "no such sentence anywhere"
    translate.use("xx", tmp_path)
    assert translate.tr(message("{count} failed", count=1)) == "1 failed"
