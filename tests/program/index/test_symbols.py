"""Which files define a name, fill a table, assign a member; and that several processes find what one finds."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reviewer.program.index.scope import Definitions
from reviewer.program.linked.link import Program
from reviewer.source.tree import Tree, open_tree
from reviewer.store.factstore import FactStore, NullStore

MakeProgram = Callable[[dict[str, str]], Program]

FILES = {
    "drivers/gpu/a.c": "static const struct my_ops a_ops = {\n\t.run = a_run,\n};\nint a_run(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/b.c": "static struct my_ops b_ops[] __initdata = {\n\t{ .run = b_run },\n};\n",
    "drivers/c.c": "void c_setup(struct dev *d)\n{\n\td->ops.table[2].run = c_run;\n\td->state = 3;\n\tx.stop = c_stop;\n}\n",
    "include/linux/d.h": "struct my_ops {\n\tint (*run)(void);\n};\n#define D_OPS(x) (x)\n#define D_NUMBER 3\n"
    "extern struct my_ops *d;\n",
    "kernel/e.c": "void e(void)\n{\n\tstruct my_ops local = {\n\t\t.run = e_run,\n\t};\n\tstruct my_ops *p = get();\n}\n"
    "static DEFINE_MUTEX(e_mutex);\nstruct my_ops e_ops = E_INIT(e_ops);\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {"Makefile": "VERSION = 6\n", "Kbuild": "", **FILES}.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


def test_a_struct_is_that_of_an_included_header(make_program: MakeProgram) -> None:
    """However its brace stands, and though another driver's of the same name is nearer."""
    program = make_program({
        "include/linux/link_phy.h": "struct link_phy\n{\n\tint speed;\n};\n",
        "drivers/net/other/phy.h": "struct link_phy {\n\tint duplex;\n};\n",
        "drivers/net/mine.c": "#include <linux/link_phy.h>\nint f(struct link_phy *p)\n{\n\treturn p->speed;\n}\n",
        "drivers/net/other/main.c": '#include "phy.h"\nint g(struct link_phy *p)\n{\n\treturn p->duplex;\n}\n',
    })  # fmt: skip
    found = {path: program.struct_at("struct link_phy", path) for path in ("drivers/net/mine.c", "drivers/net/other/main.c")}
    assert [at and (at[0], at[1].fields[0].name) for at in found.values()] == [
        ("include/linux/link_phy.h", "speed"), ("drivers/net/other/phy.h", "duplex"),
    ]  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_who_defines_and_who_fills(tree: Path, jobs: int) -> None:
    names = Definitions(open_tree(str(tree), None), NullStore(), jobs=jobs)
    assert names.files_defining("a_run") == ("drivers/gpu/a.c",)
    assert names.files_defining("e_mutex") == ("kernel/e.c",)
    assert names.files_defining("b_ops") == ("drivers/net/b.c",)
    assert names.files_defining_struct("struct my_ops") == ("include/linux/d.h",)
    assert names.files_defining_macro("D_OPS") == ("include/linux/d.h",)
    assert names.files_defining_macro("D_NUMBER") == ()
    assert names.files_initialising("my_ops") == ("drivers/gpu/a.c", "drivers/net/b.c", "kernel/e.c")
    assert names.files_assigning("run") == ("drivers/c.c",)
    assert names.files_assigning("stop") == ("drivers/c.c",)
    assert names.files_assigning("state") == ()


def commit(tree: Path) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "t"]):
        subprocess.run(["git", "-C", tree, *command], check=True)


def change(tree: Path) -> None:
    """One file changed, one new, one gone."""
    (tree / "drivers/gpu/a.c").write_text("int other(void)\n{\n\treturn e_mutex;\n}\n")
    (tree / "lib").mkdir()
    (tree / "lib/f.c").write_text("int a_run(int x)\n{\n\treturn x;\n}\n")
    (tree / "drivers/net/b.c").unlink()


def changed_answers(names: Definitions) -> None:
    assert names.files_defining("a_run") == ("lib/f.c",)
    assert names.files_defining("other") == ("drivers/gpu/a.c",)
    assert names.files_defining("e_mutex") == ("kernel/e.c",)
    assert names.files_initialising("my_ops") == ("kernel/e.c",)
    assert names.files_mentioning(["e_mutex", "a_run", "b_run"]) == {
        "e_mutex": ("drivers/gpu/a.c", "kernel/e.c"), "a_run": ("lib/f.c",), "b_run": (),
    }  # fmt: skip


def fill(names: Definitions) -> None:
    """Ask whatever is needed for an index, and some words, to be stored."""
    names.files_defining("a_run")
    names.files_mentioning(["e_mutex", "a_run", "b_run"])


def test_a_commit_with_few_changes_is_searched_only_there(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tree)
    with FactStore.open(tmp_path / "store") as store:
        fill(Definitions(open_tree(str(tree), "HEAD"), store))
        change(tree)
        commit(tree)
        whole = Tree.grep_raw

        def searched(self: Tree, *arguments: Any) -> Iterator[tuple[str, bytes]]:
            assert arguments[2], "the whole tree is searched"
            return whole(self, *arguments)

        monkeypatch.setattr(Tree, "grep_raw", searched)
        changed_answers(Definitions(open_tree(str(tree), "HEAD"), store))


def test_expected_words_are_found_with_the_next_search(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tree)
    searches: list[list[str]] = []
    whole = Tree.grep_raw

    def counted(self: Tree, options: Any, patterns: list[str], *rest: Any) -> Iterator[tuple[str, bytes]]:
        searches.append(sorted(patterns))
        return whole(self, options, patterns, *rest)

    monkeypatch.setattr(Tree, "grep_raw", counted)
    names = Definitions(open_tree(str(tree), "HEAD"), NullStore())
    names.expect(["b_run", *(f"other_{n}" for n in range(20))])
    assert names.files_mentioning(["a_run"])["a_run"]
    assert len(searches[0]) == 10 and "b_run" in searches[0]
    names.files_mentioning(["b_run"])
    assert len(searches) == 1, "what was expected is searched for again"
    names.files_mentioning(["e_mutex"])
    assert len(searches) == 2 and not set(searches[0]) & set(searches[1])


def test_an_edited_folder_is_searched_only_where_it_changed(tree: Path, tmp_path: Path) -> None:
    time.sleep(0.1)  # files as new as the clock make a state that is not kept
    with FactStore.open(tmp_path / "store") as store:
        fill(Definitions(open_tree(str(tree), None), store))
        before = store.stats()
        assert before["bases"]
        change(tree)
        changed_answers(Definitions(open_tree(str(tree), None), store))
        assert store.stats()["symbols"] == before["symbols"]


def test_another_repository_is_no_base(tree: Path, tmp_path: Path) -> None:
    commit(tree)
    with FactStore.open(tmp_path / "store") as store:
        fill(Definitions(open_tree(str(tree), "HEAD"), store))
        change(tree)
        shutil.rmtree(tree / ".git")
        commit(tree)
        changed_answers(Definitions(open_tree(str(tree), "HEAD"), store))


def test_a_stored_index_answers_without_a_search(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tree)
    with FactStore.open(tmp_path / "store") as store:
        asked = Definitions(open_tree(str(tree), "HEAD"), store, jobs=2).files_defining("a_run")
    monkeypatch.setattr("reviewer.program.index.scope.read_symbols", lambda *_: pytest.fail("searched again"))
    with FactStore.open(tmp_path / "store") as store:
        assert Definitions(open_tree(str(tree), "HEAD"), store).files_defining("a_run") == asked
