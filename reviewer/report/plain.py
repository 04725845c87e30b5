"""Text from a kernel tree made safe for a terminal.

File names and source text come from whoever wrote the tree or the patch: escape sequences in them would
reach the reader's terminal, and bidirectional controls would show other text than what was analysed.
"""

from __future__ import annotations

import re

# C0 and C1 controls, bidirectional controls and lone surrogates (bytes that were no UTF-8).
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: show the byte that was there
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe(text: str) -> str:
    """``text`` on one line, with everything that a terminal would obey written as an escape."""
    return _UNSAFE.sub(_escape, re.sub(r"[\t\r\n]+", " ", text))


def visible(text: str) -> str:
    """One line of source text as it is, tabs too, but with what a terminal or a mail reader would obey as an escape."""
    return "\t".join(_UNSAFE.sub(_escape, part) for part in text.split("\t"))


def clip(text: str, width: int) -> str:
    """``text`` in at most ``width`` characters."""
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {one if count == 1 else many or one + 's'}"
