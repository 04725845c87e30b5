"""``--config``: what is not compiled under it is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]

CODE = """#include <linux/mutex.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(gauge_lock);
static DEFINE_MUTEX(gauge_mutex);
static int gauge;

#ifdef CONFIG_GAUGE_SLOW
static void gauge_begin(void)
{
\tmutex_lock(&gauge_mutex);
}
#else
static void gauge_begin(void)
{
}
#endif

void gauge_add(int n)
{
\tspin_lock(&gauge_lock);
\tgauge_begin();
\tgauge += n;
#ifdef CONFIG_GAUGE_SLOW
\tmutex_unlock(&gauge_mutex);
#endif
\tspin_unlock(&gauge_lock);
}

void gauge_reset(void)
{
\tspin_lock(&gauge_lock);
\tif (IS_ENABLED(CONFIG_GAUGE_SLOW))
\t\tmutex_lock(&gauge_mutex);
\tgauge = 0;
\tif (IS_ENABLED(CONFIG_GAUGE_SLOW))
\t\tmutex_unlock(&gauge_mutex);
\tspin_unlock(&gauge_lock);
}
"""


@pytest.fixture
def gauge(kernel: Path, commit: Callable[..., None]) -> Path:
    (kernel / "drivers/gauge.c").write_text(CODE)
    commit(kernel)
    return kernel


def found(report: str) -> set[tuple[str, str]]:
    return {(f["rule"], f["function"]) for f in json.loads(report)["findings"]}


@pytest.mark.parametrize(
    ("setting", "functions"),
    [
        (None, {"gauge_add", "gauge_reset"}), ("CONFIG_GAUGE_SLOW=y", {"gauge_add", "gauge_reset"}),
        ("# CONFIG_GAUGE_SLOW is not set", set()), ("CONFIG_GAUGE_SLOW=m", {"gauge_reset"}),
    ],
)  # fmt: skip
def test_arms_of_a_scan(real: Run, gauge: Path, tmp_path: Path, setting: str | None, functions: set[str]) -> None:
    """Of a module, ``#ifdef`` is off and ``IS_ENABLED()`` on."""
    config = tmp_path / ".config"
    config.write_text(f"CONFIG_OTHER=y\n{setting}\n")
    chosen = ["--config", config] if setting is not None else []
    outcome = real("scan", "--all", "-C", gauge, "--path", "drivers/gauge.c", "--format", "json", "--fail-on", "never", *chosen)
    assert (outcome.code, outcome.err) == (0, "")
    assert found(outcome.out) == {("sleep-in-atomic", name) for name in functions}
    quoted = [step["text"] for f in json.loads(outcome.out)["findings"] for step in f["proof"] if step["text"]]
    assert all(text in CODE for text in quoted)


def test_arms_of_a_review(real: Run, gauge: Path, tmp_path: Path) -> None:
    """A patch to an arm that is not compiled brings nothing."""
    patch = tmp_path / "one.patch"
    at = CODE.split("\n").index("\tmutex_lock(&gauge_mutex);") + 1
    patch.write_text(
        "From: A <a@example.org>\nSubject: [PATCH] gauge: twice\n\n---\n"
        f"--- a/drivers/gauge.c\n+++ b/drivers/gauge.c\n@@ -{at - 2},4 +{at - 2},5 @@\n"
        " static void gauge_begin(void)\n {\n \tmutex_lock(&gauge_mutex);\n+\tmutex_lock(&gauge_mutex);\n }\n"
    )
    for setting, introduced in (("CONFIG_GAUGE_SLOW=y", True), ("CONFIG_OTHER=y", False)):
        config = tmp_path / ".config"
        config.write_text(f"{setting}\n")
        outcome = real("review", patch, "-C", gauge, "--format", "json", "--fail-on", "never", "--config", config)
        assert (outcome.code, outcome.err) == (0, "")
        assert any(f["status"] == "introduced" for f in json.loads(outcome.out)["findings"]) == introduced


def test_a_file_that_is_no_configuration(real: Run, kernel: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("hello\n")
    outcome = real("scan", "-C", kernel, "--config", config)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1 and "no line of it sets a CONFIG_ option; name the .config" in outcome.err
