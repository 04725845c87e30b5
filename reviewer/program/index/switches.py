"""``#if`` switches that no configuration sets: what of the tree decides whether the code under them is compiled."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from reviewer.parse.pieces import Pieces
from reviewer.program.index.files import Content

SWITCH = re.compile(r"(!\s*)?defined\s*\(?\s*((?!CONFIG_|_)\w+)\s*\)?")
"""The condition of code that depends on one macro, which no configuration sets by its name."""

WORD = re.compile(r"(!\s*)?([A-Za-z_]\w*)")
"""The condition of code that depends on what a macro is (``#if DEBUG_TABLE``)."""

NUMBER = re.compile(r"\(?\s*(\d+)\s*\)?")
"""A macro that is a number and nothing else."""

SWITCHES = re.compile(r"defined\((?!CONFIG_)([A-Z]\w*)\)")
"""Those of a file that may be looked for in the whole tree."""

DEBUGS = re.compile(r"\w*(?:DEBUG|DBG|TRACE|TEST|VERBOSE|PARANOI)\w*")
"""How switches are named that are there for whoever debugs the file: without one of them a function is another."""

OWN = re.compile(r"(?!KBUILD_|MODULE\b|DEBUG\b)[A-Z][A-Z0-9_]*_[A-Z0-9_]+")
"""How a driver names a switch of its own (``USE_POLLING``): not a compiler's or an architecture's word."""

OF_A_FILE = "DEBUG"
"""The switch that a file turns on for itself, or a Makefile for all files below it (include/linux/printk.h, pr_debug())."""

REAL_TIME = re.compile(r"(!\s*)?defined\s*\(?\s*CONFIG_PREEMPT_RT\s*\)?")
"""A kernel in which spinlocks sleep is another one than the rules are about; with a configuration, no such ``#if`` is left."""

ALWAYS = ("", "defined(__KERNEL__)")
"""Under what a definition stands that every kernel has."""

MAX_DEFINING = 24
"""Files that name a switch and are looked through for its definition."""

MAX_NUMBERED = 8
"""The same for a definition as a mere number, which the index leaves out."""

MAKEFILES = ("Makefile", "Kbuild")


class Names(Protocol):
    """What is needed of the index of definitions."""

    def files_defining_macro(self, name: str) -> tuple[str, ...]: ...
    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]: ...
    def expect(self, names: Iterable[str]) -> None: ...


class Units(Protocol):
    """What is needed of the files that a file includes."""

    def visible(self, path: str) -> dict[str, int]: ...


class Program(Protocol):
    """What is needed of :class:`reviewer.program.linked.link.Program`."""

    @property
    def content(self) -> Content: ...
    @property
    def names(self) -> Names: ...
    @property
    def units(self) -> Units: ...
    def text(self, path: str) -> bytes: ...
    def file(self, path: str) -> Pieces: ...
    def unit(self, path: str) -> Sequence[str]: ...


