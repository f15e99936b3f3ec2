"""A one-time password asked for on the screen: wherever the operator is, but never into what is being typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from textual.widgets import Input

from engine.ports import Question
from engine.store import tables as t
from engine.store.prompts import about, end_prompt, insert_prompt
from engine.store.sealing import AnswerKey
from engine.store.store import Store
from screens.commands import CommandsScreen
from screens.prompt import PromptScreen
from screens.workspaces import WorkspacesScreen
from tests.support import seeds
from tests.support.cockpit_screens import Situation, press, settled, until


class Gate:
    """Asks as an engine does; the clock of the app stands still, so the question does not age."""

    def __init__(self, situation: Situation) -> None:
        self.store = Store.open(situation.url)
        self.key = AnswerKey()

    def ask(self, attempt: int = 1) -> int:
        question = Question("gate", "op@10.0.0.1:22", True, "Bank of Examples", "One-time password:", False, attempt)
        with self.store.writing() as conn:
            return insert_prompt(
                conn,
                question,
                asked_by="engine",
                public_key=self.key.public,
                now=seeds.NOW,
                deadline_at=seeds.NOW + 240,
            )

    def answer(self, prompt_id: int) -> str:
        with self.store.reading() as conn:
            sealed = conn.execute(sa.select(t.prompt.c.sealed_answer).where(t.prompt.c.id == prompt_id)).scalar_one()
        return self.key.open(str(sealed), about(prompt_id))

    def end(self, prompt_id: int) -> None:
        with self.store.writing() as conn:
            end_prompt(conn, prompt_id, "missed", seeds.NOW)


@pytest.fixture
def situation(tmp_path: Path) -> Situation:
    return Situation(tmp_path, "fleet")


def asked(app: Any) -> bool:
    """The question stands on the screen, ready for an answer."""
    return isinstance(app.screen, PromptScreen) and app.screen.is_mounted and isinstance(app.focused, Input)


def shown(app: Any) -> str:
    dialog = app.screen.query_one("#dialog")
    return f"{dialog.border_title} {app.screen.query_one('#asks').content}"


async def test_the_question_comes_by_itself_and_enter_answers_it(situation: Situation) -> None:
    app, gate = situation.app(), Gate(situation)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        prompt = gate.ask(attempt=2)
        await until(pilot, lambda: asked(app))
        text = shown(app)
        for words in (
            "Jump host gate asks",
            "op@10.0.0.1:22",
            "Bank of Examples",
            "One-time password:",
            "refused",
            "240 s",
        ):
            assert words in text
        field = app.screen.query_one("#answer", Input)
        assert field.password
        await pilot.press(*"493817", "enter")
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))
    assert gate.answer(prompt) == "493817"


async def test_it_waits_for_whoever_is_typing(situation: Situation) -> None:
    app, gate = situation.app(), Gate(situation)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "w")
        assert isinstance(app.screen, WorkspacesScreen)
        gate.ask()
        await until(pilot, lambda: bool(app._notifications))
        await pilot.press(*"abc")
        assert app.screen.query_one(Input).value == "abc"
        await pilot.press("escape")
        await until(pilot, lambda: asked(app))


async def test_escape_leaves_it_to_others_until_it_is_called_for(situation: Situation) -> None:
    app, gate = situation.app(), Gate(situation)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        prompt = gate.ask()
        await until(pilot, lambda: asked(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandsScreen))
        await pilot.press(*"answer", "enter")
        await until(pilot, lambda: asked(app))
        gate.end(prompt)  # somebody else was faster, or it was too late
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))
        # The screen goes first; the note is a message that is on its way then.
        await until(pilot, lambda: any("no longer waits" in note.message for note in app._notifications))


async def test_an_answer_that_comes_too_late_is_said(situation: Situation) -> None:
    app, gate = situation.app(), Gate(situation)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        prompt = gate.ask()
        await until(pilot, lambda: asked(app))
        situation.api.answer_prompt(prompt, "from bob")
        screen = app.screen
        await pilot.press(*"1", "enter")
        await until(pilot, lambda: app.screen is not screen or "already" in str(screen.query_one("#refusal").content))
    assert gate.answer(prompt) == "from bob"


@pytest.mark.parametrize("size", [(80, 24), (40, 14)])
async def test_its_buttons_are_in_sight_and_in_the_tab_order(situation: Situation, size: tuple[int, int]) -> None:
    app, gate = situation.app(), Gate(situation)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        gate.ask()
        await until(pilot, lambda: asked(app))
        inside = app.screen.query_one("#dialog").region
        send, leave = app.screen.query_one("#send"), app.screen.query_one("#leave")
        for button in (send, leave):
            await pilot.press("tab")
            await pilot.pause()
            assert app.focused is button
            assert inside.contains_region(button.region)
            assert button.region.height == 1
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))


async def test_a_click_answers_or_leaves_it(situation: Situation) -> None:
    app, gate = situation.app(), Gate(situation)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        gate.ask()
        await until(pilot, lambda: asked(app))
        await pilot.click("#send")  # nothing was typed: it says where
        assert isinstance(app.screen, PromptScreen)
        assert isinstance(app.focused, Input)
        await pilot.click("#leave")
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))
        prompt = gate.ask()
        await until(pilot, lambda: asked(app))
        await pilot.press(*"271828")
        await pilot.click("#send")
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))
    assert gate.answer(prompt) == "271828"
