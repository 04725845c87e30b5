"""Who wins an atomic test, and where; what a poll waits for; what a work item runs; what a macro makes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.parse.facts import Items
from reviewer.program.concurrency.waiting import polling
from reviewer.program.flow.gates import Gates
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.summaries import Summaries
from reviewer.program.index.generated import variables
from reviewer.program.linked.link import Program

MakeProgram = Callable[[dict[str, str]], Program]

WINS = {
    "test_and_set_bit(0, &w)": (False, True),
    "test_and_clear_bit(0, &w)": (True, False),
    "atomic_cmpxchg(&a, 0, 1)": (False, True),
    "atomic_xchg(&a, 1)": (False, True),
    "atomic_xchg(&a, 0)": (True, False),
    "atomic_add_unless(&a, 1, 1)": (True, False),
    "atomic_dec_and_test(&a)": (True, False),
    "atomic_inc_return(&a) == 1": (True, False),
    "atomic_inc_return(&a) > 1": (False, True),
    "atomic_inc_return(&a) > 5": (False, False),
    "atomic_cmpxchg(&a, 2, 3) == 2": (True, False),
    "atomic_cmpxchg(&a, 2, 3)": (False, False),
    "atomic_read(&a)": (False, False),
}
"""A condition, and whether the one who finds it true, and the one who finds it false, has won."""


def gates_at_stores(program: Program, name: str) -> list[bool]:
    """For each ``here = ...`` of a function, in order: whether a gate has been won there."""
    func = program.functions("drivers/x.c", name)[0]
    found = Gates(Summaries(program)).at(func)
    body = program.body(func)
    assert body is not None
    stores = [e for b in body.blocks for e in b.events if "here" in str(getattr(e, "target", ""))]
    return [bool(found.get(e.at)) for e in stores]


@pytest.mark.parametrize(("condition", "wins"), WINS.items(), ids=list(WINS))
def test_who_wins(make_program: MakeProgram, condition: str, wins: tuple[bool, bool]) -> None:
    text = f"static atomic_t a; static unsigned long w; static int here;\nint f(void)\n{{\n\tif ({condition})\n\t\there = 1;\n"
    program = make_program({"drivers/x.c": text + "\telse\n\t\there = 2;\n\treturn 0;\n}\n"})
    assert tuple(gates_at_stores(program, "f")) == wins


def test_a_gate_is_open_again_once_it_is_cleared(make_program: MakeProgram) -> None:
    program = make_program({"drivers/x.c": """static unsigned long w; static int here;
int f(void)
{
	if (test_and_set_bit(0, &w))
		return 0;
	here = 1;
	clear_bit(0, &w);
	here = 2;
	return 0;
}
"""})
    assert gates_at_stores(program, "f") == [True, False]


def test_a_helper_hands_its_win_on(make_program: MakeProgram) -> None:
    program = make_program({"drivers/x.c": """static unsigned long w; static int here;
static bool enter(unsigned long *word)
{
	return !test_and_set_bit(0, word);
}
static int tell(void)
{
	atomic_read(&w);
	return 1;
}
int f(void)
{
	if (enter(&w))
		here = 1;
	else
		here = 2;
	return 0;
}
int g(void)
{
	if (tell())
		here = 1;
	return 0;
}
"""})
    assert gates_at_stores(program, "f") == [True, False]
    assert gates_at_stores(program, "g") == [False]


@pytest.mark.parametrize(("loop", "polls"), [
    ("while (atomic_read(&a))\n\t\tmsleep(1);", True),
    ("while (READ_ONCE(p->busy))\n\t\tcpu_relax();", True),
    ("do {\n\t\tmsleep(1);\n\t} while (atomic_read(&a) != 0);", True),
    ("while (n--)\n\t\tatomic_inc(&a);", False),
    ("while (atomic_read(&a) > n)\n\t\tn++;", False),
    ("if (atomic_read(&a))\n\t\tmsleep(1);", False),
])  # fmt: skip
def test_a_poll_is_a_loop_on_shared_state_alone(make_program: MakeProgram, loop: str, polls: bool) -> None:
    text = "struct port { int busy; };\nstatic atomic_t a;\nint f(struct port *p)\n{\n\tint n = 3;\n\n\t"
    program = make_program({"drivers/x.c": f"{text}{loop}\n\treturn n;\n}}\n"})
    body = program.body(program.functions("drivers/x.c", "f")[0])
    assert body is not None
    assert bool(polling(body)) is polls


def test_a_queued_item_runs_what_it_was_set_up_with(make_program: MakeProgram) -> None:
    program = make_program({"drivers/x.c": """struct port { struct work_struct work; struct delayed_work later; };
