"""What a patch changes, file by file."""

from __future__ import annotations

import difflib

from reviewer.parse.dialect import load_dialect
from reviewer.parse.pieces import Pieces
from reviewer.review.delta import Delta, delta
from reviewer.source.diff import parse_diff

OLD = "int a;\n\nint f(void)\n{\n\treturn 1;\n}\n\n\n\n\n\nint g(void)\n{\n\treturn 2;\n}\n"


def made(old: str | None, new: str | None, old_path: str = "mm/a.c", new_path: str = "mm/a.c") -> Delta:
    """The difference of one file, by a diff as git writes it."""
    dialect = load_dialect()
    head = [f"diff --git a/{old_path} b/{new_path}\n"]
    if old is None:
        head.append("new file mode 100644\n")
    elif new is None:
        head.append("deleted file mode 100644\n")
    elif old_path != new_path:
        head += ["similarity index 90%\n", f"rename from {old_path}\n", f"rename to {new_path}\n"]
    names = ("/dev/null" if old is None else f"a/{old_path}", "/dev/null" if new is None else f"b/{new_path}")
    lines = ((old or "").splitlines(True), (new or "").splitlines(True))
    text = "".join([*head, *difflib.unified_diff(*lines, *names)])
    files = parse_diff(text.encode(), "a test", strip=1)
    before = {old_path: Pieces(old.encode(), dialect)} if old is not None else {}
    after = {new_path: Pieces(new.encode(), dialect)} if new is not None else {}
    return delta(files, before, after)


def test_functions_and_hunks() -> None:
    found = made(OLD, OLD.replace("return 2", "return 3"))
    assert found.functions == {("mm/a.c", "g")}
    assert not found.silent
    (file,) = found.files.values()
    (hunk,) = file.hunks
    assert file.hunk_at(14) is hunk and file.hunk_at(3) is None and file.hunk_at(16) is None


def test_comments_and_blanks_are_silent() -> None:
    found = made(OLD, OLD.replace("return 2;", "return  2; /* two */"))
    assert found.silent and not found.functions and found.files


def test_a_rename_is_not_silent_though_nothing_else_differs() -> None:
    found = made(OLD, OLD, new_path="mm/b.c")
    assert found.renamed == {"mm/b.c": "mm/a.c"}
    assert not found.silent and not found.functions
    assert found.backwards.renamed == {"mm/a.c": "mm/b.c"}


def test_a_rename_with_a_change_names_the_function_by_both_paths() -> None:
    found = made(OLD, OLD.replace("return 2", "return 3"), new_path="mm/b.c")
    assert found.functions == {("mm/a.c", "g"), ("mm/b.c", "g")}


def test_new_and_gone() -> None:
    assert made(None, OLD).functions == {("mm/a.c", "f"), ("mm/a.c", "g")} == made(OLD, None).functions
    assert "mm/a.c" in made(OLD, None).files
    assert made(None, OLD).renamed == {}


def test_backwards_the_lines_are_those_before() -> None:
    found = made(OLD, "int b;\n" * 4 + OLD.replace("return 2", "return 3"))
    (file,), (back,) = found.files.values(), found.backwards.files.values()
    assert file.hunk_at(18) is not None and file.hunk_at(13) is None
    assert back.hunk_at(14) is not None and back.hunk_at(18) is None
    assert found.backwards.backwards == found


def test_what_is_no_c_is_left_out() -> None:
    assert made("a\n", "b\n", "Documentation/a.rst", "Documentation/a.rst").files == {}
    assert Delta().silent
