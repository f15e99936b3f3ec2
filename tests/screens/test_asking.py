"""A question to the store outlives neither its screen nor its deadline, and no traceback reaches an operator."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest
from textual.worker import WorkerState

from engine.api import Api
from engine.domain.problem import ProblemError
from screens.asking import ask, in_worker
from screens.workspaces import WorkspacesScreen
from tests.support.cockpit_screens import Situation, settled, until


class Gate:
    """Holds a question in its worker thread until it is opened."""

    def __init__(self) -> None:
        self.asked, self.open = threading.Event(), threading.Event()

    def __call__(self, api: Api) -> str:
        self.asked.set()
        assert self.open.wait(10)
        return "an answer"


async def test_an_answer_for_a_screen_that_was_closed_meanwhile_reaches_nobody(tmp_path: Path) -> None:
    app, gate, told = Situation(tmp_path, "fleet").app(), Gate(), []

    async def work(screen: WorkspacesScreen) -> None:
        told.append(await ask(screen, gate))

    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        screen = WorkspacesScreen()
        await app.push_screen(screen)
        worker = app.run_worker(work(screen))  # the app's: not cancelled with the screen
        await until(pilot, gate.asked.is_set)
        await app.pop_screen()
        gate.open.set()
        await until(pilot, lambda: worker.is_finished)
        assert worker.state is WorkerState.CANCELLED
    assert told == []


async def test_leaving_while_the_store_is_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    situation, gate = Situation(tmp_path, "fleet"), Gate()
    app = situation.app()
    whole = situation.api.orphan_count

    def late(tenant: str, workspace: str) -> int:
        gate(situation.api)
        return whole(tenant, workspace)

    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        monkeypatch.setattr(situation.api, "orphan_count", late)
        app.screen.reload()  # type: ignore[attr-defined]
        await until(pilot, gate.asked.is_set)
        threading.Timer(0.02, gate.open.set).start()  # answered while the widgets are taken away
    assert not app.is_running  # and `run_test` raised nothing


async def test_work_that_is_called_off_before_it_began_leaves_nothing_un_awaited(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    app, told = Situation(tmp_path, "fleet").app(), []

    async def work(number: int) -> None:
        told.append(number)

    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for number in range(5):  # each ends the one before it, in the same turn of the loop
            in_worker(app, work, number, group="preview", exclusive=True)
        await until(pilot, lambda: told == [4])
    gc.collect()
    assert [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)] == []


async def test_what_nobody_foresaw_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    situation = Situation(tmp_path, "fleet")
    app = situation.app()

    def broken() -> None:
        raise ZeroDivisionError("by nought")

    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        monkeypatch.setattr(situation.api, "workspaces", broken)
        await pilot.press("w")
        await settled(pilot)
        assert isinstance(app.screen, WorkspacesScreen)
        shown = str(app.screen.query_one("#refusal").render())
        assert "ZeroDivisionError: by nought" in shown
        assert "Report this" in shown


async def test_a_question_has_a_deadline(tmp_path: Path) -> None:
    app, gate = Situation(tmp_path, "fleet").app(), Gate()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        with pytest.raises(ProblemError) as late:
            await asyncio.create_task(ask(app, gate, 0.05))
        gate.open.set()
        assert late.value.problem.code == "store_slow"
