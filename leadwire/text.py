"""One entry of the text catalogue."""

from typing import NamedTuple


class Text(NamedTuple):
    """One entry in both languages."""

    en: str
    zh: str
