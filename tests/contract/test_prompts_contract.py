"""Questions of SSH servers through the store, on both databases: who answers, what is left of an answer, who waits no more."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_public_key
from Crypto.PublicKey import ECC

from engine.api import Api
from engine.api_errors import ApiError
from engine.ports import Question
from engine.run import prompts as asking
from engine.run.clock import SystemClock
from engine.run.prompts import Prompts
from engine.store import tables as t
from engine.store.prompts import SILENT_S
from engine.store.sealing import AnswerKey, SealBroken, seal
from engine.store.store import Store
from engine.views.engines import PromptView
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401
from tests.support.processes import files_holding
from tests.support.ssh_servers import until

SECRET = "needle-in-a-haystack-731"
QUESTION = Question("gate", "op@gate.example:22", True, "Two factors", "Code:", False, 1)


@dataclass
class Desk:
    store: Store
    url: str
    folder: Path
    prompts: Prompts

    def api(self, operator: str = "alice") -> Api:
        api = Api(self.url, operator=operator, log_dir=self.folder)
        api.open()
        return api

    def column(self, name: str) -> list[object]:
        with self.store.reading() as conn:
            return list(conn.execute(sa.select(t.prompt.c[name]).order_by(t.prompt.c.id)).scalars())


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "store"
    server: PostgresServer | None = None
    if request.param == "sqlite":
        url, database = f"sqlite:///{folder}/cockpit.db", ""
    else:
        server = request.getfixturevalue("postgres_server")
        database = server.create_database()
        url, folder = server.url(database), server.folder
    store = Store.open(url)
    yield Desk(store, url, folder, Prompts(store, SystemClock()))
    store.close()
    if server is not None:
        server.drop_database(database)


async def asked(api: Api) -> PromptView:
    await until(lambda: bool(api.prompts()))
    return api.prompts()[0]


async def test_the_first_answer_reaches_the_engine_and_leaves_nothing_behind(desk: Desk) -> None:
    asking_it = asyncio.create_task(desk.prompts.ask(QUESTION, 20))
    alice, bob = desk.api("alice"), desk.api("bob")
    view = await asked(alice)
    assert (view.hop, view.login, view.question, view.echo, view.attempt) == (
        "gate",
        "op@gate.example:22",
        "Code:",
        False,
        1,
    )
    alice.answer_prompt(view.id, SECRET)
    with pytest.raises(ApiError) as late:
        bob.answer_prompt(view.id, "other")
    assert late.value.problem.code == "prompt_ended"
    assert await asking_it == SECRET
    assert alice.prompts() == ()
    assert (desk.column("outcome"), desk.column("sealed_answer"), desk.column("answered_by")) == (
        ["answered"],
        [None],
        ["alice"],
    )
    with desk.store.reading() as conn:
        audit = conn.execute(sa.select(t.audit)).one()
    assert (audit.operator, audit.act, audit.target) == ("alice", "answer_prompt", "op@gate.example:22")
    # Not in a table, a write-ahead log or a server log: plain, or as anything somebody might take for hidden.
    for form in (SECRET.encode(), b64encode(SECRET.encode()), SECRET.encode().hex().encode()):
        assert files_holding(desk.folder, form) == []
    alice.close()
    bob.close()


async def test_nobody_answers_in_time(desk: Desk) -> None:
    assert await desk.prompts.ask(QUESTION, 0.6) is None
    api = desk.api()
    assert api.prompts() == ()
    assert desk.column("outcome") == ["missed"]
    with pytest.raises(ApiError) as late:
        api.answer_prompt(1, SECRET)
    assert late.value.problem.code == "prompt_ended"
    api.close()


async def test_a_question_that_is_withdrawn_leaves_the_screens(desk: Desk) -> None:
    asking_it = asyncio.create_task(desk.prompts.ask(QUESTION, 20))
    api = desk.api()
    await asked(api)
    asking_it.cancel()
    await asyncio.gather(asking_it, return_exceptions=True)
    assert api.prompts() == ()
    assert desk.column("outcome") == ["withdrawn"]
    api.close()


async def test_a_question_withdrawn_while_it_is_being_written_is_withdrawn_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, go_on = threading.Event(), threading.Event()
    real = Prompts._insert

    def slow(self: Prompts, question: Question, public_key: str, left_s: float) -> int:
        prompt_id = real(self, question, public_key, left_s)
        written.set()
        assert go_on.wait(20)
        return prompt_id

    monkeypatch.setattr(Prompts, "_insert", slow)
    asking_it = asyncio.create_task(desk.prompts.ask(QUESTION, 20))
    await until(written.is_set)
    asking_it.cancel()
    go_on.set()
    await asyncio.gather(asking_it, return_exceptions=True)
    assert desk.column("outcome") == ["withdrawn"]


async def test_the_question_of_an_engine_that_was_killed_is_shown_no_more(desk: Desk) -> None:
    asking_it = asyncio.create_task(desk.prompts.ask(QUESTION, 120))
    api = desk.api()
    await asked(api)
    later = Api(
        desk.url,
        operator="alice",
        log_dir=desk.folder,
        now=lambda: SystemClock().now() + SILENT_S + asking.BEAT_EVERY_S,
    )
    later.open()
    assert later.prompts() == ()
    asking_it.cancel()
    await asyncio.gather(asking_it, return_exceptions=True)
    later.close()
    api.close()


async def test_a_living_engine_says_that_it_still_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "BEAT_EVERY_S", 0.1)
    asking_it = asyncio.create_task(desk.prompts.ask(QUESTION, 20))
    api = desk.api()
    await asked(api)
    first = desk.column("beat_at")
    await until(lambda: desk.column("beat_at") != first)
    asking_it.cancel()
    await asyncio.gather(asking_it, return_exceptions=True)
    api.close()


@pytest.mark.parametrize("answer", ["", "two\nlines", "x" * 511])
async def test_what_cannot_be_an_answer_is_refused(desk: Desk, answer: str) -> None:
    asking_it = asyncio.create_task(desk.prompts.ask(QUESTION, 20))
    api = desk.api()
    view = await asked(api)
    with pytest.raises(ApiError) as refused:
        api.answer_prompt(view.id, answer)
    assert refused.value.problem.code == "answer_unusable"
    api.answer_prompt(view.id, "x" * 510)
    assert await asking_it == "x" * 510
    api.close()


async def test_there_is_no_such_question(desk: Desk) -> None:
    api = desk.api()
    with pytest.raises(ApiError) as missing:
        api.answer_prompt(99, SECRET)
    assert missing.value.problem.code == "no_such_prompt"
    api.close()


def test_a_sealed_answer_opens_with_its_key_and_for_its_question_only() -> None:
    key = AnswerKey()
    sealed = seal(key.public, "密码 493817", "prompt 1")
    assert key.open(sealed, "prompt 1") == "密码 493817"
    assert len(seal(key.public, "1", "prompt 1")) == len(sealed)  # its length is not told
    for opens in (lambda: key.open(sealed, "prompt 2"), lambda: AnswerKey().open(sealed, "prompt 1")):
        with pytest.raises(SealBroken):
            opens()
    for broken in ("", "?", sealed[:40], sealed[:-8] + "AAAAAAA="):
        with pytest.raises(SealBroken):
            key.open(broken, "prompt 1")


def test_what_is_sealed_is_rfc_9180_to_an_implementation_that_is_not_ours() -> None:
    """Both ways with PyCryptodome's HPKE: X25519, HKDF-SHA256, ChaCha20-Poly1305, base mode, the question as `info`."""
    cipher, info = HPKE.AEAD.CHACHA20_POLY1305, b"cockpit answer 2\0prompt 7"
    theirs = ECC.generate(curve="Curve25519")
    public = b64encode(theirs.public_key().export_key(format="raw")).decode()
    sealed = b64decode(seal(public, "493817", "prompt 7"))
    plain = HPKE.new(receiver_key=theirs, aead_id=cipher, enc=sealed[:32], info=info).unseal(sealed[32:])
    assert plain == b"\0\x06493817".ljust(512, b"\0")

    key = AnswerKey()
    ours = import_x25519_public_key(b64decode(key.public))
    sender = HPKE.new(receiver_key=ours, aead_id=cipher, info=info)
    answer = sender.enc + sender.seal(b"\0\x03abc".ljust(512, b"\0"))
    assert key.open(b64encode(answer).decode(), "prompt 7") == "abc"
