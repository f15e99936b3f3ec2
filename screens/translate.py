"""Every word on a screen passes through here: gettext over the catalogues in cockpit/locale.

English sentences are the msgids. A `Message` of the engine is translated first and filled in afterwards, so that what was
stored in one language is shown in another. This module never guesses a language: whoever starts the app says which.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from pathlib import Path

from engine.domain.clean import visible
from engine.domain.message import Message

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"
_VOCABULARY_FIELDS = ("state", "act", "step", "script", "status", "kind", "role", "least")
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
