"""One patch onto one tree: files made, changed, renamed and removed; three-way where a hunk does not fit.

As in ``git apply``, all that a patch takes away goes before what it adds, and a rename or copy reads the file as it was
before the patch. The content of a file is not the tree's business: links and submodules are data under their mode.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from reviewer.errors import MissingContent
from reviewer.source.apply import DoesNotApply, Placed, place_hunks, shown
from reviewer.source.base import SUFFIXES
from reviewer.source.binarypatch import BadBinaryPatch, apply_binary
from reviewer.source.gitrun import Git
from reviewer.source.objects import LINK, SUBMODULE, Entry, Objects
from reviewer.source.patch import FileChange, Patch
from reviewer.source.treeedit import Obstructed, TreeEdit

_SUBPROJECT = b"Subproject commit "
_REGULAR = "100"
"""What the modes of regular files begin with."""


@dataclass(slots=True)
class _File:
    """A file as it is during a patch."""

    mode: str
    content: bytes


@dataclass(slots=True)
class _State:
    """What a patch has done so far: paths it takes from the tree, files it puts there."""

    gone: set[str] = field(default_factory=set)
    made: dict[str, _File] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class PatchOntoTree:
    """Applies patches, one after the other, to a tree that is being edited.

    :param git: runs ``merge-file``; must be a repository without configuration of its own.
    """

    def __init__(self, objects: Objects, edit: TreeEdit, git: Git) -> None:
        self._objects = objects
        self._edit = edit
        self._git = git

    def apply(self, patch: Patch) -> tuple[str, ...]:
        """Apply a patch. After an error the edit is of no use.

        :return: notes for the user: offsets, three-way merges, what was passed over
        :raises DoesNotApply: a part does not fit
        :raises MissingContent: an object that is needed is absent
        """
        state = _State()
        for change in patch.files:
            try:
                self._change(patch, change, state)
            except Obstructed as error:
                raise self._obstructed(patch, change, error) from error
        self._commit(patch, state)
        return tuple(state.notes)

    def _commit(self, patch: Patch, state: _State) -> None:
        for path in sorted(state.gone):
            self._edit.remove(path)
        by_path = {change.path: change for change in patch.files}
        for path, file in state.made.items():
            try:
                self._edit.put(path, file.mode, self._store(file))
            except Obstructed as error:
                raise self._obstructed(patch, by_path[path], error) from error

    def _store(self, file: _File) -> str:
        if file.mode == SUBMODULE:
            return file.content[len(_SUBPROJECT) :].strip().decode()
        return self._objects.write("blob", file.content)

    def _change(self, patch: Patch, change: FileChange, state: _State) -> None:
        for path in (change.old_path, change.new_path):
            if path is not None and not _is_safe(path):
                raise self._refuse(patch, change, f"'{shown(path)}' is no path inside a tree", mend="mend the patch")
        if change.operation == "add":
            self._add(patch, change, state)
            return
        assert change.old_path is not None
        moved = change.operation in ("rename", "copy")
        old = self._before(change.old_path) if moved else self._now(change.old_path, state)
        if old is None:
            if change.operation == "delete" and change.old_path not in state.gone and self._objects.blob(change.old_blob):
                state.notes.append(f"{shown(change.old_path)}: already deleted in the tree")
                return
            raise self._refuse(patch, change, f"{shown(change.old_path)} is not in the tree")
        self._check_type(patch, change, old)
        if change.operation == "delete":
            self._delete(patch, change, old, state)
            return
        # The mode of an `index` line is what the file had; only another one behind it is a change.
        unchanged = change.new_mode is None or change.new_mode == change.old_mode
        mode = old.mode if unchanged else self._mode(patch, change)
        if mode[:3] != old.mode[:3]:
            raise self._refuse(
                patch, change, f"{shown(change.old_path)} turns from mode {old.mode} into {mode}", mend="mend the patch"
            )
        assert change.new_path is not None
        if moved and change.new_path != change.old_path:
            self._check_free(patch, change, change.new_path, state)
        content = self._content(patch, change, old, state)
        if change.operation == "rename" and change.new_path != change.old_path:
            state.gone.add(change.old_path)
        state.made[change.new_path] = _File(mode, content)

    def _add(self, patch: Patch, change: FileChange, state: _State) -> None:
        path = change.path
        mode = self._mode(patch, change)
        there = self._existing(path, state)
        if there is not None and not self._goes_later(patch, change, path):
            file = self._content(patch, change, _File(mode, b""), state)
            if (file, mode) != (there.content, there.mode):
                raise self._refuse(patch, change, f"{shown(path)} is to be created and is already in the tree with other content")
            state.notes.append(f"{shown(path)}: already in the tree as the patch creates it")
            return
        if change.binary and change.patch is None and self._after(change) is None:
            self._keep(patch, change, state, "left out")
            return
        state.made[path] = _File(mode, self._content(patch, change, _File(mode, b""), state))

    def _delete(self, patch: Patch, change: FileChange, old: _File, state: _State) -> None:
        assert change.old_path is not None
        path = change.old_path
        if change.binary:
            if change.old_blob and not self._id(old).startswith(change.old_blob):
                raise self._refuse(patch, change, f"{shown(path)} is to be deleted and has other content")
        elif change.hunks:
            rest = place_hunks(old.content, change, patch.origin).content
            if rest:
                raise self._refuse(patch, change, f"{shown(path)} is to be deleted and has more content than the patch knows")
        elif old.content:
            raise self._refuse(patch, change, f"{shown(path)} is to be deleted as an empty file and has content")
        state.made.pop(path, None)
        if self._edit.get(path) is not None:
            state.gone.add(path)

    def _content(self, patch: Patch, change: FileChange, old: _File, state: _State) -> bytes:
        if change.binary:
            return self._binary(patch, change, old, state)
        if not change.hunks:
            return old.content
        try:
            placed = place_hunks(old.content, change, patch.origin)
        except DoesNotApply as error:
            merged = self._three_way(patch, change, old, state, error)
            if merged is None:
                raise
            content = merged
        else:
            state.notes += _offset_notes(change, placed)
            content = placed.content
        if old.mode == SUBMODULE and not _is_subproject(content, self._objects.id_bytes * 2):
            raise self._refuse(
                patch, change, f"{shown(change.path)} is a submodule and the patch names no commit for it", mend="mend the patch"
            )
        return content

    def _binary(self, patch: Patch, change: FileChange, old: _File, state: _State) -> bytes:
        path = shown(change.old_path or change.path)
        here = self._objects.id_of("blob", old.content)
        if change.new_blob and here.startswith(change.new_blob) and change.operation == "modify":
            state.notes.append(f"{path}: already as the patch wants it")
            return old.content
        matches = change.operation == "add" or here.startswith(change.old_blob)
        if change.patch is None:
            after = self._after(change)
            if after is not None and matches:
                return after
            self._keep(patch, change, state, "kept as it is")
            return old.content
        if not matches:
            raise self._refuse(patch, change, f"{path} is binary and not the content that the patch was made for")
        try:
            result = apply_binary(change.patch, old.content)
        except BadBinaryPatch as error:
            raise self._refuse(
                patch, change, f"the binary patch of {path} cannot be read: {error}", mend="get the patch anew"
            ) from error
        if not self._objects.id_of("blob", result).startswith(change.new_blob):
            raise self._refuse(
                patch, change, f"the binary patch of {path} makes another content than it says", mend="get the patch anew"
            )
        return result

    def _after(self, change: FileChange) -> bytes | None:
        """The content after a binary change that brings no data, if the repository has it."""
        return self._objects.blob(change.new_blob) if len(change.new_blob) == self._objects.id_bytes * 2 else None

    def _keep(self, patch: Patch, change: FileChange, state: _State, what: str) -> None:
        """Pass over a binary change without data, unless it concerns what is analysed.

        :raises DoesNotApply: it is a C file
        """
        if change.path.endswith(SUFFIXES):
            raise self._refuse(
                patch,
                change,
                f"{shown(change.path)} differs as a binary file and the patch brings no data",
                mend="get it with git format-patch --binary",
            )
        state.notes.append(f"{shown(change.path)}: {what}, its binary change is not in the patch")

    def _three_way(self, patch: Patch, change: FileChange, ours: _File, state: _State, error: DoesNotApply) -> bytes | None:
        """The tree's content and the patch's, merged; None where the repository lacks what the patch was made on.

        :raises DoesNotApply: they conflict
        """
        # As in git, a submodule or a new file has nothing to merge.
        if not change.old_blob or change.operation == "add" or ours.mode == SUBMODULE:
            return None
        base = self._objects.blob(change.old_blob)
        if base is None:
            return None
        try:
            theirs = place_hunks(base, change, patch.origin).content
        except DoesNotApply:
            return None  # the patch was edited by hand: what the tree says is the better complaint
        path = shown(change.path)
        if theirs == ours.content:
            state.notes.append(f"{path}: already as the patch wants it")
            return theirs
        merged = None if b"\0" in base + ours.content + theirs else self._merge(ours.content, base, theirs)
        if merged is None:
            why = f"{error.why}; a three-way merge with the content it was made for conflicts"
            raise DoesNotApply(error.origin, error.line, error.path, why, error.hunk) from error
        state.notes.append(f"{path}: merged three-way, the patch was made for another content ({change.old_blob[:12]})")
        return merged

    def _merge(self, ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
        # Plain files and no paths of the tree: no attribute can name a driver for them.
        with tempfile.TemporaryDirectory(prefix="reviewer-") as folder:
            paths = []
            for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
                paths.append(str(Path(folder) / name))
                (Path(folder) / name).write_bytes(content)
            output, _, code = self._git.run_raw("merge-file", "-p", "-q", *paths)
        if code > 127:  # "cannot merge binary files", or no git
            return None
        return output if code == 0 else None

    def _check_type(self, patch: Patch, change: FileChange, old: _File) -> None:
        if change.old_mode is not None and change.old_mode[:3] != old.mode[:3]:
            why = f"{shown(change.old_path or '')} has mode {old.mode} in the tree and {shown(change.old_mode)} in the patch"
            raise self._refuse(patch, change, why)

    def _check_free(self, patch: Patch, change: FileChange, path: str, state: _State) -> None:
        if self._existing(path, state) is not None and not self._goes_later(patch, change, path):
            raise self._refuse(patch, change, f"{shown(path)} is to be created and is already in the tree")

    def _existing(self, path: str, state: _State) -> _File | None:
        try:
            return self._now(path, state)
        except Obstructed:
            return None  # what is in the way may go with this patch; else `put` says so

    def _goes_later(self, patch: Patch, change: FileChange, path: str) -> bool:
        """Whether another part of the patch takes a path away (files that change places, a file that becomes a link)."""
        return any(
            other is not change and other.old_path == path and other.operation in ("delete", "rename") for other in patch.files
        )

    def _now(self, path: str, state: _State) -> _File | None:
        if path in state.made:
            return state.made[path]
        return None if path in state.gone else self._before(path)

    def _before(self, path: str) -> _File | None:
        """A file as it was before the patch."""
        found = self._edit.get(path)
        return None if found is None else _File(found[0], self._read(path, found))

    def _read(self, path: str, entry: Entry) -> bytes:
        mode, name = entry
        if mode == SUBMODULE:
            return _SUBPROJECT + name.encode() + b"\n"
        content = self._objects.blob(name)
        if content is None:
            raise MissingContent(f"{path}: content absent from the repository (shallow, partial or damaged clone)")
        return content

    def _id(self, file: _File) -> str:
        return self._objects.id_of("blob", file.content)

    def _mode(self, patch: Patch, change: FileChange) -> str:
        """The mode that the patch gives, as git would store it."""
        mode = change.new_mode or "100644"
        if mode in (LINK, SUBMODULE):
            return mode
        if len(mode) != 6 or not mode.startswith(_REGULAR) or mode.strip("01234567"):
            raise self._refuse(patch, change, f"{shown(change.path)} cannot have mode {shown(mode)}", mend="mend the patch")
        return "100755" if int(mode, 8) & 0o100 else "100644"

    def _obstructed(self, patch: Patch, change: FileChange, error: Obstructed) -> DoesNotApply:
        return self._refuse(patch, change, f"{shown(change.path)} cannot be a file: {shown(str(error))}")

    def _refuse(self, patch: Patch, change: FileChange, why: str, mend: str = "try an older --base") -> DoesNotApply:
        return DoesNotApply(patch.origin, change.line, change.path, why, mend=mend)


def _is_safe(path: str) -> bool:
    """Whether git would take this path into a tree."""
    parts = os.fsencode(path).split(b"/")
    return b"\0" not in parts[0] and all(
        part not in (b"", b".", b"..") and part.lower() != b".git" and b"\0" not in part for part in parts
    )


def _is_subproject(content: bytes, digits: int) -> bool:
    name = content[len(_SUBPROJECT) :].strip()
    return content.startswith(_SUBPROJECT) and len(name) == digits and not name.strip(b"0123456789abcdef")


def _offset_notes(change: FileChange, placed: Placed) -> list[str]:
    return [
        f"{shown(change.path)}: hunk {number} at offset {offset}" for number, offset in enumerate(placed.offsets, 1) if offset
    ]
