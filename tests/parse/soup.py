"""Pieces of kernel C, to be thrown together at random."""

from __future__ import annotations

from hypothesis import strategies as st

TOKENS = st.sampled_from([
    "static ", "__init ", "int ", "f", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".a = ", "=", "\n", "\r\n", "\t", "x ",
    "list_for_each_entry(p, h, m) ", "struct T", ", ", "#if A\n", "#elif B\n", "#else\n", "#endif\n", "#if 0\n",
    "#ifdef __ASSEMBLY__\n", "#define X(a) \\\n", '"s"', '"s \\\n t"', "'c'", "/* ", " */", "// ", "DEFINE_MUTEX(x);",
    "container_of(p, struct T, m)", "scoped_guard(mutex, &l) ", "MACRO\n", "MACRO(x)\n", "M(a, return b)", "M(a;)",
    "typeof(x) ", "case 1 ... 2:", "asm volatile(", "while_each(x);", "} ", "\n{\n", "\n}\n", "out:\n", "else ", "if (a) ",
    "194A", "__unheard ", "offsetof(struct T, a[1])",
])  # fmt: skip
