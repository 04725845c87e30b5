"""Which files define a name, fill a table, assign a member; and that several processes find what one finds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reviewer.program.scope import Definitions
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FactStore, NullStore

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


def test_a_stored_index_answers_without_a_search(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "t"]):
        subprocess.run(["git", "-C", tree, *command], check=True)
    with FactStore.open(tmp_path / "store") as store:
        asked = Definitions(open_tree(str(tree), "HEAD"), store, jobs=2).files_defining("a_run")
    monkeypatch.setattr("reviewer.program.scope.read_symbols", lambda *_: pytest.fail("searched again"))
    with FactStore.open(tmp_path / "store") as store:
        assert Definitions(open_tree(str(tree), "HEAD"), store).files_defining("a_run") == asked
