"""Which hunk brings a finding."""

from __future__ import annotations

from reviewer.checks.finding import Finding, Step
from reviewer.program.index.change import Change
from reviewer.review.cause import cause_of
from reviewer.review.delta import Delta, FileDelta
from reviewer.source.patch import Hunk

PUMP, LOCK = "drivers/pump/pump.c", "drivers/pump/lock.c"


def hunk(start: int, *lines: str, section: str = "") -> Hunk:
    old, new = (sum(line[0] in (" ", mark) for line in lines) for mark in "-+")
    return Hunk(start, old, start, new, section.encode(), tuple(f"{line}\n".encode() for line in lines), 1)


def changed(path: str, *hunks: Hunk, functions: tuple[str, ...] = ()) -> FileDelta:
    return FileDelta(path, path, hunks, Change(functions=frozenset(functions)))


def delta(*files: FileDelta) -> Delta:
    return Delta({f.path: f for f in files})


FINDING = Finding(
    rule="unguarded-counter-reset", severity="error", confidence="high", file=PUMP, line=40, column=2, function="pump_run",
    message="a sentence", involves=("pump_total",), event="pump_total = 0;", proof=(
        Step("call", "mm/core.c", 10, "core_all", "for (;;) pump_run();"),
        Step("access", PUMP, 40, "pump_run", "pump_total = 0;", (f"{LOCK}:pump_lock",)),
    ),
)  # fmt: skip


def test_the_hunk_around_its_own_line() -> None:
    own = hunk(38, " {", "+	int n;", " 	pump_total = 0;")
    cause = cause_of(FINDING, delta(changed(PUMP, hunk(3, "+int b;"), own), changed("mm/core.c", hunk(10, "+	x();"))))
    assert cause is not None
    assert (cause.file, cause.line, cause.inside, cause.why) == (PUMP, 38, True, "")
    assert cause.header == "@@ -38,2 +38,3 @@"
    assert cause.text == (" {", "+	int n;", " 	pump_total = 0;")


def test_blanks_around_it_are_no_cause() -> None:
    blank = changed(PUMP, hunk(39, "+", " 	pump_total = 0;"))
    cause = cause_of(FINDING, delta(blank, changed("mm/core.c", hunk(10, "-	lock();", " 	pump_run();"))))
    assert cause is not None and cause.file == "mm/core.c"


def test_a_step_of_its_proof() -> None:
    cause = cause_of(FINDING, delta(changed("mm/core.c", hunk(10, "-	lock();", " 	pump_run();"))))
    assert cause is not None
    assert (cause.file, cause.inside, cause.why) == ("mm/core.c", False, "core_all is on the way")


def test_a_function_on_the_way() -> None:
    elsewhere = changed("mm/core.c", hunk(90, "+	x();", section="void core_all(void)"), functions=("core_all",))
    cause = cause_of(FINDING, delta(elsewhere))
    assert cause is not None and (cause.line, cause.why) == (90, "it changes core_all")


def test_a_lock_and_then_a_word_of_the_proof() -> None:
    word, lock = changed("fs/a.c", hunk(5, "+	pump_total++;")), changed(LOCK, hunk(7, "-static DEFINE_MUTEX(pump_lock);"))
    cause = cause_of(FINDING, delta(word, lock))
    assert cause is not None and (cause.file, cause.why) == (LOCK, "it changes what becomes of pump_lock")
    cause = cause_of(FINDING, delta(word))
    assert cause is not None and (cause.file, cause.why) == ("fs/a.c", "it changes what becomes of pump_total")


def test_nothing_to_do_with_it() -> None:
    """Not even by a keyword of the language."""
    assert cause_of(FINDING, delta(changed("fs/a.c", hunk(5, "+	for (;;)", "+		other();")))) is None
    assert cause_of(FINDING, delta(changed("fs/a.c", hunk(5, " 	pump_total++;", "+	other();")))) is None, "not a changed line"
    assert cause_of(FINDING, Delta()) is None
