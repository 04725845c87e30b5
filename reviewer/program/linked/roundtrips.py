"""Paths that lead to the same object by other ways: by a part of it and back (``container_of(&p->work, struct T, work)`` is
``p``), or by another object and back (``w->netdev->ieee80211_ptr`` is ``w`` where either struct has one pointer to the other)."""

from __future__ import annotations

from reviewer.parse.facts import AddressOf, Cast, CType, Deref, Expr, Index, Member
from reviewer.program.linked import values
from reviewer.program.linked.structs import Frame


def plain(frame: Frame, path: Expr, around: bool = False) -> Expr:
    """A canonical path without detours by parts of objects; ``around``: nor by other objects, likely rather than for sure."""
    if isinstance(path, Member):
        base = plain(frame, path.base, around)
        whole = _part_of_whole(frame, base, path.name) if path.arrow else None
        if whole is not None:
            return whole
        path = values.member(base.base, path.name, True) if isinstance(base, Deref) else Member(base, path.name, path.arrow)
        return (_back(frame, path, None) if around else None) or path
    if isinstance(path, Cast):
        operand = plain(frame, path.operand, around)
        mine = frame.type_of(operand)
        if mine is not None and frame.resolve(mine) == frame.resolve(path.type):
            return operand
        found = _whole(frame, operand, path.type) or (_back(frame, operand, path.type) if around else None)
        return found or Cast(path.type, operand)
    if isinstance(path, Deref):
        return Deref(plain(frame, path.base, around))
    if isinstance(path, AddressOf):
        return AddressOf(plain(frame, path.base, around))
    if isinstance(path, Index):
        return Index(plain(frame, path.base, around), path.index)
    return path


def _whole(frame: Frame, part: Expr, as_: CType) -> Expr | None:
    """The pointer to an object of which a part's address is cast to what the object is."""
    inside = part.base if isinstance(part, AddressOf) else None
    while isinstance(inside, Member):
        of = frame.type_of(inside.base)
        if of is not None and frame.resolve(of).name == frame.resolve(as_).name:
            return inside.base if inside.arrow else AddressOf(inside.base)
        inside = None if inside.arrow else inside.base
    return None


def _part_of_whole(frame: Frame, whole: Expr, name: str) -> Expr | None:
    """What a pointer leads to that is cast to the struct around it, if this very part, the only one of its type, is named."""
    if not isinstance(whole, Cast):
        return None
    part, member = frame.type_of(whole.operand), frame.type_of(Member(whole, name, True))
    if part is None or member is None:
        return None
    part, member = frame.resolve(part), frame.resolve(member)
    same = part.name == member.name and part.pointer == 1 and not member.pointer and part.name.startswith(("struct ", "union "))
    return Deref(whole.operand) if same and _fields(frame, whole.type, member, 0) == 1 else None


def _back(frame: Frame, there: Expr, as_: CType | None) -> Expr | None:
    """The pointer that ``there`` comes back to, which it is cast to if it is kept as anything (``void *``)."""
    inside = there
    while isinstance(inside, Member) and not inside.arrow:
        inside = inside.base
    if not isinstance(inside, Member) or not isinstance(inside.base, Member) or not inside.base.arrow:
        return None
    via, start = inside.base, inside.base.base
    mine, other = frame.type_of(start), frame.type_of(via)
    back = as_ or frame.type_of(there)
    if mine is None or other is None or back is None:
        return None
    mine, other, back = frame.resolve(mine), frame.resolve(other), frame.resolve(back)
    if not (mine == back and mine.pointer == other.pointer == 1 and mine.name != other.name):
        return None
    if _fields(frame, mine, other, 1) != 1 or (as_ is None and _fields(frame, other, mine, 1) != 1):
        return None
    return start


def _fields(frame: Frame, owner: CType, to: CType, pointer: int) -> int:
    """How many members of a struct are of another, or pointers to it."""
    found = frame.program.struct_at(owner.name, frame.func.path)
    fields = found[1].fields if found is not None else ()
    return sum(f.type.name == to.name and f.type.pointer == pointer for f in fields)
