"""How many definitions parse, and what breaks the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reviewer.parse.dialect import load_dialect
from reviewer.parse.health import BATCH, CAUSES, WAITING, file_health, health

FINE = b"static int f(int a)\n{\n\treturn a;\n}\n"
BROKEN = b"int g(void)\n{\n\tPUMP_ODD(a b c);\n\treturn 0;\n}\n"
LOST = b"int h(int) + 3\n{\n\treturn 0;\n}\n"
DIALECT = load_dialect()


def test_a_whole_definition_is_healthy() -> None:
    found = file_health(FINE, DIALECT)
    assert found.functions == 1
    assert found.broken == ()


def test_an_error_inside_is_told_with_its_line_and_its_macro() -> None:
    found = file_health(FINE + BROKEN, DIALECT)
    assert found.functions == 2
    assert [(b.line, b.cause) for b in found.broken] == [(7, "the arguments of PUMP_ODD(...)")]


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ('PUMP_INSN("x", [a] "=r" (b) : "c");', "operands of assembly among the arguments of PUMP_INSN(...)"),
        ("return PUMP_TRY(a b; c);", "a statement among the arguments of PUMP_TRY(...)"),
        ("x = 2 PUMP_SECONDS;", "a number PUMP_SECONDS after '='"),
        ("x = a ? b;", "'?' a word after a word"),
    ],
)
def test_causes_are_told_by_shape(statement: str, cause: str) -> None:
    found = file_health(b"int f(void)\n{\n\t" + statement.encode() + b"\n}\n", DIALECT)
    assert [b.cause for b in found.broken] == [cause]


def test_a_definition_that_the_parser_does_not_see_counts_as_broken() -> None:
    found = file_health(FINE + LOST, DIALECT)
    assert (found.functions, len(found.broken)) == (2, 1)
    assert "lost" in found.broken[0].cause


@pytest.mark.parametrize("text", [b"", b"\0" * 100, b"int x;\n", b"{", b"}" * 50, bytes(range(256)) * 20])
def test_a_file_without_definitions(text: bytes) -> None:
    assert file_health(text, DIALECT).functions == 0


def test_causes_are_counted_and_have_a_place() -> None:
    files = [("b.c", BROKEN), ("a.c", FINE + BROKEN), ("c.c", FINE)]
    found = health(files, DIALECT)
    assert (found.files, found.functions, found.broken) == (3, 4, 2)
    assert [(c.count, c.place) for c in found.causes] == [(2, "a.c:7")]


def test_ten_causes_at_most_the_commonest_first() -> None:
    files = [(f"{n}.c", BROKEN.replace(b"PUMP_ODD", b"PUMP_%d" % (n % 14))) for n in range(30)]
    found = health(files, DIALECT)
    assert len(found.causes) == CAUSES
    assert [c.count for c in found.causes] == sorted((c.count for c in found.causes), reverse=True)


def test_several_processes_find_the_same() -> None:
    files = [(f"{n}.c", (BROKEN, FINE, LOST)[n % 3]) for n in range(100)]
    assert health(files, DIALECT, jobs=2) == health(files, DIALECT)


def test_files_are_read_as_they_are_needed() -> None:
    """Memory must not grow with the tree: no more is read ahead than a few batches for each process."""
    ahead = 0
    done = 0

    def files() -> Iterator[tuple[str, bytes]]:
        nonlocal ahead
        for n in range(2000):
            ahead = max(ahead, n - done)
            yield f"{n}.c", FINE

    from reviewer.parse import health as module

    for _ in module._each(files(), DIALECT, 2):
        done += 1
    assert done == 2000
    assert ahead <= BATCH * (WAITING * 2 + 1)
