"""Functions that no configuration compiles: what stands under a switch that nothing in the tree ever sets."""

from __future__ import annotations

import posixpath
import re

from reviewer.program.link import Func, Program

SWITCH = re.compile(r"defined\s*\(?\s*((?!CONFIG_|KBUILD_|MODULE\b|DEBUG\b|_)[A-Z][A-Z0-9_]*_[A-Z0-9_]+)\s*\)?")
"""``#ifdef USE_POLLING``: not a configuration's, a compiler's or an architecture's word."""

MAKEFILES = ("Makefile", "Kbuild")


def left_out(program: Program, func: Func) -> bool:
    """Whether a function stands under a switch of its own driver that is neither defined in a file nor given by a Makefile."""
    condition = func.definition.condition if func.definition is not None else func.macro.condition if func.macro else ""
    return any(
        (switch := SWITCH.fullmatch(part.strip())) is not None and unset(program, switch[1], func.path)
        for part in condition.split("&&")
    )  # fmt: skip


def unset(program: Program, switch: str, path: str) -> bool:
    """Whether nothing sets the switch: it is nothing but asked for, in a few files of one driver."""
    found = program.names.files_mentioning([switch]).get(switch, ())
    folder = posixpath.dirname(path)
    if any(not f.startswith(folder) for f in found) or program.names.files_defining_macro(switch) or program.numbered(switch):
        return False
    word = re.compile(rb"\b%b\b" % switch.encode())
    while True:
        for name in MAKEFILES:
            makefile = posixpath.join(folder, name)
            if program.content.exists(makefile) and word.search(program.text(makefile)):
                return False
        if not folder:
            return True
        folder = posixpath.dirname(folder)
