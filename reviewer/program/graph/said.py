"""What the text around a function says that its callers hold: ``__must_hold()``, and the comment above it or at its beginning.

``Must be called with foo->lock held`` is what most of the kernel has in place of an assertion. A name in it is that of a lock
only if it resolves to one: a member of a parameter, a lock of the file, what a function of the name takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from reviewer.parse.facts import Expr, Name
from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.contexts import serialises
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import COMMON, lock_class
from reviewer.program.linked.structs import Frame

HINT = re.compile(rb"hold|held|lock|mutex|with|under", re.IGNORECASE)
"""What a comment has that speaks of locks."""

BODY = re.compile(rb"\{\s*(?P<comment>/\*.*?\*/)", re.DOTALL)
"""A comment at the beginning of a function's body."""

_PATH = r"['\"`@&(]*(?P<lock>[A-Za-z_]\w*(?:(?:->|\.)\w+)*)(?:\(\))?['\"`)]*"
_KIND = r"(?: (?:spin ?lock|lock|mutex|semaphore|rwsem))?"
_HELD = r"(?:already )?(?:being )?(?:held|locked|taken|acquired|hold|owned)"
_MUST = r"(?:must|should|shall|has to|have to|needs? to|is to|is expected to|is required to)"
_CALLED = r"\b(?:called|invoked|entered|executed|run) (?:only )?(?:with|under|while holding|holding)"

_OWN = r"(?!\w)(?! (?:on(?! (?:entry|return|exit|call))|of|for)\b)"
"""Not somebody else's (``hold the lock on the listening socket``)."""

ASKED = tuple(
    re.compile(pattern, re.IGNORECASE) for pattern in (
        rf"{_CALLED} (?:the )?{_PATH}{_KIND}(?: {_HELD})?",
        rf"\bcallers? (?:{_MUST} )?(?:already )?(?:holds?|holding|has|have|owns?|be holding) (?:the )?{_PATH}{_OWN}",
        rf"\b(?:requires|needs|expects|assumes) (?:the )?{_PATH}{_KIND} (?:to be |is )?{_HELD}",
        rf"(?:^|\b(?:the|with) ){_PATH}{_KIND} {_MUST} be {_HELD}",
        rf"(?:^|\b(?:the|with) ){_PATH}{_KIND} (?:is )?(?:held|locked) (?:by|on) (?:the |our |all )?(?:callers?|entry)",
    )
)  # fmt: skip
"""How English asks for a lock; each names it in ``lock``."""

OTHERWISE = re.compile(
    r"n't\b|\b(?:not?|nor|or|without|unless|never|either|neither|if|when(?! (?:calling|this|the function|entering))|may|might|can"
    r"|cannot|except|optional\w*|releas\w+|drop\w*|unlock\w*|before|until|already called)\b",
    re.IGNORECASE,
)
"""What makes a sentence one that asks for nothing, or only now and then."""

PROTECTED = re.compile(rf"\b(?:protected|guarded|serialized|serialised) by (?:the )?{_PATH}", re.IGNORECASE)
"""How the comment of a field names its lock."""

MUST_HOLD = re.compile(r"__must_hold\s*\((.*)\)\s*\Z", re.DOTALL)

MAX_COMMENT = 4000
"""Bytes before a function in which its comment is looked for."""


