"""GFP masks read with a tree's own definitions: two miniature headers of ours, then the real ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from reviewer.parse.constexpr import FactsEnv, Mask, evaluate_mask
from reviewer.parse.facts import Enumerator, FileFacts, Macro
from reviewer.program.linked.gfp import COMPOSITES, FLAGS, GfpFlags

KERNELS = Path(os.environ.get("KERNELS", "~/kernels")).expanduser()


def header(text: str) -> FileFacts:
    """The ``#define``s and the enumerators of a header, read without the parser under test elsewhere."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S).replace("\\\n", " ")
    macros = tuple(
        Macro(m[1], tuple(p.strip() for p in m[2][1:-1].split(",")) if m[2] else None, m[3].strip(), 1, "")
        for m in re.finditer(r"^#\s*define\s+(\w+)(\([\w, .]*\))?[ \t]*(.*)$", text, re.M)
    )
    enums = tuple(
        tuple(Enumerator(n, None) for n in re.findall(r"^\s*(\w+)\s*,?\s*$", m[1], re.M))
        for m in re.finditer(r"\benum\b[^{;]*\{([^}=]*)\}", text)
    )
    return FileFacts((), (), (), (), (), enums, macros, (), (), 1)


OLD = """
#define ___GFP_HIGH		0x01u
#define ___GFP_IO		0x02u
#define ___GFP_FS		0x04u
#define ___GFP_NORETRY		0x08u
#define ___GFP_DIRECT_RECLAIM	0x10u
#define ___GFP_KSWAPD_RECLAIM	0x20u
#ifdef CONFIG_LOCKDEP
#define ___GFP_NOLOCKDEP	0x40u
#else
#define ___GFP_NOLOCKDEP	0
#endif
#define __GFP_HIGH		((__force gfp_t)___GFP_HIGH)
#define __GFP_IO		((__force gfp_t)___GFP_IO)
#define __GFP_FS		((__force gfp_t)___GFP_FS)
#define __GFP_NORETRY		((__force gfp_t)___GFP_NORETRY)
#define __GFP_DIRECT_RECLAIM	((__force gfp_t)___GFP_DIRECT_RECLAIM)
#define __GFP_KSWAPD_RECLAIM	((__force gfp_t)___GFP_KSWAPD_RECLAIM)
#define __GFP_NOLOCKDEP		((__force gfp_t)___GFP_NOLOCKDEP)
#define __GFP_RECLAIM		((__force gfp_t)(___GFP_DIRECT_RECLAIM | \\
				___GFP_KSWAPD_RECLAIM))
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_NOFS		(__GFP_RECLAIM | __GFP_IO)
#define GFP_ATOMIC		(__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT		(__GFP_KSWAPD_RECLAIM)
#define GFP_LIGHT		((GFP_KERNEL | __GFP_HIGH) & ~__GFP_RECLAIM)
"""

NEW = (
    """
enum {
	___GFP_DIRECT_RECLAIM_BIT,
	___GFP_NORETRY_BIT,
	___GFP_IO_BIT,
	___GFP_FS_BIT,
	___GFP_HIGH_BIT,
	___GFP_KSWAPD_RECLAIM_BIT,
#ifdef CONFIG_LOCKDEP
	___GFP_NOLOCKDEP_BIT,
#endif
	___GFP_LAST_BIT
};
"""
    + "".join(
        f"#define ___GFP_{n} BIT(___GFP_{n}_BIT)\n"
        for n in ("HIGH", "IO", "FS", "NORETRY", "DIRECT_RECLAIM", "KSWAPD_RECLAIM", "NOLOCKDEP")
    )
    + OLD[OLD.index("#define __GFP_HIGH") :]
)


@pytest.fixture(params=[OLD, NEW], ids=["numbers", "enum"])
def gfp(request: pytest.FixtureRequest) -> GfpFlags:
    return GfpFlags(FactsEnv([header(request.param)]))


def mask(gfp: GfpFlags, *names: str) -> int:
    result = 0
    for name in names:
        value = gfp.value(name)
        assert value, name
        result |= value
    return result


def test_values_are_the_trees_own() -> None:
    old, new = (GfpFlags(FactsEnv([header(text)])) for text in (OLD, NEW))
    assert (old.value("__GFP_DIRECT_RECLAIM"), new.value("__GFP_DIRECT_RECLAIM")) == (0x10, 1)
    assert old.value("GFP_KERNEL") == 0x36
    assert new.value("GFP_KERNEL") == 0x2D
    assert new.value("___GFP_LAST_BIT") == 7
    assert old.value("GFP_LIGHT") == 0x07
    assert old.value("GFP_NOSUCH") is None


def test_reclaims_and_retries(gfp: GfpFlags) -> None:
    assert gfp.known
    kernel = mask(gfp, "GFP_KERNEL")
    assert gfp.reclaims(kernel)
    assert gfp.retries(kernel)
    assert gfp.retries(mask(gfp, "GFP_NOFS"))
    noretry = mask(gfp, "GFP_KERNEL", "__GFP_NORETRY")
    assert gfp.reclaims(noretry)
    assert not gfp.retries(noretry)
    for name in ("GFP_ATOMIC", "GFP_NOWAIT", "__GFP_NORETRY"):
        assert not gfp.reclaims(mask(gfp, name)), name
        assert not gfp.retries(mask(gfp, name)), name
    assert not gfp.reclaims(kernel & ~mask(gfp, "__GFP_DIRECT_RECLAIM"))


