"""Whether anybody refers to a function: calls it, takes its address, exports it."""

from __future__ import annotations

import re

from reviewer.program.linked.link import Func, Program

BY_ASSEMBLER = ("arch", "kernel", "init", "lib", "mm")
"""Folders of code that assembler may call, which is not read."""

WHOLE = ("init/main.c", "kernel/sched/core.c")
"""What a whole kernel has; in a part of one, or an excerpt, the callers may be elsewhere."""

DECLARED = rb"^[A-Za-z_][\w \t*]*\b%b[ \t\n]*\("
"""A declaration, or the head of a definition: no call stands at the beginning of a line."""


def unreferenced(program: Program, func: Func) -> bool:
    """Whether nothing but a declaration names the function, in a whole kernel. Of one that a macro makes, or that assembler
    may call, that is not said, nor of a static: compilers complain of one that nobody uses, so that a macro has put its name
    together (``DEFINE_SHOW_ATTRIBUTE(state)``: ``state_show()``)."""
    word = func.name.encode("utf-8", "surrogateescape")
    head = re.compile(DECLARED % re.escape(word), re.MULTILINE)
    if func.macro is not None or func.static or func.path.endswith(".h") or func.path.split("/", 1)[0] in BY_ASSEMBLER:
        return False
    if head.search(func.text) is None or not all(map(program.content.exists, WHOLE)):
        return False
    standing = re.compile(rb"\b%b\b" % re.escape(word))
    for file in program.names.files_mentioning([func.name])[func.name]:
        pieces = program.file(file)
        code = pieces.skim.code
        if len(standing.findall(code)) != len(head.findall(code)) or any(True for _ in pieces.macros_with(func.name)):
            return False
    return True