class Said:
    """Memoised over one program.

    :source: Documentation/dev-tools/sparse.rst, "Using sparse for lock checking";
        Documentation/doc-guide/kernel-doc.rst, "Function context"
    """

    def __init__(self, summaries: Summaries, takes: Callable[[Func], frozenset[str]]) -> None:
        """:param takes: the lock classes that a function takes somewhere."""
        self.summaries = summaries
        self.program = summaries.program
        self.takes = takes
        self._of: dict[str, frozenset[str]] = {}
        self._around: dict[str, dict[str, frozenset[str]]] = {}

    def of(self, func: Func) -> frozenset[str]:
        """Lock classes."""
        got = self._of.get(func.key)
        if got is None:
            self._of[func.key] = frozenset()
            words = self.words(func)
            got = frozenset(filter(None, (self._class(func, w) for w in words)))
            self._of[func.key] = got
        return got

    def words(self, func: Func) -> tuple[str, ...]:
        """The names, or access paths, that the text asks for; whether they are locks is not looked at."""
        if func.source is None or func.definition is None:
            return ()
        found = [m[1].strip().lstrip("&") for text in func.definition.annotations if (m := MUST_HOLD.match(text))]
        for comment in comments(func):
            found += asked(comment)
        return tuple(dict.fromkeys(found))

    def protector(self, object_: str, path: str) -> str:
        """The lock class that the comment of a field names as its own; "" for none."""
        struct, dot, field = object_.partition(".")
        found = self.program.struct_at(struct, path) if dot and struct.startswith("struct ") else None
        comment = next((f.comment for f in found[1].fields if f.name == field), "") if found is not None else ""
        match = PROTECTED.search(comment) if comment else None
        if match is None or found is None:
            return ""
        word = re.split(r"->|\.", match["lock"])[-1]
        if word == match["lock"] and any(f.name == word for f in found[1].fields):
            return f"{struct}.{word}"
        candidates = self._locks_around(path).get(word, frozenset())
        return next(iter(candidates)) if len(candidates) == 1 else ""

    def _class(self, func: Func, said: str) -> str:
        base, *fields = re.split(r"->|\.", said)
        frame = self.program.frame(func)
        if fields and base in frame.parameters:
            return class_of(frame, followed(frame.name(base), fields))
        here = self._locks_around(func.path)
        word = fields[-1] if fields else base
        if not fields and base not in frame.parameters and len(here.get(base, ())) != 1:  # a lock of that very name goes first
            taken = self._taken_by(func, base)
            if taken:
                return taken
        members = (class_of(frame, followed(Name(f"%{i}"), (word,))) for i in frame.parameters.values())
        owned = frozenset(members) & here.get(word, frozenset())
        candidates = owned or here.get(word, frozenset())
        if len(candidates) != 1 or (word in COMMON and not (fields or owned)):
            return ""
        return next(iter(candidates))

    def _taken_by(self, func: Func, name: str) -> str:
        """The only lock that a function of the name takes (``rtnl_lock``)."""
        found: set[str] = set()
        for callee in self.program.resolve(name, func.path)[:1]:
            held = [h for o in self.summaries.of(callee).outcomes for h in o.takes]
            found |= {h.name for h in held if serialises(h)}
        return found.pop() if len(found) == 1 else ""

    def _locks_around(self, path: str) -> dict[str, frozenset[str]]:
        """The lock classes that functions of a file take, by the last word of each."""
        got = self._around.get(path)
        if got is None:
            found: dict[str, set[str]] = {}
            for func in self.program.functions_in(path):
                for name in self.takes(func) if self.summaries.holds(func) else ():
                    found.setdefault(name.rpartition(":")[2].rpartition(".")[2], set()).add(name)
            got = self._around[path] = {word: frozenset(names) for word, names in found.items()}
        return got


def class_of(frame: Frame, lock: Expr) -> str:
    """The class of what a comment calls a lock: of what it points to, if it is a pointer."""
    type_ = frame.type_of(lock)
    return lock_class(frame, values.deref(lock) if type_ is not None and frame.resolve(type_).pointer else lock)


def followed(base: Expr, fields: Sequence[str]) -> Expr:
    for n, name in enumerate(fields):
        base = values.member(base, name, n == 0)
    return base


def comments(func: Func) -> Iterator[str]:
    """The comment right above a function, and the one at the beginning of its body."""
    assert func.source is not None
    file, piece = func.source
    before = file.text[max(0, piece.start - MAX_COMMENT) : piece.start].rstrip()
    if before.endswith(b"*/"):
        yield before[before.rfind(b"/*") :].decode("utf-8", "replace")
    first = BODY.search(func.text)
    if first is not None:
        yield first["comment"].decode("utf-8", "replace")


def asked(comment: str) -> list[str]:
    """The names of locks that a comment asks for."""
    found = []
    for sentence in sentences(comment):
        if OTHERWISE.search(sentence):
            continue
        for pattern in ASKED:
            match = pattern.search(sentence)
            if match is not None:
                found.append(match["lock"])
                break
    return found


def sentences(comment: str) -> Iterator[str]:
    """The sentences, and parts of such, of a comment, each on one line."""
    text = re.sub(r"\n[ \t]*\**[ \t]?", "\n", comment.strip("/* \t\n"))
    for paragraph in re.split(r"\n\s*\n|\n\s*@|\n\s*-\s", text):
        yield from re.split(r"[.;!](?:\s|\Z)|,\s", " ".join(paragraph.split()))
