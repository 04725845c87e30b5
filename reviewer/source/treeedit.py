"""A git tree that is changed path by path; only the folders on the way are read and written."""

from __future__ import annotations

import os

from reviewer.source.objects import FOLDER, LINK, SUBMODULE, Entry, Objects


class Obstructed(Exception):
    """A path cannot be: something that is no folder is in its way, or it is a folder. The text says what."""


class _Folder:
    """Entries of one folder; subfolders that were opened stand in ``open`` and beat their entry."""

    __slots__ = ("changed", "entries", "open")

    def __init__(self, entries: dict[bytes, Entry], changed: bool = False) -> None:
        self.entries = entries
        self.open: dict[bytes, _Folder] = {}
        self.changed = changed


class TreeEdit:
    """Edits of one tree.

    :param tree: id of the tree to begin with.
    :raises MissingContent: (all methods) a folder's object is absent
    """

    def __init__(self, objects: Objects, tree: str) -> None:
        self._objects = objects
        self._top = _Folder(objects.tree(tree))
        self._id = tree

    def get(self, path: str) -> Entry | None:
        """(mode, id) of a file, link or submodule; None where there is none.

        :raises Obstructed: the way leads through a link, a file or a submodule, or the path is a folder
        """
        *above, name = os.fsencode(path).split(b"/")
        folder: _Folder | None = self._top
        for depth, part in enumerate(above):
            assert folder is not None
            folder = self._enter(folder, part, os.fsdecode(b"/".join(above[: depth + 1])))
            if folder is None:
                return None
        assert folder is not None
        found = folder.entries.get(name)
        if found is not None and found[0] == FOLDER:
            raise Obstructed(f"{path} is a folder")
        return found

    def put(self, path: str, mode: str, blob: str) -> None:
        """Set a file, link or submodule.

        :raises Obstructed: as in ``get``
        """
        *above, name = os.fsencode(path).split(b"/")
        self.get(path)  # before anything changes
        folder = self._top
        for part in above:
            folder.changed = True
            if part not in folder.entries:
                folder.entries[part] = (FOLDER, "")
                folder.open[part] = _Folder({}, changed=True)
            inner = self._enter(folder, part, path)
            assert inner is not None
            folder = inner
        folder.changed = True
        folder.entries[name] = (mode, blob)

    def remove(self, path: str) -> None:
        """Remove a file, link or submodule that is there; folders that become empty go with it."""
        *above, name = os.fsencode(path).split(b"/")
        way = [self._top]
        for part in above:
            inner = self._enter(way[-1], part, path)
            assert inner is not None
            way.append(inner)
        way[-1].entries.pop(name)
        for folder in way:
            folder.changed = True
        for folder, part in zip(reversed(way[:-1]), reversed(above), strict=True):
            if folder.open[part].entries:
                break
            del folder.open[part], folder.entries[part]

    def write(self) -> str:
        """Store what changed; the id of the tree as it is now."""
        if self._top.changed:
            self._id = self._write(self._top)
        return self._id

    def _enter(self, folder: _Folder, part: bytes, path: str) -> _Folder | None:
        inner = folder.open.get(part)
        if inner is not None:
            return inner
        found = folder.entries.get(part)
        if found is None:
            return None
        mode, name = found
        if mode != FOLDER:
            kind = {LINK: "a symbolic link", SUBMODULE: "a submodule"}.get(mode, "a file")
            raise Obstructed(f"{path} is {kind}")
        inner = folder.open[part] = _Folder(self._objects.tree(name))
        return inner

    def _write(self, folder: _Folder) -> str:
        for part, inner in folder.open.items():
            if inner.changed:
                folder.entries[part] = (FOLDER, self._write(inner))
        folder.changed = False
        return self._objects.write_tree(folder.entries)
