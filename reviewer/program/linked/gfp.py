"""An allocation mask to a set of flags, from the tree's own definitions.

The same name is another bit in another release (``__GFP_DIRECT_RECLAIM`` is 0x400000 in v4.17 and 0x400 in
6.12), and composites change what they contain, so a mask is only ever read with the definitions of its tree:
include/linux/gfp.h up to 6.0, include/linux/gfp_types.h since.
"""

from __future__ import annotations

from reviewer.parse.constexpr import Constants, MacroEnv

FLAGS = (
    "__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM", "__GFP_IO", "__GFP_FS", "__GFP_HIGH", "__GFP_ATOMIC",
    "__GFP_WAIT", "__GFP_NORETRY", "__GFP_RETRY_MAYFAIL", "__GFP_NOFAIL", "__GFP_NOWARN", "__GFP_MEMALLOC",
    "__GFP_NOMEMALLOC", "__GFP_ZERO", "__GFP_COMP", "__GFP_ACCOUNT", "__GFP_HARDWALL", "__GFP_THISNODE",
    "__GFP_HIGHMEM", "__GFP_DMA", "__GFP_DMA32", "__GFP_MOVABLE", "__GFP_RECLAIMABLE", "__GFP_WRITE",
    "__GFP_ZEROTAGS", "__GFP_SKIP_ZERO", "__GFP_SKIP_KASAN", "__GFP_SKIP_KASAN_POISON",
    "__GFP_SKIP_KASAN_UNPOISON", "__GFP_NO_OBJ_EXT", "__GFP_NOLOCKDEP", "__GFP_COLD", "__GFP_NOTRACK",
)  # fmt: skip
"""Names of single bits, v4.0 to 6.12, in the order in which a mask is printed."""

COMPOSITES = (
    "GFP_KERNEL", "GFP_ATOMIC", "GFP_NOWAIT", "GFP_NOFS", "GFP_NOIO", "GFP_USER", "GFP_KERNEL_ACCOUNT",
    "GFP_HIGHUSER", "GFP_HIGHUSER_MOVABLE", "GFP_TEMPORARY", "GFP_TRANSHUGE", "GFP_TRANSHUGE_LIGHT",
    "GFP_DMA", "GFP_DMA32", "__GFP_RECLAIM",
)  # fmt: skip
"""Names of sets, the one to prefer first where two are equal."""


class GfpFlags:
    """The masks of one tree.

    :ivar known: whether the tree defines direct reclaim at all; False for a tree without these headers, where
        no mask has a value either
    """

    def __init__(self, env: MacroEnv) -> None:
        self._constants = env if isinstance(env, Constants) else Constants(env)
        # Up to v4.3 one flag, __GFP_WAIT, meant both waiting and waking kswapd.
        self._direct = self.value("__GFP_DIRECT_RECLAIM") or self.value("__GFP_WAIT") or 0
        self._noretry = self.value("__GFP_NORETRY") or 0
        self._flags: list[tuple[int, str]] | None = None
        self._sets: list[tuple[int, str]] | None = None
        self.known = bool(self._direct)

    def value(self, name: str) -> int | None:
        """The mask that a flag's or a composite's name stands for in this tree, or None if it has none."""
        return self._constants.value(name)

    def reclaims(self, mask: int) -> bool:
        """Whether an allocation with this mask may enter direct reclaim, and so the OOM killer.

        :source: include/linux/gfp_types.h on __GFP_DIRECT_RECLAIM
        """
        return bool(mask & self._direct)

    def retries(self, mask: int) -> bool:
        """Whether the allocation reclaims directly and may do so for ever: no ``__GFP_NORETRY``.

        Such an allocation must not be waited for from within reclaim or the OOM killer.
        :source: __alloc_pages_slowpath in mm/page_alloc.c, where __GFP_NORETRY leaves before the OOM killer
        """
        return self.reclaims(mask) and not mask & self._noretry

    def worst(self, may: int, must: int) -> int:
        """Of the masks that a value may be (bits ``must``, perhaps those of ``may``), the one that retries if any does."""
        return may & ~self._noretry | must

    def names(self, mask: int) -> tuple[str, ...]:
        """The mask as the shortest usual list of names: ``("GFP_KERNEL", "__GFP_NORETRY")``.

        Bits without a name come last, as one hexadecimal number; the empty mask is ``("0",)``.
        """
        if not mask:
            return ("0",)
        flags, sets = self._tables()
        exact = next((name for bits, name in sets if bits == mask), None)
        if exact is not None:
            return (exact,)
        result = []
        inside = [(bits, name) for bits, name in sets if bits & mask == bits and bits.bit_count() > 1]
        if inside:
            # max() keeps the first among equals, which is the preferred name.
            bits, name = max(inside, key=lambda entry: entry[0].bit_count())
            result.append(name)
            mask &= ~bits
        for bits, name in flags:
            if bits & mask:
                result.append(name)
                mask &= ~bits
        return (*result, hex(mask)) if mask else tuple(result)

    def text(self, mask: int) -> str:
        """The names joined as a programmer would write them: ``GFP_KERNEL | __GFP_NORETRY``."""
        return " | ".join(self.names(mask))

    def _tables(self) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        if self._flags is None or self._sets is None:
            self._flags = [(v, n) for n in FLAGS if (v := self.value(n)) and v.bit_count() == 1]
            self._sets = [(v, n) for n in COMPOSITES if (v := self.value(n))]
        return self._flags, self._sets
