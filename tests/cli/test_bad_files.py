"""Files that no compiler would thank for: bounded time and memory for each, said when cut short, never fatal.

Each hostile file registers a callback on the OOM chain, so that the default scan has to look into it.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]

MEMORY = 2 << 30
"""Bytes of address space for one scan."""

SECONDS = 60

SCAN = ("scan", "--format", "json", "--fail-on", "never", "--no-store", "--jobs", "1", "--min-confidence", "low")


def callback(body: str, head: str = "") -> str:
    """A file with a callback that does ``body``, and then resets a counter that another function changes."""
    return f"""#include <linux/oom.h>
#include <linux/notifier.h>
#include <linux/lock.h>
{head}
static int odd_count;
static DEFINE_MUTEX(odd_lock);

static int odd_notify(struct notifier_block *nb, unsigned long a, void *data)
{{
{body}
	odd_count = 0;
	return 0;
}}

void odd_other(void)
{{
	odd_count++;
}}

static struct notifier_block odd_nb = {{ .notifier_call = odd_notify }};

int odd_init(void)
{{
	return register_oom_notifier(&odd_nb);
}}
"""


def scan(tree: Path) -> dict[str, Any]:
    """The report of a default scan in a process of its own, within :data:`MEMORY` and :data:`SECONDS`."""
    from running import COMMAND, environment

    done = subprocess.run(
        [*COMMAND, *SCAN, str(tree)], env=environment(tree / ".cache"), capture_output=True, timeout=SECONDS, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    assert done.stderr == b""
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (3 if found["skipped"] else 0)
    return found


def odd_user(found: dict[str, Any]) -> bool:
    return "odd_notify" in {user["function"] for chain in found["chains"] for user in chain["users"]}


def rules(found: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in found["findings"] if one["file"] == "mm/odd.c"}


WHOLE = {
    "a ladder of 600 ifs": callback("".join(f"\tif (a == {n})\n\t\todd_count += {n};\n" for n in range(600))),
    "a switch of 6,000 cases": callback(
        "\tswitch (a) {\n" + "".join(f"\tcase {n}:\n\t\todd_count = {n};\n\t\tbreak;\n" for n in range(6_000)) + "\t}"
    ),
    "#ifdef, 2,000 deep": callback("#ifdef A\n" * 2_000 + "\ta++;\n" + "#endif\n" * 2_000),
    "macros that double sixty times": callback(
        "\ta = M0(a);", "".join(f"#define M{n}(x) (M{n + 1}(x) + M{n + 1}(x))\n" for n in range(60)) + "#define M60(x) x"
    ),
    "3,000 functions that call each other": callback(
        "\ta = f0(a);",
        "".join(
            f"static int f{n}(int x)\n{{\n\tif (x)\n\t\treturn f{(n + 1) % 3000}(x - 1);\n\treturn f{(n + 7) % 3000}(x);\n}}\n"
            for n in range(3_000)
        ),
    ),
    "5,000 functions, each calling the next": callback(
        "\ta = g0(a);", "".join(f"static int g{n}(int x)\n{{\n\treturn g{n + 1}(x - 1);\n}}\n" for n in range(5_000))
    ),
    "invalid UTF-8": callback("\t/* \udce9\udcff */ a = '\udce9';"),
    "20,000 lines, a tested call in every other": callback(
        "".join(f"\tif (step{n}(a))\n\t\todd_count++;\n" for n in range(10_000))
    ),
}

CUT = {
    "3,000 nested parentheses": callback(f"\ta = {'(' * 3_000}a{')' * 3_000};"),
    "3,000 nested calls": callback(f"\ta = {'pump(' * 3_000}a{')' * 3_000};"),
    "3,000 nested blocks": callback("\tif (a) {\n" * 3_000 + "\t\ta++;\n" + "\t}\n" * 3_000),
    "a sum of 20,000": callback("\ta = a" + " + a" * 20_000 + ";"),
    "4,000 loops": callback(
        "".join(
            f"\twhile (a > {n}) {{\n\t\todd_count = step(a);\n\t\tif (odd_count)\n\t\t\tbreak;\n\t}}\n" for n in range(4_000)
        )
    ),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in WHOLE.items()])
def test_a_hostile_file_that_is_read_whole(kernel: Path, text: str) -> None:
    (kernel / "mm/odd.c").write_text(text, errors="surrogateescape")
    found = scan(kernel)
    assert odd_user(found)
    assert found["skipped"] == []
    assert {"unguarded-counter-reset", "missing-freed-update"} <= rules(found)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in CUT.items()])
def test_a_hostile_file_that_is_cut_says_so(kernel: Path, text: str) -> None:
    (kernel / "mm/odd.c").write_text(text)
    found = scan(kernel)
    assert odd_user(found)
    assert [one["file"] for one in found["skipped"]] == ["mm/odd.c"]
    assert "odd_notify" in found["skipped"][0]["reason"]
    assert "in part" in found["skipped"][0]["reason"]


def test_binary_noise(kernel: Path) -> None:
    noise = random.Random(1).randbytes(300_000)
    (kernel / "mm/odd.c").write_bytes(noise + callback("").encode())
    found = scan(kernel)
    assert not odd_user(found)
    assert found["skipped"] == [{"file": "mm/odd.c", "reason": "binary"}]


def test_binary_noise_that_nobody_asked_for(kernel: Path) -> None:
    (kernel / "mm/odd.c").write_bytes(random.Random(1).randbytes(300_000))
    assert scan(kernel)["skipped"] == []


def test_a_generated_header_of_10_mb(kernel: Path) -> None:
    header = "".join(f"#define ODD_{n}__FIELD_MASK 0x{n:08x}L\n" for n in range(245_000))
    (kernel / "mm/odd.h").write_text(header)
    assert 10_000_000 < len(header) < 12_000_000
    (kernel / "mm/odd.c").write_text(callback("\ta = ODD_7__FIELD_MASK;", '#include "odd.h"'))
    found = scan(kernel)
    assert odd_user(found)
    assert rules(found) >= {"unguarded-counter-reset", "missing-freed-update"}


def test_a_header_that_is_too_large_to_read(kernel: Path) -> None:
    (kernel / "mm/odd.h").write_text("#define ODD_MASK 7\nstatic const int odd_table[] = {" + "1,\n" * 4_500_000 + "};\n")
    (kernel / "mm/odd.c").write_text(callback("\ta = odd_table[a];", '#include "odd.h"'))
    found = scan(kernel)
    assert odd_user(found)
    assert found["skipped"] == [{"file": "mm/odd.h", "reason": "too large"}]


def test_line_ends_of_another_world(kernel: Path) -> None:
    """CRLF: the same findings on the same lines."""
    text = callback("\tif (a)\n\t\todd_count = 1;")
    (kernel / "mm/odd.c").write_text(text)
    unix = scan(kernel)
    (kernel / "mm/odd.c").write_bytes(text.replace("\n", "\r\n").encode())
    dos = scan(kernel)

    def places(found: dict[str, Any]) -> list[tuple[str, int, str]]:
        return [(one["rule"], one["line"], one["fingerprint"]) for one in found["findings"] if one["file"] == "mm/odd.c"]

    assert places(unix) and places(unix) == places(dos)


NO_C = ("int odd(void) { odd_lock " + "{ ( [ " * 20_000, '#define A "\\' + "\n\\" * 50_000, "/*", "#if", "\ufeffint a;")


@pytest.mark.parametrize("text", NO_C, ids=[text[:12] for text in NO_C])
def test_what_is_no_c_at_all(kernel: Path, text: str) -> None:
    (kernel / "mm/odd.c").write_text(text + " oom_notify_list register_oom_notifier blocking_notifier_call_chain\n")
    assert scan(kernel)["chains"]
