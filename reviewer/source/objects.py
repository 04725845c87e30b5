"""Git objects of our own: blobs and trees written into a scratch object directory, one file each.

Written here and not by a git process: a patch touches a handful of objects, and starting ``git fast-import`` or
``mktree`` costs more than writing them. The format is that of loose objects (gitformat-loose: ``TYPE SIZE\\0CONTENT``,
deflated, under the digest of the same bytes), which every git reads.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

from reviewer.errors import MissingContent
from reviewer.source.gitrun import CatFile

FOLDER = "40000"
"""Mode of a folder inside a tree, as git stores it: without the leading zero."""
LINK = "120000"
SUBMODULE = "160000"

Entry = tuple[str, str]
"""(mode, object id) of one name in a folder."""


class Objects:
    """Reads objects through git, writes new ones below ``folder``.

    :param cat: reads the user's objects and those below ``folder``.
    :param sha256: the repository names objects by SHA-256.
    """

    def __init__(self, folder: Path, cat: CatFile, sha256: bool = False) -> None:
        self.folder = folder
        self._cat = cat
        self._hash = hashlib.sha256 if sha256 else hashlib.sha1
        self.id_bytes = 32 if sha256 else 20
        self._fresh: set[str] = set()

    def id_of(self, kind: str, content: bytes) -> str:
        """The id of a ``blob`` or ``tree`` with this content."""
        return self._hash(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()

    def write(self, kind: str, content: bytes) -> str:
        """Store a ``blob`` or ``tree``; its id."""
        whole = b"%s %d\0" % (kind.encode(), len(content)) + content
        name = self._hash(whole).hexdigest()
        if kind == "blob":
            self._fresh.add(name)
        path = self.folder / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(whole, 1))  # thrown away soon: quick before small
        return name

    def blob(self, name: str) -> bytes | None:
        """Content of a blob by its whole or abbreviated id; None where it is absent or the abbreviation not clear."""
        if not name or name.strip("0123456789abcdef"):
            return None
        if len(name) == self.id_bytes * 2:
            return self._cat.read(name)
        # Ours first: git remembers what it saw when it started, and would miss later ones by an abbreviation.
        ours = [whole for whole in self._fresh if whole.startswith(name)]
        return self._cat.read(ours[0] if len(ours) == 1 else f"{name}^{{blob}}")

    def tree(self, name: str) -> dict[bytes, Entry]:
        """A folder: name to (mode, id).

        :raises MissingContent: absent or damaged
        """
        content = self._cat.read(name)
        if content is None:
            raise MissingContent(f"tree {name}: absent from the repository (shallow, partial or damaged clone)")
        result: dict[bytes, Entry] = {}
        position = 0
        while position < len(content):
            end = content.index(b"\0", position)
            mode, _, entry = content[position:end].partition(b" ")
            position = end + 1 + self.id_bytes
            result[entry] = (mode.decode(), content[end + 1 : position].hex())
        return result

    def write_tree(self, entries: dict[bytes, Entry]) -> str:
        """Store a folder; its id."""
        # git's order: as if the names of folders ended in a slash.
        ordered = sorted(entries.items(), key=lambda item: item[0] + b"/" if item[1][0] == FOLDER else item[0])
        return self.write(
            "tree", b"".join(b"%s %s\0" % (mode.encode(), name) + bytes.fromhex(blob) for name, (mode, blob) in ordered)
        )
