"""Colours on a terminal, or none."""

from __future__ import annotations

from collections.abc import Mapping

_CODES = {"bold": "1", "red": "1;31", "yellow": "1;33", "cyan": "1;36"}


class Paint:
    """``paint(text, "red")``; without colour, the text alone."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, color: str) -> str:
        return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if self._on else text


def wants_color(choice: str, is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether to colour: ``always`` and ``never`` decide; ``auto`` asks for a terminal and no NO_COLOR.

    :source: no-color.org: a NO_COLOR that is set and not empty turns colour off; options win over it
    """
    if choice != "auto":
        return choice == "always"
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