def test_names(gfp: GfpFlags) -> None:
    kernel = mask(gfp, "GFP_KERNEL")
    assert gfp.names(kernel) == ("GFP_KERNEL",)
    assert gfp.text(mask(gfp, "GFP_KERNEL", "__GFP_NORETRY")) == "GFP_KERNEL | __GFP_NORETRY"
    assert gfp.names(mask(gfp, "GFP_NOWAIT")) == ("GFP_NOWAIT",)
    assert gfp.names(kernel & ~mask(gfp, "__GFP_DIRECT_RECLAIM")) == (
        "__GFP_KSWAPD_RECLAIM",
        "__GFP_IO",
        "__GFP_FS",
    )
    assert gfp.names(mask(gfp, "GFP_NOFS", "__GFP_NOLOCKDEP")) == ("GFP_NOFS", "__GFP_NOLOCKDEP")
    assert gfp.names(kernel | 1 << 20) == ("GFP_KERNEL", "0x100000")
    assert gfp.names(0) == ("0",)


def test_names_say_the_mask_again(gfp: GfpFlags) -> None:
    for bits in range(1 << 7):
        total = 0
        for name in gfp.names(bits):
            total |= gfp.value(name) or int(name, 0)
        assert total == bits


def test_a_tree_without_definitions_knows_nothing() -> None:
    gfp = GfpFlags(FactsEnv([]))
    assert not gfp.known
    assert gfp.value("GFP_KERNEL") is None
    assert not gfp.reclaims(0xFFFF)
    assert gfp.names(0x30) == ("0x30",)


def test_a_parameter_loses_reclaim_in_a_helper() -> None:
    env = FactsEnv([header(OLD)])
    result = evaluate_mask("(gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY", env, {"gfp": Mask("gfp")})
    assert isinstance(result, Mask)
    gfp = GfpFlags(env)
    assert not gfp.reclaims(result.keep | result.bits)
    given = result.given(mask(gfp, "GFP_KERNEL"))
    assert gfp.names(given) == ("__GFP_KSWAPD_RECLAIM", "__GFP_IO", "__GFP_FS", "__GFP_NORETRY")


def real(version: str) -> GfpFlags:
    tree = KERNELS / version
    files = [p for n in ("gfp_types.h", "gfp.h") if (p := tree / "include/linux" / n).exists()]
    if not files:
        pytest.skip(f"no {version} below $KERNELS")
    return GfpFlags(FactsEnv([header(p.read_text()) for p in files]))


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("version", "direct", "noretry"),
    [
        ("linux-source-6.12", 1 << 10, 1 << 16),
        ("linux-source-6.1", 0x400, 0x10000),
        ("wt417", 0x400000, 0x1000),
    ],
)
def test_real_headers(version: str, direct: int, noretry: int) -> None:
    gfp = real(version)
    assert gfp.value("___GFP_DIRECT_RECLAIM") == gfp.value("__GFP_DIRECT_RECLAIM") == direct
    assert gfp.value("__GFP_NORETRY") == noretry
    kernel = mask(gfp, "__GFP_RECLAIM", "__GFP_IO", "__GFP_FS")
    assert gfp.value("GFP_KERNEL") == kernel
    assert gfp.retries(kernel)
    assert not gfp.retries(kernel | noretry)
    assert gfp.text(kernel | noretry) == "GFP_KERNEL | __GFP_NORETRY"
    for name in ("GFP_ATOMIC", "GFP_NOWAIT", "GFP_TRANSHUGE_LIGHT"):
        value = gfp.value(name)
        assert value, name
        assert not gfp.reclaims(value), name
        assert gfp.names(value) == (name,)
    for name in ("GFP_NOIO", "GFP_NOFS", "GFP_USER", "GFP_HIGHUSER_MOVABLE", "GFP_TRANSHUGE"):
        assert gfp.retries(mask(gfp, name)), name


@pytest.mark.kernel
@pytest.mark.parametrize("version", ["linux-source-6.12", "linux-source-6.1", "wt417"])
def test_every_real_flag_has_a_value_and_a_name(version: str) -> None:
    tree = KERNELS / version / "include/linux"
    if not tree.exists():
        pytest.skip(f"no {version} below $KERNELS")
    text = "".join(p.read_text() for n in ("gfp_types.h", "gfp.h") if (p := tree / n).exists())
    gfp = GfpFlags(FactsEnv([header(text)]))
    singles = set(re.findall(r"^#define (__GFP_\w+)\s+\(\(__force gfp_t\)___GFP", text, re.M)) - {
        "__GFP_BITS_MASK"
    }
    assert len(singles) > 20
    for name in singles:
        value = gfp.value(name)
        assert value, name
        assert name in FLAGS, "a flag that FLAGS does not list would print as a number"
        assert gfp.names(value)[0] in (*FLAGS, *COMPOSITES)
