"""The report of an order: true to its data in Markdown, HTML and JSON, and nothing from outside gets out of its place."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cockpit.cli.run import run
from engine.domain.clean import clean_text
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.store import tables as t
from engine.store.store import Store
from screens import report
from tests.support import seeds

Out = pytest.CaptureFixture[str]
HOSTILE = "| x | <script>alert(1)</script> [a](javascript:x) ``` `a` **b** &lt; \u202eabc\n# no heading\n---"


class Text(HTMLParser):
    """What a reader of a page sees, and the names of its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def read(page: str) -> Text:
    found = Text()
    found.feed(page)
    return found


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    config = tmp_path / "config.toml"
    config.write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    found = Store.open(f"sqlite:///{tmp_path}/store.db", create=True)
    seeds.seed_fleet(found)
    return found


def told(store: Store, capsys: Out, *how: str) -> str:
    assert run(["order", "report", "1", *how, "--store", store.url, "--tenant", "acme", "--workspace", "prod"]) == 0
    return capsys.readouterr().out


def test_a_rolled_back_order_tells_its_course_its_weights_and_why_it_failed(store: Store, capsys: Out) -> None:
    seeds.seed_order(store, "rolled_back")
    text = told(store, capsys)
    assert text.startswith("# order #1: release 2.0.0 trade-core\n")
    assert "| state | rolled back |" in text
    assert "| ✔ Beta confirm | succeeded | hz-01 hz-05 |" in text
    assert "| hz-03 | 2.0.0 → 1.0.0 | ✔ succeeded | 1.0.0 | 2 | 100 |" in text
    assert "**hz-03, attempt 1, " in text
    assert "```\npassed:false\ndb: connection refused\n```" in text
    weights = [
        line for line in text.split("## Weights over time")[1].splitlines() if "hz-03 in" in line and "weight " in line
    ]
    assert [line.split("weight ")[1] for line in weights] == [
        "100 → 0, verified |",
        "0 → 0, verified |",
        "0 → 100, verified |",
    ]
    assert told(store, capsys) == text


def test_an_order_that_still_runs_says_so_and_leaves_out_what_there_is_nothing_of(store: Store, capsys: Out) -> None:
    seeds.seed_order(store, "ready")
    text = told(store, capsys)
    assert "| ended | - |" in text
    for absent in ("## What failed", "## Weights over time", "## Who did what"):
        assert absent not in text


def test_what_the_check_found_is_what_failed(store: Store, capsys: Out) -> None:
    seeds.seed_order(store, "init_failed")
    assert "## What failed" in told(store, capsys)


def test_who_did_what_is_in_it_with_the_refusal(store: Store, capsys: Out) -> None:
    seeds.seed_order(store, "halted")
    with store.writing() as conn:
        person = conn.execute(sa.insert(t.operator).values(name="eve").returning(t.operator.c.id)).scalar_one()
        conn.execute(sa.insert(t.operator_role).values(operator_id=person, tenant_id=1, role="viewer"))
    place = ["--store", store.url, "--tenant", "acme", "--workspace", "prod"]
    assert run(["order", "cancel", "1", "--reason", "let | me", *place]) == 1
    capsys.readouterr()
    (line,) = [line for line in told(store, capsys).splitlines() if "cancel" in line and line.startswith("| 2")]
    assert "refused" in line
    assert line.endswith("| let \\| me |")


def test_the_page_for_a_browser_says_the_same_and_fetches_and_runs_nothing(store: Store, capsys: Out) -> None:
    seeds.seed_order(store, "rolled_back")
    page = read(told(store, capsys, "--html"))
    assert {"table", "pre", "h1", "h2"} <= set(page.tags)
    assert not {"script", "img", "link", "iframe", "a"} & set(page.tags)
    for said in ("order #1: release 2.0.0 trade-core", "hz-03, attempt 1", "db: connection refused"):
        assert said in page.text


def test_json_has_the_data_whole(store: Store, capsys: Out) -> None:
    seeds.seed_order(store, "rolled_back")
    found = json.loads(told(store, capsys, "--json"))
    assert set(found) == {"order", "history", "attempts", "events", "made_at"}
    assert found["order"]["state"] == "rolled_back"
    assert [each["number"] for each in found["attempts"] if each["host"] == "hz-03"] == [1, 1]


def test_it_speaks_the_language_in_use(store: Store, tmp_path: Path, capsys: Out) -> None:
    seeds.seed_order(store, "halted")
    (tmp_path / "config.toml").write_text('language = "zh_CN"\n')
    text = told(store, capsys)
    assert "## 失败" in text
    assert "hz-03：权重 100 → 0，已核实" in text


def test_an_order_that_is_not_there_is_said_to_be_so(store: Store, capsys: Out) -> None:
    place = ["--store", store.url, "--tenant", "acme", "--workspace", "prod"]
    assert run(["order", "report", "7", *place]) == 2
    assert "#7" in capsys.readouterr().err


def test_all_events_of_a_long_order_are_read(store: Store) -> None:
    seeds.seed_order(store, "ready")
    with store.writing() as conn:
        conn.execute(
            sa.insert(t.event), [{"order_id": 1, "at": float(n), "kind": "x", "data": {}} for n in range(1200)]
        )
    from engine.api import Api

    api = Api(store.url, operator="alice", log_dir=Path("/nowhere"))
    api.open()
    events = list(report.every_event(api, 1))
    assert len([event for event in events if event.kind == "x"]) == 1200
    assert [event.id for event in events] == sorted({event.id for event in events})


# ------------------------------------------------------------------------------------------------------- hostile text


@given(st.text(max_size=60) | st.just(HOSTILE))
def test_any_text_stays_in_its_cell_and_is_read_as_it_is(text: str) -> None:
    table = report._table(("a", "b"), [(text, "end")])
    page = read(MarkdownIt("commonmark", {"html": False}).enable("table").render(table))
    assert page.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert " ".join(page.text.split()) == " ".join(f"a b {' '.join(clean_text(text).split())} end".split())


@given(st.text(max_size=60) | st.just(HOSTILE))
def test_evidence_never_leaves_its_quotation(text: str) -> None:
    problem = Problem("x", message("It failed."), message("Look."), f"first {text} last")
    page = read(
        MarkdownIt("commonmark", {"html": False}).enable("table").render(report._problem(text or "hz-01", problem))
    )
    assert page.tags.count("pre") == 1
    assert not set(page.tags) - {"p", "strong", "pre", "code"}
