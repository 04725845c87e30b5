"""Calls in compiled objects: a function's symbol and the relocations of its calls and jumps, as ``objdump -dr`` shows them.

The compiler knows types, scopes and the configuration; but it has put callees into their callers, has left out what can not be
reached, and has calls of its own. What it was given is in the preprocessor's output, where that was kept beside the object.
"""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from reviewer.parse.dialect import load_dialect
from reviewer.parse.pieces import Pieces

CLONE = re.compile(r"\.(constprop|isra|part|cold|localalias)(\.\d+)*")
"""What GCC appends to the name of a copy or a part of a function."""

SECTION = re.compile(r"Disassembly of section (\S+):")

SYMBOL = re.compile(r"([0-9a-f]{16}) <(.+)>:")

BRANCH = re.compile(r"\s*[0-9a-f]+:\t(?:(?:cs|ds|bnd|notrack|data16) )*(?:call|j[a-z]+) +[0-9a-f]+ <([^>+]+)(?:\+0x[0-9a-f]+)?>")

RELOCATION = re.compile(r"\s+[0-9a-f]+: R_X86_64_(?:PLT32|PC32)\t(.+?)(?:([+-])0x([0-9a-f]+))?")

AHEAD = 4
"""Bytes from the field of a call to the next instruction, from which its distance counts."""

WORD = re.compile(rb"[A-Za-z_]\w*", re.ASCII)

ASSEMBLY = re.compile(rb"\b(?:asm|__asm__)\b[^;{]*")

LINE_MARK = re.compile(rb"^#[^\n]*", re.MULTILINE)


@dataclass(slots=True)
class Object:
    """What one object says: by function whom it calls, each under its name in the source."""

    calls: dict[str, set[str]] = field(default_factory=dict)


def read(file: Path) -> Object:
    """An object of x86-64."""
    text = subprocess.run(
        ["objdump", "-dr", "--no-show-raw-insn", str(file)], capture_output=True, text=True, check=True
    ).stdout
    result = Object()
    starts: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)  # by section, where its functions begin
    into: list[tuple[str, str, int]] = []  # (caller, section, offset) of calls that name a place, not a function
    section = caller = pending = ""
    for line in text.split("\n"):
        if not line:
            continue
        if pending:
            found = RELOCATION.fullmatch(line)
            target, pending = pending, ""
            if found is None:
                result.calls[caller].add(plain(target))  # in the same section, so the assembler knew how far
            elif found[1] in starts or found[1].startswith("."):
                offset = int(found[3] or "0", 16) * (-1 if found[2] == "-" else 1)
                into.append((caller, found[1], offset + AHEAD))
            else:
                result.calls[caller].add(plain(found[1]))
        if (head := SYMBOL.fullmatch(line)) is not None:
            caller = "" if head[2].startswith(".") or "-0x" in head[2] else plain(head[2])  # a replacement, padding
            if caller:
                starts[section].append((int(head[1], 16), caller))
                result.calls.setdefault(caller, set())
        elif (branch := BRANCH.match(line)) is not None:
            pending = branch[1] if caller else ""
        elif (name := SECTION.fullmatch(line)) is not None:
            section = name[1]
    for caller, section, offset in into:
        there = starts.get(section, [])
        at = bisect_right(there, (offset, "\x7f")) - 1
        if at >= 0:
            result.calls[caller].add(there[at][1])
    for caller, callees in result.calls.items():
        callees.discard(caller)
    return result


def plain(symbol: str) -> str:
    """A function's name in the source."""
    return CLONE.split(symbol, maxsplit=1)[0]


class Expanded:
    """The preprocessor's output for one source: what is left of each function, macros expanded and ``#if`` decided."""

    def __init__(self, file: Path) -> None:
        self._pieces = Pieces(LINE_MARK.sub(b"", file.read_bytes()), load_dialect())
        self._words: dict[str, frozenset[str]] = {}
        self.assembly = frozenset(w.decode() for text in ASSEMBLY.findall(self._pieces.text) for w in WORD.findall(text))
        """Words of all inline assembly, its operands included."""

    def words(self, name: str) -> frozenset[str]:
        """Words of the functions of that name, those of strings (inline assembly) included; none if there is no such function."""
        got = self._words.get(name)
        if got is None:
            texts = [self._pieces.text[p.start : p.end] for p in self._pieces.functions(name)]
            got = self._words[name] = frozenset(w.decode() for text in texts for w in WORD.findall(text)) - {name}
        return got

    def below(self, name: str) -> frozenset[str]:
        """The same, with those of all functions that it names and that stand in the output, too."""
        found: set[str] = set()
        todo, met = [name], {name}
        while todo:
            words = self.words(todo.pop())
            found |= words
            todo += (new := [w for w in words - met if self._pieces.functions(w)])
            met.update(new)
        return frozenset(found)
