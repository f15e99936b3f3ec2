"""Keep the catalogues in step with the sources: `python cockpit/locale/update.py` extracts, merges and compiles.

With `--check` nothing is written; it exits with 1 and says what is missing, when a sentence of screens, cockpit or engine has
no translation, or a compiled catalogue is older than its source. Babel is a development dependency; the app reads only .mo files.
"""

from __future__ import annotations

import string
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

LOCALE_DIR = Path(__file__).parent
ROOT = LOCALE_DIR.parent.parent
FOLDERS = ("cockpit", "engine", "screens")
LANGUAGES = ("zh_CN", "en")
KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "message": None, "ngettext": (1, 2)}


def extracted() -> Catalog:
    """Every sentence that is shown to people, with the files it stands in."""
    catalogue = Catalog(project="cockpit", charset="utf-8")
    for folder in FOLDERS:
        found = extract_from_dir(ROOT / folder, method_map=[("**.py", "python")], keywords=KEYWORDS)
        for file, _line, text, _comments, context in found:
            if text and text != ("", ""):
                catalogue.add(text, locations=[(f"{folder}/{file}", 0)], context=context)
    return catalogue


def po_path(language: str) -> Path:
    return LOCALE_DIR / language / "LC_MESSAGES" / "cockpit.po"


def read(language: str) -> Catalog:
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language, project="cockpit", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def merged(language: str, template: Catalog) -> Catalog:
    """The language's catalogue with the template's sentences; nothing is guessed. English says what the sources say."""
    catalogue = read(language)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.header_comment = f"# The cockpit's sentences in {language}."
    if language == "en":
        for entry in catalogue:
            if entry.id:
                entry.string = entry.id
    return catalogue


def compiled(catalogue: Catalog) -> bytes:
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def fields(text: str) -> set[str]:
    """The `{names}` a sentence is filled in with."""
    return {name for _text, name, _format, _conversion in string.Formatter().parse(text) if name is not None}


def complaints(language: str, template: Catalog) -> list[str]:
    """What is wrong with a catalogue: sentences missing, fuzzy, or filled in with other fields."""
    catalogue = read(language)
    found = []
    for entry in template:
        if not entry.id:
            continue
        one = entry.id[0] if isinstance(entry.id, (list, tuple)) else entry.id
        known = catalogue.get(one)
        strings = [] if known is None else known.string if isinstance(known.string, (list, tuple)) else [known.string]
        if known is None or not strings or not all(strings):
            found.append(f"{language}: not translated: {one!r} ({entry.locations[0][0]})")
        elif known.fuzzy:
            found.append(f"{language}: fuzzy: {one!r}")
        else:
            wrong = [text for text in strings if text and fields(text) != fields(one)]
            found += [f"{language}: other fields than the sentence has: {one!r} → {text!r}" for text in wrong]
    mo = po_path(language).with_suffix(".mo")
    if not mo.exists() or mo.read_bytes() != compiled(catalogue):
        found.append(f"{language}: {mo.name} is not compiled from {po_path(language).name}")
    return found


def update() -> None:
    template = extracted()
    for language in LANGUAGES:
        catalogue = merged(language, template)
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=0, sort_output=True, ignore_obsolete=True, omit_header=False)
        path.with_suffix(".mo").write_bytes(compiled(read(language)))


def main() -> int:
    if "--check" not in sys.argv[1:]:
        update()
    template = extracted()
    found = [line for language in LANGUAGES for line in complaints(language, template)]
    for line in found:
        sys.stderr.write(line + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