static DECLARE_WORK(fixed, run_fixed);
static void run_fixed(struct work_struct *w) { }
static void run_field(struct work_struct *w) { }
static void run_later(struct work_struct *w) { }
void setup(struct port *p)
{
	INIT_WORK(&p->work, run_field);
	INIT_DELAYED_WORK(&p->later, run_later);
}
int f(struct port *q)
{
	schedule_work(&fixed);
	schedule_work(&q->work);
	schedule_delayed_work(&q->later, 10);
	return 0;
}
"""})
    func = program.functions("drivers/x.c", "f")[0]
    frame = program.frame(func)
    setups = Setups(Summaries(program))
    started = []
    assert frame.body is not None
    for event in (e for b in frame.body.blocks for e in b.events):
        model = program.model(event.callee.id)  # type: ignore[union-attr]
        args = tuple(frame.canonical(a, {}) for a in event.args)  # type: ignore[union-attr]
        for registers in model.registers if model is not None else ():
            started += [t.name for t in setups.started(frame, registers, args)]
    assert started == ["run_fixed", "run_field", "run_later"]


def test_a_macro_makes_variables(make_program: MakeProgram) -> None:
    program = make_program({
        "include/linux/own.h": "#define USER(name, fn) static struct notifier_block name##_nb = { .notifier_call = fn }\n"
        "#define TELL(x) pr_info(x)\n",
        "drivers/x.c": '#include <linux/own.h>\nUSER(mine, my_fn);\nEXPORT_SYMBOL(mine);\nTELL("x");\n',
    })
    found = variables(program, "drivers/x.c")
    assert list(found) == ["mine_nb"]
    assert ".notifier_call" in str(found["mine_nb"].value)
    assert "my_fn" in str(found["mine_nb"].value)


PM = """
#define RUNS(halt, wake) .suspend = given(halt), .resume = given(wake),
#ifdef CONFIG_PM
#define IF_RUNS(halt, wake) RUNS(halt, wake)
#else
#define IF_RUNS(halt, wake)
#endif
#define USUAL_OPS .open = usual_open
#define given(fn) PICK(IS_ENABLED(CONFIG_PM), (fn))
#define PICK(cond, fn) ((cond) ? (fn) : NULL)
struct ops { int (*suspend)(void); int (*resume)(void); int (*open)(void); int flags; };
struct driver { const struct ops *ops; };
#define DEFINE_ALL(name, halt, wake) const struct ops name = { RUNS(halt, wake) }
#define DEFINE_OPS(name, halt, wake) DEFINE_ALL(name, halt, wake)
#define DECLARE(name) const struct ops name; EXPORT(name); const struct ops name
#define EXPORT_OPS(name, halt, wake) DECLARE(name) = { RUNS(halt, wake) }
"""


@pytest.mark.parametrize("table", [
    "static const struct ops mine = { IF_RUNS(halt, wake) };",
    "static const struct ops mine = { RUNS(halt, wake) USUAL_OPS, .flags = BIT(3) };",
    "static const struct ops mine = { USUAL_OPS, .suspend = given(halt), .resume = wake };",
    "static DEFINE_OPS(mine, halt, wake);",
    "EXPORT_OPS(mine, halt, wake);",
])  # fmt: skip
def test_macros_fill_tables(make_program: MakeProgram, table: str) -> None:
    functions = "static int halt(void) { return 0; }\nstatic int wake(void) { return 1; }\n"
    driver = "struct driver d = { .ops = given(&mine) };\nint go(struct driver *d) { return d->ops->resume(); }\n"
    program = make_program({
        "include/linux/own.h": PM, "drivers/x.c": f"#include <linux/own.h>\n{functions}{table}\n{driver}",
    })  # fmt: skip
    found, driver_at = (program.variable(name, "drivers/x.c") for name in ("mine", "d"))
    assert found is not None
    assert driver_at is not None
    value = found[1].value
    assert isinstance(value, Items)
    given = dict(value.items)
    assert str(given[".suspend"]) == "Name(id='halt')"
    assert str(given[".resume"]) == "Name(id='wake')"
    assert ("open" in str(value)) == ("USUAL" in table)
    assert [t.name for t in Summaries(program).calls.table("struct ops", "resume", "drivers/x.c")] == ["wake"]
    assert list(program.table_entry(*driver_at, "struct ops", "suspend")) == ["halt"]
