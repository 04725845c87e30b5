"""Constant expressions: C's arithmetic, the preprocessor's rules, and None where the value is not known."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewer.parse.constexpr import (
    Constants,
    FactsEnv,
    Mask,
    enum_values,
    evaluate,
    evaluate_mask,
    fold,
    fold_mask,
)
from reviewer.parse.facts import (
    Binary,
    Cast,
    Choice,
    Const,
    CType,
    Enumerator,
    FileFacts,
    Macro,
    Name,
    Text,
    Unary,
)


class Env:
    """Macros as ``NAME: body`` or ``NAME(a, b): body``, and enumerators."""

    def __init__(
        self, macros: dict[str, str] | None = None, enumerators: dict[str, int] | None = None
    ) -> None:
        self.macros: dict[str, Macro] = {}
        for head, body in (macros or {}).items():
            name, _, rest = head.partition("(")
            parameters = tuple(p.strip() for p in rest[:-1].split(",") if p.strip()) if rest else None
            self.macros[name] = Macro(name, parameters, body, 1, "")
        self.enumerators = enumerators or {}

    def macro(self, name: str) -> Macro | None:
        return self.macros.get(name)

    def enumerator(self, name: str) -> int | None:
        return self.enumerators.get(name)


EMPTY = Env()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("42", 42), ("0x400u", 0x400), ("010", 8), ("0b101", 5), ("1UL", 1),
        ("0xffffffff", 0xFFFFFFFF),
        ("'A'", 65), (r"'\n'", 10), (r"'\0'", 0), (r"'\x41'", 65), (r"'\101'", 65),
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("10 - 4 - 3", 3), ("1 << 4 | 2", 18), ("7 & ~2", 5),
        ("-7 / 2", -3),
        ("-7 % 2", -1), ("6 ^ 3", 5), ("1 ? 2 : 3", 2), ("0 ? 2 : 1 ? 4 : 5", 4), ("3 > 2 && 2 > 1", 1),
        ("!5", 0), ("!0", 1), ("(4, 5)", None), ("+5", 5), ("8 >> 1", 4), ("1 == 1", 1), ("2 != 2", 0),
        ("/* four */ 4 // five", 4),
        # the types show
        ("~0", -1), ("~0u", 0xFFFFFFFF), ("~0UL", 2**64 - 1), ("1 << 31", -(2**31)), ("1u << 31", 2**31),
        ("-1 < 0u", 0), ("-1 < 0", 1), ("(unsigned char)257", 1), ("(u8)~0", 255), ("(s8)255", -1),
        ("(unsigned long)-1", 2**64 - 1), ("(long unsigned int)-1", 2**64 - 1), ("(bool)4", 1),
        ("4294967295", 2**32 - 1),
        ("-4294967295", 1 - 2**32), ("0xffffffff + 1", 0), ("4294967295 + 1", 2**32),
        # casts to names that nobody defines
        ("(__force gfp_t)0x400u", 0x400), ("((__force gfp_t)(0x400u|0x800u))", 0xC00), ("(foo_t)7", 7),
        ("(foo_t)(7)", 7),
        ("(foo_t) ~0", -1), ("(gfp_t)-1", 2**32 - 1), ("(struct foo *)0", 0), ("(void __user *)16", 16),
        ("(enum e)3", 3),
        ("(__force foo_t *)4 == 4", 1),
        ("((foo_t __force) -1)", -1),
        # unknown, never an exception
        ("", None), ("x", None), ("1 +", None), ("(1", None), ("1)", None), ("sizeof(int)", None),
        ("sizeof(struct x) + 1", None),
        ("1 / 0", None), ("1 % 0", None), ("1 << 64", None), ("1 << -1", None), ("08", None),
        ("1.5", None), ('"a"', None),
        ("IS_ENABLED(CONFIG_SMP)", None), ("25 + IS_ENABLED(CONFIG_LOCKDEP)", None), ("f(1)", None),
        ("typeof(x)", None),
        ("({ 1; })", None), ("a ?: b", None), ("do { } while (0)", None), ("x[1]", None), ("&x", None),
        ("#", None), ("@", None),
        ("1; int y = 2", None), ("99999999999999999999", None), ("''", None), ("'ab'", None),
        ("return", None),
        # partly unknown, still certain
        ("0 && x", 0), ("1 || x", 1), ("x && 0", 0), ("0 & x", 0), ("x ? 3 : 3", 3), ("x ? 3 : 4", None),
        ("1 ? 3 : x", 3),
        ("likely(3)", 3), ("__builtin_choose_expr(0, x, 9)", 9),
        # known without a header
        ("BIT(3)", 8), ("_AC(1,UL) << 40", 1 << 40), ("BIT_ULL(40)", 1 << 40), ("GENMASK(7, 4)", 0xF0),
        ("UL(3)", 3),
    ],
)  # fmt: skip
def test_expression(text: str, value: int | None) -> None:
    assert evaluate(text, EMPTY) == value


def test_macros_expand_by_text_not_by_value() -> None:
    env = Env({"SUM": "1 + 2", "TWICE(x)": "x * 2", "SAFE(x)": "((x) * 2)"})
    assert evaluate("SUM * 2", env) == 5
    assert evaluate("TWICE(1 + 2)", env) == 5
    assert evaluate("SAFE(SUM)", env) == 6


def test_function_like_macro_without_parentheses_is_a_name() -> None:
    assert evaluate("F + 1", Env({"F(x)": "(x)"}, {"F": 3})) == 4


def test_pasting_and_strings() -> None:
    env = Env({"GLUE(a, b)": "a ## b", "VALUE_A": "7", "A": "0", "S(x)": "sizeof(#x)"})
    assert evaluate("GLUE(VALUE_, A)", env) == 7  # an operand of ## is not expanded first
    assert evaluate("GLUE(0x, ff)", env) == 255
    assert evaluate("GLUE(, 5)", env) == 5
    assert evaluate('S("a")', env) is None


def test_variable_arguments() -> None:
    env = Env(
        {
            "PICK(a, ...)": "PICK2(__VA_ARGS__)",
            "PICK2(a, b)": "((a) - (b))",
            "NAMED(x, rest...)": "(x + PICK2(rest))",
        }
    )
    assert evaluate("PICK(1, 9, 4)", env) == 5
    assert evaluate("NAMED(1, 9, 4)", env) == 6


def test_wrong_number_of_arguments_is_unknown() -> None:
    assert evaluate("F(1, 2)", Env({"F(x)": "(x)"})) is None
    assert evaluate("F(1", Env({"F(x)": "(x)"})) is None


def test_an_annotation_that_is_a_macro_still_has_no_value() -> None:
    env = Env({"__force": "__attribute__((force))", "OK": "((__force status_t)3)"})
    assert evaluate("OK", env) == 3
    assert evaluate("(__force gfp_t)OK | 4", env) == 7


def test_recursion_ends() -> None:
    assert evaluate("A", Env({"A": "(B + 1)", "B": "(A + 1)"})) is None
    assert evaluate("F(1)", Env({"F(x)": "F(x) + 1"})) is None


def test_a_macro_may_name_its_own_enumerator() -> None:
    env = Env({"AF_X": "AF_X"}, {"AF_X": 12})
    assert evaluate("AF_X", env) == 12
    assert evaluate("AF_X + 1", env) == 13


def test_exponential_macros_are_given_up_in_time() -> None:
    env = Env({f"M{i}": f"(M{i + 1} + M{i + 1})" for i in range(60)} | {"M60": "1"})
    start = time.perf_counter()
    assert evaluate("M0 * 3", env) is None
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3000 + "1" + ")" * 3000,
        "~" * 5000 + "1",
        "1" + "+1" * 100_000,
        "1?" * 3000 + "1" + ":1" * 3000,
        "{" * 9000,
    ],
)
def test_deep_or_long_input_is_given_up(text: str) -> None:
    start = time.perf_counter()
    assert evaluate(text, EMPTY) in (None, 1)
    assert time.perf_counter() - start < 2


def test_arguments_hide_macros_and_enumerators() -> None:
    env = Env({"x": "1", "F(n)": "(n + x)"}, {"y": 2})
    assert evaluate("x + y", env) == 3
    assert evaluate("x + y", env, {"x": 10, "y": 20}) == 30


def test_enumerators_and_conditional_expressions_mix() -> None:
    env = Env({"WIDE": "(N_BITS > 4 ? 1 : 0)"}, {"N_BITS": 5})
    assert evaluate("WIDE", env) == 1


# --- masks of which some bits are known ---


def test_mask_goes_through_and_or() -> None:
    gfp = {"flags": Mask("flags")}
    assert evaluate_mask("(flags & ~0x400) | 0x1000", EMPTY, gfp) == Mask(
        "flags", ~0x1400 & (2**64 - 1), 0x1000
    )
    assert evaluate_mask("flags & 0", EMPTY, gfp) == 0
    assert evaluate_mask("(flags | 8) & 8", EMPTY, gfp) == 8
    assert evaluate("flags | 8", EMPTY, gfp) is None  # evaluate() gives numbers only


def test_mask_decides_what_it_can() -> None:
    gfp = {"flags": Mask("flags", 0xFF, 0x100)}
    assert evaluate("(flags & 0x100) ? 1 : 2", EMPTY, gfp) == 1
    assert evaluate("(flags & 0x200) ? 1 : 2", EMPTY, gfp) == 2
    assert evaluate("(flags & 0x1) ? 1 : 2", EMPTY, gfp) is None
    assert evaluate("flags == 0", EMPTY, gfp) == 0
    assert evaluate("!flags", EMPTY, gfp) == 0
    assert evaluate_mask("flags + 1", EMPTY, gfp) is None


def test_mask_given_its_parameter() -> None:
    assert Mask("g", 0xF0, 0x1).given(0xFF) == 0xF1


OPERATIONS = st.lists(st.tuples(st.sampled_from("&|^"), st.integers(0, 2**32 - 1)), max_size=5)


@given(OPERATIONS, st.integers(0, 2**32 - 1))
def test_mask_agrees_with_the_number(operations: list[tuple[str, int]], value: int) -> None:
    text = "x"
    for op, operand in operations:
        text = f"({text} {op} {operand}UL)"
    symbolic = evaluate_mask(text, EMPTY, {"x": Mask("x")})
    number = evaluate(text, EMPTY, {"x": value})
    if isinstance(symbolic, Mask):
        assert symbolic.given(value) == number
    else:
        assert symbolic is None or symbolic == number


@given(st.text(alphabet="01x()+-*/&|~!<>=?:,. \"'#\\LUab{}[];\n", max_size=60))
def test_nothing_raises(text: str) -> None:
    evaluate_mask(text, Env({"a": "b", "b(x)": "x a"}), {"x": Mask("x")})


LEAVES = st.integers(0, 70).map(str) | st.sampled_from(["N", "~0u", "3UL"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda e: st.tuples(e, st.sampled_from(["+", "-", "*", "&", "|", "^", "<", "=="]), e).map(
        lambda t: f"({' '.join(t)})"
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_a_macro_in_parentheses_is_its_value(text: str) -> None:
    """The short ways (a flat expression, a macro by its value) agree with full expansion."""
    env = Env({"N": "(2)", "ALL": f"({text})", "ID(x)": "x"})
    assert evaluate("ALL", env) == evaluate(f"ID({text})", env) == evaluate(f"0 ? 1 : {text}", env)


# --- fold ---


def test_fold_trees() -> None:
    env = Env({"A": "(4)"}, {"E": 3})
    assert fold(Const(7), env) == 7
    assert fold(Name("A"), env) == 4
    assert fold(Name("E"), env) == 3
    assert fold(Name("p"), env) is None
    assert fold(Name("p"), env, {"p": 9}) == 9
    assert fold(Name("struct x"), env) is None
    assert fold(Text('"s"'), env) is None
    assert fold(Binary("|", Name("A"), Binary("<<", Const(1), Name("E"))), env) == 12
    assert fold(Binary("&", Name("A"), Unary("~", Const(4))), env) == 0
    assert fold(Cast(CType("u8"), Const(257)), env) == 1
    assert fold(Cast(CType("struct x", pointer=1), Const(0)), env) == 0
    assert fold(Cast(CType("foo_t"), Const(5)), env) == 5
    assert fold(Choice(Name("A"), Const(1), Const(2)), env) == 1
    assert fold(Choice(Name("p"), Const(1), Const(2)), env) is None
    assert fold(Binary("&&", Const(0), Name("p")), env) == 0


def test_fold_masks() -> None:
    tree = Binary("|", Binary("&", Name("gfp"), Unary("~", Const(0x400))), Const(0x1000))
    assert fold_mask(tree, EMPTY, {"gfp": Mask("gfp")}) == Mask("gfp", ~0x1400 & (2**64 - 1), 0x1000)


def test_constants_keep_and_call() -> None:
    constants = Constants(Env({"A": "(4)", "ADD(x, y)": "((x) | (y))"}))
    assert constants.value("A") == 4
    assert constants.value("nope") is None
    assert constants.fold(Name("A")) == 4
    assert constants.fold(Name("A"), {"A": 5}) == 5
    assert constants.call("ADD", [1, 6]) == 7
    assert constants.call("ADD", [1, None]) is None
    assert constants.call("ADD", [1, Mask("g")]) == Mask("g", 2**64 - 2, 1)


# --- facts ---


def facts(macros: tuple[Macro, ...] = (), enums: tuple[tuple[Enumerator, ...], ...] = ()) -> FileFacts:
    return FileFacts((), (), (), (), (), enums, macros, (), (), 1)


def test_env_of_facts_prefers_the_body_over_the_stub() -> None:
    on, off = Macro("F", None, "0x20u", 1, "defined(X)"), Macro("F", None, "0", 3, "!defined(X)")
    assert evaluate("F", FactsEnv([facts((on, off))])) == 0x20
    assert evaluate("F", FactsEnv([facts((off, on))])) == 0x20
    assert evaluate("F", FactsEnv([facts((off,)), facts((on,))])) == 0x20


def test_enum_counts_on() -> None:
    enum = (
        Enumerator("A", None),
        Enumerator("B", Const(5)),
        Enumerator("C", None),
        Enumerator("D", Binary("+", Name("B"), Const(2))),
    )
    env = FactsEnv([facts(enums=(enum,))])
    assert [env.enumerator(n) for n in "ABCDX"] == [0, 5, 6, 7, None]


def test_enum_with_an_unknown_value_knows_the_rest_again_later() -> None:
    enum = (
        Enumerator("A", Name("unknown")),
        Enumerator("B", None),
        Enumerator("C", Const(1)),
        Enumerator("D", None),
    )
    assert enum_values(enum, EMPTY) == {"A": None, "B": None, "C": 1, "D": 2}


def test_enum_arms_start_at_the_same_value() -> None:
    enum = (
        Enumerator("A", None),
        Enumerator("B", None, "defined(X)"),
        Enumerator("C", None, "!defined(X)"),
        Enumerator("D", None, "!defined(X)"),
        Enumerator("E", None),
    )
    assert enum_values(enum, EMPTY) == {"A": 0, "B": 1, "C": 1, "D": 2, "E": 3}
