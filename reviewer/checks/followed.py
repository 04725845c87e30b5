"""What a core follows in RCU read sections of its own (the target of a symbolic link, in a walk that takes no references) is
freed as its owner goes, with no grace period after the last walk that may have found it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.parse.cfg import successors
from reviewer.parse.facts import Call, Cast, Expr, Items, Member, Write
from reviewer.program.concurrency.grace import Grace
from reviewer.program.flow.lockflow import Flow, Seen, reached
from reviewer.program.linked import values
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

OWNERS = frozenset({
    "struct super_operations.evict_inode", "struct super_operations.destroy_inode", "struct super_operations.put_super",
    "struct file_system_type.kill_sb",
})  # fmt: skip
"""Operations by which what a walk may have found goes away."""

ABOVE = 2
"""Callers between such an operation and the function that frees."""

BELOW = 3
"""Calls below an operation of a walk in which the field is looked for."""

MAX_FILES = 12
"""Files of a folder that are looked through for what is put into the field."""


class Followed:
    """Memoised by folder."""

    def __init__(self, focus: Focus, grace: Grace) -> None:
        self.focus = focus
        self.program = focus.program
        self.grace = grace
        self.words = sorted({field.rpartition(".")[2] for field in self.program.models.followed})
        self._kept: dict[str, dict[str, str]] = {}
        self._near: dict[str, bool] = {}

    def freed(self, func: Func) -> Iterator[tuple[Seen, str, str]]:
        """``(call, pointer, field)`` for what the function frees at once although a walk may still follow it by the field."""
        if not self.grace.may("free", func, 0) or not self.near(posixpath.dirname(func.path)):
            return
        named = {*self.words, *(name.rpartition(".")[2] for name in self.kept_in(func.path))}
        flow = self.focus.flow(func) if self.ends_an_owner(func, 0 if func.words.isdisjoint(named) else ABOVE) else None
        for seen in flow.seen if flow is not None else ():
            pointer = self.object_of(seen)
            field = self.field_of(flow.frame, pointer) if flow is not None and pointer is not None else ""
            if flow is not None and pointer is not None and field and not self.waited(flow, seen):
                yield seen, values.show(pointer, {f"%{i}": p.name for i, p in enumerate(func.parameters)}), field

    def near(self, folder: str) -> bool:
        """Whether a folder has to do with anything that is followed."""
        got = self._near.get(folder)
        if got is None:
            got = self._near[folder] = any(self.program.names.files_mentioning(self.words, (folder,)).values())
        return got

    def ends_an_owner(self, func: Func, levels: int) -> bool:
        """Whether a function is, or is called by, an operation by which what a walk may have found goes away."""
        entries = self.focus.entries
        known = {e.how for e in entries.of(func)}
        known |= {f"{s.struct.partition('@')[0]}.{s.field}" for s in entries.slots(func)}
        if known & OWNERS:
            return True
        return levels > 0 and any(self.ends_an_owner(c, levels - 1) for c in self.focus.lives.callers(func))

    def object_of(self, seen: Seen) -> Expr | None:
        """What a call frees, a pointer that stands in an object."""
        model = model_of(self.focus, seen)
        if model is None or model.frees is None or not seen.args or model.frees >= len(seen.args[0]):
            return None
        pointer = seen.args[0][model.frees]
        while isinstance(pointer, Cast):
            pointer = pointer.operand
        return pointer if isinstance(pointer, Member) else None

    def field_of(self, frame: Frame, pointer: Expr) -> str:
        """The field by which a walk comes to what a pointer of an object means; "" if it does not."""
        name = member(frame, pointer)
        field = name if name in self.program.models.followed else self.kept_in(frame.func.path).get(name, "")
        readers = self.program.models.followed.get(field, ())
        return field if field and (not readers or any(self.read_by(frame.func.path, r, field) for r in readers)) else ""

    def kept_in(self, path: str) -> dict[str, str]:
        """The members whose value some function of a folder puts into a field that is followed (``inode->i_link = ui->data``)."""
        folder = posixpath.dirname(path)
        got = self._kept.get(folder)
        if got is None:
            got = self._kept[folder] = {}
            for field in self.program.models.followed:
                word = field.rpartition(".")[2]
                named = self.program.names.files_mentioning([word], (folder,)).get(word, ())
                for file in [f for f in named if posixpath.dirname(f) == folder][:MAX_FILES]:
                    for user in self.program.functions_with(file, word):
                        got |= dict.fromkeys(self.put_into(user, field), field)
        return got

    def put_into(self, func: Func, field: str) -> Iterator[str]:
        frame = self.program.frame(func)
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Write) and event.op == "=" and member(frame, frame.canonical(event.target, {})) == field:
                    name = member(frame, frame.canonical(event.value, {})) if event.value is not None else ""
                    if name:
                        yield name

    def read_by(self, path: str, operation: str, field: str) -> bool:
        """Whether an operation of this name in a table of the folder reads the field, itself or in what it calls there."""
        struct, _, slot = operation.rpartition(".")
        folder, word = posixpath.dirname(path), field.rpartition(".")[2]
        tables = [f for f in self.program.files_initialising(struct, path) if posixpath.dirname(f) == folder]
        for file in tables[:MAX_FILES]:
            for variable in self.program.initialised_with(file, slot):
                items = variable.value.items if isinstance(variable.value, Items) else ()
                given = [item for designator, item in items if f"{variable.type.name}{designator}" == operation]
                walks = [f for item in given for name in function_names(item) for f in self.program.resolve(name, file)[:1]]
                if any(self.reads(f, word, BELOW) for f in walks):
                    return True
        return False

    def reads(self, func: Func, word: str, levels: int) -> bool:
        return word in func.words or (levels > 0 and any(
            self.reads(f, word, levels - 1) for name in sorted(func.calls) for f in self.program.resolve(name, func.path)[:1]
            if posixpath.dirname(f.path) == posixpath.dirname(func.path)
        ))  # fmt: skip

    def waited(self, flow: Flow, freed: Seen) -> bool:
        """Whether a call before waits for readers, on some way."""
        body = flow.frame.body
        return body is not None and any(
            isinstance(s.event, Call) and s.event.at < freed.event.at and self.grace.waits(flow.frame, s.event, s.callee)
            and (s.block == freed.block or freed.block in reached(body, successors(body.blocks[s.block].exit)))
            for s in flow.seen
        )  # fmt: skip


def member(frame: Frame, pointer: Expr) -> str:
    """``struct T.field`` for a member of an object; "" for anything else."""
    if not isinstance(pointer, Member):
        return ""
    type_ = frame.type_of(pointer.base)
    name = frame.resolve(type_).name.partition("@")[0] if type_ is not None else ""
    return f"{name}.{pointer.name}" if name.startswith("struct ") else ""
