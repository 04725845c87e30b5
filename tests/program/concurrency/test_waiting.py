"""Which block can run after which, against the plain definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reviewer.parse.facts import Block, Body, Jump, Return, Switch
from reviewer.program.flow.precedence import Order, located


def body_of(edges: list[list[int]]) -> Body:
    """A body without events, one block per list of successors."""
    blocks = []
    for n, targets in enumerate(edges):
        if not targets:
            blocks.append(Block((), Return(None, n)))
        elif len(targets) == 1:
            blocks.append(Block((), Jump(targets[0])))
        else:
            cases = tuple(((), to) for to in targets[1:])
            blocks.append(Block((), Switch(None, cases, targets[0], n)))  # type: ignore[arg-type]
    return Body(tuple(blocks), (), 0)


def reached(edges: list[list[int]], start: int) -> set[int]:
    seen: set[int] = set()
    todo = list(edges[start])
    while todo:
        b = todo.pop()
        if b not in seen:
            seen.add(b)
            todo.extend(edges[b])
    return seen


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    count = draw(st.integers(1, 9))
    return draw(st.lists(st.lists(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count))


@given(graphs())
def test_order_is_what_can_be_reached(edges: list[list[int]]) -> None:
    order = Order(body_of(edges))
    after = [reached(edges, n) for n in range(len(edges))]
    for a in range(len(edges)):
        assert {b for b in range(len(edges)) if order.after(a, b)} == after[a]
        assert order.loop(a) == {b for b in after[a] if a in after[b]}


def test_a_body_of_20_000_blocks() -> None:
    count = 20_000
    order = Order(body_of([[n + 1] if n % 100 else [n + 1, max(0, n - 50)] for n in range(count)] + [[]]))
    assert order.after(0, count) and not order.after(count, 0)
    assert order.after(120, 60) is False and order.after(200, 160)


def test_exits_have_a_position() -> None:
    body = body_of([[1, 0], []])
    assert located(body, 1) == (1, 0)
    assert located(body, 7) is None
