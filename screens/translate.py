"""Every word on a screen passes through here: gettext over the catalogues in cockpit/locale.

English sentences are the msgids. A `Message` of the engine is translated first and filled in afterwards, so that what was
stored in one language is shown in another. This module never guesses a language: whoever starts the app says which.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine.domain.clean import visible
from engine.domain.message import Message

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"
_VOCABULARY_FIELDS = ("state", "act", "step", "script", "status", "kind", "role", "least")
_FIELD = re.compile(r"\{\w+\}")
_WORD = re.compile(r"[A-Za-z]{2,}")
LEAST_WORDS = 1
_vocabulary: dict[str, str] = {}  # a state's, step's or act's value → its word's msgid


def use(language: str, locale_dir: Path) -> None:
    """Speak `language` (`zh_CN`, `en`) from now on; one that has no catalogue in `locale_dir` falls back to English."""
    global _catalogue, _language
    _catalogue = gettext.translation("cockpit", str(locale_dir), [language], fallback=True)
    _language = language


def learn(words: Mapping[str, str]) -> None:
    """Values of the engine's vocabulary that messages are filled in with, and the msgids of their words."""
    _vocabulary.update(words)


def language() -> str:
    return _language


def _(text: str) -> str:
    return _catalogue.gettext(text) if text else ""


def N_(text: str) -> str:  # gettext's own name for "extract this, translate it later"
    return text


def ngettext(one: str, many: str, count: int) -> str:
    return _catalogue.ngettext(one, many, count)


def tr(message: Message) -> str:
    """The message as a sentence in the language in use. A translation whose fields do not fit gives the English sentence."""
    try:
        return _(message.text).format(**_in_words(message))
    except (KeyError, IndexError, ValueError):
        return str(message)


@lru_cache(4096)
def retold(said: str, language: str) -> str:
    """A sentence that was written down in English, where its parts are no longer known, in the language in use (`language`, so that
    another one asks anew). What is no sentence of ours stays as it is."""
    if said in _vocabulary:
        return _(_vocabulary[said])
    best = max(
        (found for pattern in _patterns(language) if (found := pattern.regex.fullmatch(said))),
        key=lambda found: len(said) - sum(map(len, found.groupdict().values())),
        default=None,
    )
    if best is None:
        return said
    text = next(pattern.text for pattern in _patterns(language) if pattern.regex is best.re)
    try:
        return _(text).format(**{name: retold(value, language) for name, value in best.groupdict().items()})
    except (KeyError, IndexError, ValueError):
        return said


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: str
    regex: re.Pattern[str]


@lru_cache(2)
def _patterns(language: str) -> tuple[_Pattern, ...]:
    """The msgids that are sentences: with words of their own to be known by."""
    known = getattr(_catalogue, "_catalog", {})  # gettext has no other way to ask for them
    texts = [
        text for text in known if isinstance(text, str) and len(_WORD.findall(_FIELD.sub("", text))) >= LEAST_WORDS
    ]
    return tuple(_Pattern(text, _regex(text)) for text in texts)


def _regex(text: str) -> re.Pattern[str]:
    said, seen = "", set[str]()
    for part in re.split(r"(\{\w+\})", text):
        if not _FIELD.fullmatch(part):
            said += re.escape(part)
            continue
        name = part[1:-1]
        said += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
        seen.add(name)
    return re.compile(said)


def _in_words(message: Message) -> dict[str, object]:
    """The fields of a message, those that hold a word of the vocabulary (`rolling_back`) as that word. A field that is a part
    of a name (`{step}_deadline_s`) stays as it is."""
    return {
        name: tr(value)
        if isinstance(value, Message)
        else _(_vocabulary[value])
        if name in _VOCABULARY_FIELDS and value in _vocabulary and f"{{{name}}}_" not in message.text
        else visible(value)
        if isinstance(value, str)
        else value
        for name, value in message.params.items()
    }
