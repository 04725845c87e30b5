"""Heads of files: from the store where it has them, without the file being read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from reviewer.errors import MissingContent
from reviewer.parse.dialect import load_dialect
from reviewer.parse.head import Head
from reviewer.parse.kconfig import Configuration
from reviewer.program.index.files import Files
from reviewer.store.factstore import FactStore
from reviewer.store.kept import kept_heads

TEXTS = {
    "include/pump.h": b'#include <linux/list.h>\n#include "valve.h"\n#define RATE 12\n#define NAME "pump"\n#define LOW (-3)\n',
    "include/valve.h": b"#ifdef CONFIG_VALVE\n#include <linux/io.h>\n#endif\n#define WIDE 4\n",
    "include/empty.h": b"",
}


class Tree:
    """A tree in memory that counts what is read."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        if path not in TEXTS:
            raise MissingContent(f"{path}: no such file")
        return TEXTS[path]

    def blob(self, path: str) -> str:
        if path not in TEXTS:
            raise MissingContent(f"{path}: no such file")
        return f"id of {path}"

    def exists(self, path: str) -> bool:
        return path in TEXTS

    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]:
        return ((p, self.read(p)) for p in paths)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FactStore]:
    with FactStore.open(tmp_path / "store") as opened:
        yield opened


def test_read_once_and_kept(store: FactStore) -> None:
    dialect = load_dialect()
    first = Files(Tree(), dialect, known_heads=kept_heads(store, dialect))
    told = dict(first.heads(list(TEXTS)))
    assert told["include/pump.h"] == Head((("linux/list.h", True), ("valve.h", False)), "LOW\nRATE")
    assert told["include/empty.h"] == Head()
    first.keep()
    tree = Tree()
    again = Files(tree, dialect, known_heads=kept_heads(store, dialect))
    assert dict(again.heads(list(TEXTS))) == told
    assert tree.reads == []
    assert again.get("include/pump.h").text and tree.reads == ["include/pump.h"]


def test_what_a_configuration_leaves_is_not_what_the_store_knows(store: FactStore) -> None:
    dialect = load_dialect()
    whole = Files(Tree(), dialect, known_heads=kept_heads(store, dialect))
    assert [head.includes for _, head in whole.heads(["include/valve.h"])] == [(("linux/io.h", True),)]
    whole.keep()
    off = Configuration(b"# CONFIG_VALVE is not set\nCONFIG_PUMP=y\n")
    picked = Files(Tree(), dialect, configuration=off, known_heads=kept_heads(store, dialect))
    assert [head.includes for _, head in picked.heads(["include/valve.h"])] == [()]


def test_a_file_that_is_not_there(store: FactStore) -> None:
    dialect = load_dialect()
    files = Files(Tree(), dialect, known_heads=kept_heads(store, dialect))
    assert [head for _, head in files.heads(["include/gone.h"])] == [Head()]
    assert files.skipped == {"include/gone.h": "include/gone.h: no such file"}


def test_nothing_is_kept_of_content_that_a_clone_has_not_got(store: FactStore) -> None:
    class Partial(Tree):
        def read(self, path: str) -> bytes:
            raise MissingContent(f"{path}: content absent")

    dialect = load_dialect()
    partial = Files(Partial(), dialect, known_heads=kept_heads(store, dialect))
    assert [head for _, head in partial.heads(["include/pump.h"])] == [Head()]
    partial.keep()
    whole = Files(Tree(), dialect, known_heads=kept_heads(store, dialect))
    assert [head.numbers for _, head in whole.heads(["include/pump.h"])] == ["LOW\nRATE"]