class Switches:
    """Memoised per program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._defined: dict[str, bool] = {}
        self._sure: dict[tuple[str, str], bool] = {}
        self._on: dict[tuple[str, str], bool] = {}
        self._unset: dict[tuple[str, str], bool] = {}
        self._foreseen: set[str] = set()

    def decided(self, condition: str, path: str) -> bool | None:
        """Whether the code of ``path`` under an ``#if`` is there; None if a configuration decides, or nobody can tell.

        A switch for whoever debugs the file (``#ifdef EXT2FS_DEBUG``), or of its driver alone, that nothing in the tree sets is
        off, and so is one that the file itself makes 0. A part that is at
        home elsewhere, too, has a header that fixes how it is built here (``#define USE_LOGICAL_ADDRESSES``): that one is on.
        """
        real_time = REAL_TIME.fullmatch(condition)
        if real_time is not None:
            return real_time[1] is not None
        word = WORD.fullmatch(condition)
        number = self._number(word[2], path) if word is not None else None
        if word is not None and number is not None:
            return bool(number) == (word[1] is None)
        switch = SWITCH.fullmatch(condition)
        if switch is None:
            return None
        negated, name = switch[1] is not None, switch[2]
        self._foresee(path)
        if name == OF_A_FILE and not self._is_on(name, path):
            return negated
        if DEBUGS.fullmatch(name) and not self._is_defined(name):
            return negated
        if OWN.fullmatch(name) and self._nothing_sets(name, path):
            return negated
        return not negated if name[:1].isupper() and self._for_sure(name, path) else None

    def left_out(self, condition: str, path: str) -> bool:
        """Whether code stands under a switch of its own driver that is neither defined in a file nor given by a Makefile, or is
        out for good (``#if 0``, or a macro of the file that is 0)."""
        return any(self._is_out(part, path) for part in condition.split("&&"))

    def _is_out(self, part: str, path: str) -> bool:
        word = part.strip("() ")
        named = WORD.fullmatch(word)
        if word == "0" or (named is not None and not named[1] and self._number(named[2], path) == 0):
            return True
        real_time = REAL_TIME.fullmatch(part.strip())
        if real_time is not None and real_time[1] is None:
            return True
        switch = SWITCH.fullmatch(part.strip())
        if switch is None or switch[1]:
            return False
        if switch[2] == OF_A_FILE:
            return not self._is_on(switch[2], path)
        return OWN.fullmatch(switch[2]) is not None and self._nothing_sets(switch[2], path)

    def _number(self, name: str, path: str) -> int | None:
        """The number that a macro is by its one definition in a file, under no condition."""
        found = self.program.file(path).macros(name)
        number = NUMBER.fullmatch(found[0].body.strip()) if len(found) == 1 and found[0].condition in ALWAYS else None
        return int(number[1]) if number is not None else None

    def _foresee(self, path: str) -> None:
        """One search for all switches of a file is as fast as one for the first."""
        if path not in self._foreseen:
            self._foreseen.add(path)
            texts = self.program.file(path).conditions.texts
            self.program.names.expect(name for text in texts for name in SWITCHES.findall(text))

    def _is_defined(self, name: str) -> bool:
        """Whether some file may define the switch."""
        got = self._defined.get(name)
        if got is None:
            got = self._defined[name] = bool(self.program.names.files_defining_macro(name)) or self._is_numbered(name)
        return got

    def _is_numbered(self, name: str) -> bool:
        """Whether a file defines the macro as a mere number."""
        found = self.program.names.files_mentioning([name]).get(name, ())
        return len(found) > MAX_NUMBERED or any(self.program.file(file).macros(name) for file in found)

    def _for_sure(self, name: str, path: str) -> bool:
        """Whether a file sees one definition, under no condition and nowhere undone."""
        key = name, path
        if key not in self._sure:
            self._sure[key] = self._is_seen(name, path)
        return self._sure[key]

    def _is_seen(self, name: str, path: str) -> bool:
        found = self.program.names.files_mentioning([name]).get(name, ())
        undone = re.compile(rb"#\s*undef\s+" + name.encode() + rb"\b")
        if len(found) > MAX_DEFINING or any(undone.search(self.program.text(f)) for f in found):
            return False
        defining = {f: [m.condition for m in self.program.file(f).macros(name)] for f in found}
        seen = {*self.program.unit(path), *self.program.units.visible(path)}
        return any(f in seen and not f.startswith("arch/") and len(c) == 1 and c[0] in ALWAYS for f, c in defining.items())

    def _nothing_sets(self, name: str, path: str) -> bool:
        """Whether the switch is nothing but asked for, in a few files of one driver."""
        key = name, posixpath.dirname(path)
        if key not in self._unset:
            self._unset[key] = self._is_unset(*key)
        return self._unset[key]

    def _is_unset(self, name: str, folder: str) -> bool:
        found = self.program.names.files_mentioning([name]).get(name, ())
        if any(not f.startswith(folder) for f in found) or self._is_defined(name):
            return False
        return not self._in_makefiles(rb"\b%b\b" % name.encode(), folder)

    def _is_on(self, name: str, path: str) -> bool:
        """Whether a file of a unit, or a Makefile, defines a switch that everybody defines for himself."""
        key = name, path
        if key not in self._on:
            files = dict.fromkeys((path, *self.program.unit(path)))
            self._on[key] = any(self.program.file(f).macros(name) for f in files) or self._in_makefiles(
                rb"-D%b\b" % name.encode(), posixpath.dirname(path)
            )
        return self._on[key]

    def _in_makefiles(self, word: bytes, folder: str) -> bool:
        """Whether one of the Makefiles from a folder up to the top has a word."""
        pattern = re.compile(word)
        while True:
            for makefile in (posixpath.join(folder, m) for m in MAKEFILES):
                if self.program.content.exists(makefile) and pattern.search(self.program.text(makefile)):
                    return True
            if not folder:
                return False
            folder = posixpath.dirname(folder)
