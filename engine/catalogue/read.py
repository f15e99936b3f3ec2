"""Reads catalogue files: YAML to shapes to one catalogue, with every problem of every file named at once.

Nothing is written anywhere; applying a catalogue to a store is `engine.store.catalogue`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.catalogue.catalogue import Catalogue
from engine.catalogue.merge import Merge
from engine.catalogue.models import Document
from engine.catalogue.problems import CatalogueError, CatalogueProblem
from engine.catalogue.references import Check, names_of
from engine.catalogue.source import Place, Source, parse_source, read_source
from engine.catalogue.words import FROM_A_FILE, SENTENCES
from engine.domain.message import Message, message


def read_files(paths: Iterable[str | Path], *, known: Catalogue | None = None) -> Catalogue:
    """The catalogue that the files make together. A name they refer to must be in one of them or in `known` (what the store
    has: `engine.store.catalogue.stored`). Raises CatalogueError with every problem found."""
    return _read([read_source(Path(path)) for path in paths], known)


def read_text(text: str, *, file: str = "catalogue", known: Catalogue | None = None) -> Catalogue:
    """As `read_files`, of YAML at hand; `file` is its name in problems. Raises CatalogueError."""
    return _read([parse_source(file, text)], known)


def _read(sources: Sequence[Source], known: Catalogue | None) -> Catalogue:
    problems: list[CatalogueProblem] = []
    documents: list[tuple[Source, Document]] = []
    for source in sources:
        document = _document(source)
        problems += source.problems
        if document is not None:
            documents.append((source, document))
    merge = Merge()
    tenants, operators = merge.catalogue(documents)
    problems += merge.problems
    # References into a file that could not be read would all be called unknown: ask only when every file was read.
    places: dict[tuple[str, ...], tuple[str, int, str]] = {}
    if len(documents) == len(sources):
        names = names_of(chain(known.tenants if known else (), tenants))
        for source, document in documents:
            check = Check(source, names)
            check.document(document)
            problems += check.problems
            places |= check.places
    if problems:
        order = {source.file: number for number, source in enumerate(sources)}
        raise CatalogueError(sorted(_once(problems), key=lambda p: (order[p.file], p.line, p.path)))
    return Catalogue(tenants, operators, places)


def _once(problems: Iterable[CatalogueProblem]) -> list[CatalogueProblem]:
    """The same problem found on two ways is said once (a message's params make it unhashable, so not by a set)."""
    return list({str(problem): problem for problem in problems}.values())


def _document(source: Source) -> Document | None:
    if source.data is None:
        return None
    try:
        return Document.model_validate(source.data, context=FROM_A_FILE)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            place: Place = tuple(part for part in found["loc"] if part != "[key]")
            if place not in source.refused:
                source.problems.append(source.problem(place, sentence_of(found, source.words.get(place, ""))))
        return None


def sentence_of(found: Any, word: str) -> Message:
    """A pydantic error in an operator's words; `word` is what stands in the file."""
    kind: str = found["type"]
    context: Mapping[str, Any] = found.get("ctx", {})
    if kind == "catalogue":
        return SENTENCES[str(context["rule"])]
    if kind == "missing":
        return message("is missing")
    if kind == "extra_forbidden":
        return message("is not a key a catalogue knows here; check its spelling")
    if kind == "string_type":
        return _text_expected(found["input"], word)
    if kind == "int_type":
        return message("must be a whole number, without quotes")
    if kind == "bool_type":
        return message("must be true or false, without quotes")
    if kind == "list_type":
        return message("must be a list")
    if kind in ("too_short", "string_too_short"):
        return message("must not be empty")
    if kind in ("model_type", "dict_type"):
        return message("must be a mapping: lines of key: value")
    if kind in ("literal_error", "enum"):
        return message("must be one of: {choices}", choices=str(context.get("expected", "")).replace("'", ""))
    if kind == "greater_than_equal":
        return message("must be at least {limit}", limit=context["ge"])
    if kind == "less_than_equal":
        return message("must be at most {limit}", limit=context["le"])
    if kind == "string_pattern_mismatch":
        return SENTENCES["name"]
    return message("is not accepted: {reason}", reason=str(found["msg"]))


def _text_expected(given: object, word: str) -> Message:
    if given is None:
        return message("must be text, but nothing is written there")
    if isinstance(given, bool | int | float):
        return message('must be text; write it in quotes, for example "{given}"', given=word or str(given))
    return message("must be text")
