"""Which arms a configuration leaves of a text."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewer.parse.kconfig import Configuration

SET = Configuration(b"CONFIG_ON=y\nCONFIG_PART=m\nCONFIG_HZ=250\n# CONFIG_OFF is not set\nCONFIG_NAME=\"eins\"\n")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("defined(CONFIG_ON)", True), ("defined CONFIG_ON", True),
        ("defined(CONFIG_OFF)", False), ("defined(CONFIG_PART)", False),
        ("defined(CONFIG_PART_MODULE)", True), ("defined(CONFIG_ON_MODULE)", False), ("IS_ENABLED(CONFIG_PART)", True),
        ("IS_BUILTIN(CONFIG_PART)", False), ("IS_MODULE(CONFIG_PART)", True), ("IS_REACHABLE(CONFIG_PART)", None),
        ("IS_REACHABLE(CONFIG_ON)", True), ("IS_ENABLED(CONFIG_OFF)", False),
        ("CONFIG_HZ > 100", True), ("CONFIG_HZ == 100", False),
        ("CONFIG_OFF", False), ("CONFIG_ON", True), ("MODULE", None), ("defined(MODULE) && defined(CONFIG_OFF)", False),
        ("defined(MODULE) || defined(CONFIG_ON)", True), ("defined(MODULE) && defined(CONFIG_ON)", None),
        ("!defined(CONFIG_OFF) /* why */ && \\\n CONFIG_ON", True), ("!(defined(CONFIG_ON) || X)", False),
        ("CONFIG_NAME == 1", None), ("LINUX_VERSION_CODE + 1", None), ("", None), ("defined(CONFIG_ON", None),
        ("0", False), ("1", True),
    ],
)  # fmt: skip
def test_conditions(condition: str, holds: bool | None) -> None:
    assert SET.decided(condition.encode()) is holds


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("#ifdef CONFIG_ON\na;\n#else\nb;\n#endif\nc;\n", ["a;", "c;"]),
        ("#ifndef CONFIG_ON\na;\n#elif defined(CONFIG_PART_MODULE)\nb;\n#else\nc;\n#endif\n", ["b;"]),
        (
            "#if defined(X)\na;\n#elif defined(CONFIG_ON)\nb;\n#else\nc;\n#endif\n",
            ["#if defined(X)", "a;", "#else", "b;", "#endif"],
        ),
        ("#ifdef CONFIG_OFF\na;\n#elif defined(X)\nb;\n#else\nc;\n#endif\n", ["#if   defined(X)", "b;", "#else", "c;", "#endif"]),
        ("#ifdef CONFIG_ON\n#ifdef CONFIG_OFF\na;\n#endif\n#ifdef X\nb;\n#endif\n#endif\n", ["#ifdef X", "b;", "#endif"]),
        ("#ifdef CONFIG_OFF\n#ifdef X\na;\n#endif\n#endif\nb;\n", ["b;"]),
        ("if (IS_ENABLED(CONFIG_OFF) && IS_ENABLED(CONFIG_ON))\n", ["if (0                      && 1                    )"]),
        (
            "#define CONFIG_OFF\n#ifdef CONFIG_OFF\na;\n#endif\n",
            ["#define CONFIG_OFF", "#ifdef CONFIG_OFF", "a;", "#endif"],
        ),
        ("#ifdef CONFIG_ON\na;\n", ["a;"]),
    ],
)
def test_arms(text: str, left: list[str]) -> None:
    picked = SET.pick(text.encode()).decode()
    assert [line.rstrip() for line in picked.split("\n") if line.strip()] == left


CONDITION = st.sampled_from(["CONFIG_ON", "CONFIG_OFF", "CONFIG_PART", "CONFIG_HZ", "MODULE"]).flatmap(
    lambda name: st.sampled_from([f"defined({name})", f"!defined({name})", name, f"{name} > 1"])
)
CONDITIONS = st.recursive(
    CONDITION, lambda c: st.tuples(c, st.sampled_from(["&&", "||"]), c).map(lambda t: f"({' '.join(t)})"), max_leaves=4
)


@st.composite
def groups(draw: st.DrawFn, depth: int = 2) -> list[str]:
    lines = [f"word{draw(st.integers(0, 99))};"]
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        lines += [f"#if {draw(CONDITIONS)}", *draw(groups(depth - 1))]
        for _ in range(draw(st.integers(0, 2))):
            lines += [f"#elif {draw(CONDITIONS)}", *draw(groups(depth - 1))]
        if draw(st.booleans()):
            lines += ["#else", *draw(groups(depth - 1))]
        lines.append("#endif")
    return lines


@pytest.mark.skipif(shutil.which("cpp") is None, reason="no C preprocessor on this machine")
@settings(max_examples=50, deadline=None)
@given(groups())
def test_the_preprocessor_agrees(lines: list[str]) -> None:
    """With what ``.config`` becomes in C, the text and what is picked of it are the same program."""
    text = "\n".join(lines) + "\n"
    picked = SET.pick(text.encode()).decode()
    assert len(picked) == len(text) and [len(x) for x in picked.split("\n")] == [len(x) for x in text.split("\n")]
    for module in ([], ["-DMODULE"]):
        cpp = ["cpp", "-P", "-DCONFIG_ON=1", "-DCONFIG_PART_MODULE=1", "-DCONFIG_HZ=250", *module]
        made = [subprocess.run(cpp, input=t, capture_output=True, text=True, check=True).stdout for t in (text, picked)]
        assert made[0] == made[1]
