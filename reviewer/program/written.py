"""What stands in the body of a function, as it is written: nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.parse.facts import Call, Event, Write
from reviewer.program.structs import Frame


def events_of(frame: Frame) -> Iterator[Event]:
    for block in frame.body.blocks if frame.body is not None else ():
        yield from block.events


def calls_of(frame: Frame) -> Iterator[Call]:
    return (e for e in events_of(frame) if isinstance(e, Call))


def writes_of(frame: Frame) -> Iterator[Write]:
    return (e for e in events_of(frame) if isinstance(e, Write))
