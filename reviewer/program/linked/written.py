"""What stands in the body of a function, as it is written: nothing is executed. A function without a body has none of it."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.parse.facts import Body, Call, Event, Write


def events_of(body: Body | None) -> Iterator[Event]:
    for block in body.blocks if body is not None else ():
        yield from block.events


def calls_of(body: Body | None) -> Iterator[Call]:
    return (e for e in events_of(body) if isinstance(e, Call))


def writes_of(body: Body | None) -> Iterator[Write]:
    return (e for e in events_of(body) if isinstance(e, Write))
