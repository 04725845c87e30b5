"""Which mails are made of a review, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from mails import Comment, comments, make_cause, make_finding, make_patch, make_result, make_reviewed, series_of

from reviewer.checks.finding import Step
from reviewer.deliver.message import Message
from reviewer.deliver.remark import MOST_STEPS, lock, name, paragraph, path_lines
from reviewer.deliver.reply import Voice, replies
from reviewer.review.result import ContextChange, FunctionContext, ReliedOn, Reviewed
from reviewer.source.patch import Author, Patch

VOICE = Voice(
    sender=Author("reviewer", "reviewer@example.net"), now=datetime(2026, 6, 2, tzinfo=UTC), rules="abcd1234", base="b" * 40
)


def answers(patch: Patch, *findings: Reviewed, voice: Voice = VOICE) -> list[Message]:
    return replies(series_of(patch), make_result(*findings), findings, voice)


def answer(patch: Patch, *findings: Reviewed, voice: Voice = VOICE) -> Message:
    (only,) = answers(patch, *findings, voice=voice)
    return only


def words(body: str) -> str:
    return " ".join(body.split())


def test_one_finding() -> None:
    patch = make_patch(references=("0.ann@example.org",))
    message = answer(patch, make_reviewed(patch))
    assert message.subject == "Re: [PATCH] mm: fill the pump"
    assert message.references == ("0.ann@example.org", "1.ann@example.org")
    assert message.to == (Author("Ann Example", "ann@example.org"),)
    assert dict(message.extra) == {"X-Reviewer-Version": "0.1.0 rules=abcd1234", "X-Reviewer-Report": "0123456789abcdef"}
    (comment,) = comments(message.body)
    assert (comment.path, comment.line, comment.content) == ("mm/pump.c", 25 - 1, "+\tlevel = fill(GFP_KERNEL);")
    assert "pump waits for memory with pump_lock held" in words(comment.text)
    assert comment.text.startswith("Can this sleep here?")
    lines = message.body.split("\n")
    assert "  - holding pump_lock:" in lines
    assert any(re.fullmatch(r"  pump_all +pump\(\);", line) for line in lines)
    assert not any("spin_lock" in line for line in lines), "the locks held say it"
    assert words(message.body).startswith("This patch seems to bring a concurrency hazard (high confidence).")
    assert f"  b4 am -o - 1.ann@example.org |\n    reviewer review --base {'b' * 40} . -\n" in message.body
    assert "\n-- \nreviewer 0.1.0, " in message.body and "may be wrong" in message.body


@pytest.mark.parametrize(
    "changed",
    [{"mended_by": 2}, {"status": "unchanged"}, {"status": "fixed"}, {"finding": make_finding(severity="note")}],
)
def test_nothing_to_say(changed: dict[str, object]) -> None:
    patch = make_patch()
    assert answers(patch, make_reviewed(patch, **changed)) == []  # type: ignore[arg-type]


def test_several_findings_in_one_hunk_are_one_quote() -> None:
    patch = make_patch()
    below = make_finding(line=25, message="settle spoils it", fingerprint="f" * 16, confidence="low")
    same = make_finding(message="fill forgets it", rule="own-rule", fingerprint="e" * 16)
    message = answer(patch, make_reviewed(patch, below), make_reviewed(patch), make_reviewed(patch, same))
    assert message.body.count("> @@") == 1
    first, second = comments(message.body)
    assert (first.line, second.line) == (24, 25)
    assert "waits for memory" in words(first.text)
    assert "Is this safe? As far as this tool can see, fill forgets it" in words(first.text)
    assert "It may be that settle spoils it" in words(second.text)
    assert words(message.body).startswith("This patch seems to bring 3 concurrency hazards (2 of high, 1 of low confidence).")


def distant(file: str, message: str, **parts: object) -> Reviewed:
    steps = (Step("call", "mm/pump.c", 25, "pump", "settle(level);"), Step("access", file, 9, "far", "x = 0;"))
    finding = make_finding(file=file, line=9, function="far", message=message, proof=steps, fingerprint=file[:16], **parts)
    return make_reviewed(make_patch(), finding, make_cause(inside=False, why="pump is on the way"))


def test_findings_elsewhere_from_one_hunk_are_said_once() -> None:
    patch = make_patch()
    tail = "nothing keeps the callers apart"
    found = [
        distant("mm/a.c", f"x is lost, and {tail}", confidence="medium"),
        distant("mm/b.c", f"y is lost, and {tail}", confidence="medium"),
        distant("mm/c.c", "z is set to 0"),
    ]
    message = answer(patch, *found)
    (comment,) = comments(message.body)
    assert (comment.line, comment.content) == (25, "+\tsettle(level);")
    text = words(comment.text)
    assert "3 places seem to rest on what changes here" in text
    assert text.index("far() in mm/c.c: z is set to 0") < text.index("far() in mm/a.c: x is lost (") < text.index("mm/b.c: y")
    assert text.count(tail) == 1 and f"In 2 of these, {tail}." in text
    assert comment.text.count("settle(level);") == 1, "one way is shown"


def test_a_finding_that_the_mail_has_no_line_for_is_said_all_the_same() -> None:
    patch = make_patch()
    message = answer(patch, make_reviewed(patch, cause=make_cause(text=("+strange",), line=24)))
    assert "> " not in message.body
    assert "pump waits for memory with pump_lock held" in words(message.body)
    assert "That is in pump() in mm/pump.c." in words(message.body)


def series(count: int) -> tuple[tuple[Patch, ...], list[Reviewed]]:
    patches = tuple(
        make_patch(number=n, total=count, message_id=f"{n}@example.org", full_subject=f"[PATCH {n}/{count}] mm: part {n}",
                   subject=f"mm: part {n}", references=("0@example.org",))
        for n in range(1, count + 1)
    )  # fmt: skip
    return patches, [make_reviewed(patch, make_finding(fingerprint=f"{patch.number:016}")) for patch in patches]


def test_a_mail_for_each_patch() -> None:
    patches, found = series(3)
    made = replies(series_of(*patches), make_result(*found), found[1:], VOICE)
    assert [m.subject for m in made] == ["Re: [PATCH 2/3] mm: part 2", "Re: [PATCH 3/3] mm: part 3"]
    assert [m.references for m in made] == [("0@example.org", "2@example.org"), ("0@example.org", "3@example.org")]


def test_more_than_three_are_one_to_the_cover() -> None:
    patches, found = series(4)
    cover = make_patch(number=0, files=(), message_id="0@example.org", full_subject="[PATCH 0/4] mm: parts")
    (message,) = replies(series_of(*patches, cover=cover, cover_id="0@example.org"), make_result(*found), found, VOICE)
    assert message.subject == "Re: [PATCH 0/4] mm: parts" and message.references == ("0@example.org",)
    assert len(comments(message.body)) == 4
    for n in range(1, 5):
        assert f'In patch {n} of 4, "mm: part {n}",' in message.body
    assert "b4 am -o - 0@example.org" in message.body
    (message,) = replies(series_of(*patches), make_result(*found), found, VOICE)
    assert message.subject == "Re: [PATCH 1/4] mm: part 1"


def test_the_same_mail_has_the_same_id() -> None:
    patch = make_patch()
    other = make_patch(message_id="2.ann@example.org")
    ids = [
        answer(patch, make_reviewed(patch)).message_id,
        answer(patch, make_reviewed(patch), voice=replace(VOICE, now=datetime(2027, 1, 1, tzinfo=UTC))).message_id,
        answer(other, make_reviewed(other)).message_id,
        answer(patch, make_reviewed(patch, make_finding(fingerprint="f" * 16))).message_id,
        answer(patch, make_reviewed(patch), voice=replace(VOICE, rules="0")).message_id,
    ]
    assert ids[0] == ids[1] and len(set(ids)) == 4
    assert all(re.fullmatch(r"reviewer\.[0-9a-f]{16}\.[0-9a-f]{12}@example\.net", one) for one in ids)


def test_what_ran_under_the_old_lock() -> None:
    patch = make_patch()
    under, free = FunctionContext(serialiser="pump_all_lock"), FunctionContext()
    relied = (ReliedOn("1" * 16, "r", "level", "mm/pump.c", 3),)
    changes = (
        ContextChange(function="pump", file="mm/pump.c", patch=1, before=under, after=free, changes=("x",), relied_on=relied),
        ContextChange(function="idle", file="mm/pump.c", patch=1, before=under, after=free, changes=("x",)),
        ContextChange(function="late", file="mm/pump.c", patch=2, before=under, after=free, changes=("x",), relied_on=relied),
    )
    found = make_reviewed(patch)
    (message,) = replies(series_of(patch), make_result(found, contexts=changes), [found], VOICE)
    assert (
        "So far pump_all_lock kept two callers of pump() apart; with this change nothing that this tool knows of does. "
        "What relied on that: level."
    ) in words(message.body)
    assert "idle" not in message.body and "late" not in message.body


def test_a_guessed_base_is_said_to_be_one() -> None:
    patch = make_patch()
    guess = "The commit below is a guess"
    assert guess not in answer(patch, make_reviewed(patch)).body
    assert guess in answer(patch, make_reviewed(patch), voice=replace(VOICE, guessed=True)).body


@pytest.mark.parametrize("odd", ["$(touch x)@example.org", "a'b@example.org", "", "é@b"])
def test_no_message_id_gets_into_a_command_that_a_shell_would_obey(odd: str) -> None:
    patch = make_patch(message_id=odd)
    assert f"\n  reviewer review --base {'b' * 40} . SERIES.mbox\n" in answer(patch, make_reviewed(patch)).body


def test_our_own_text_is_narrow() -> None:
    patch = make_patch()
    long = make_finding(message="it " * 100, proof=(Step("call", "mm/pump.c", 24, "f" * 40, "x" * 200, ("l" * 30, "m" * 60)),))
    for line in answer(patch, make_reviewed(patch, long)).body.split("\n"):
        assert line.startswith(("> ", "    reviewer review")) or len(line) <= 80, line


@pytest.mark.parametrize("tag", ["Reviewed-by: Ann <a@b.org>", "Fixes: 123456", "pw-bot: cr", "#syz fix: x", "> quoted", "-- "])
def test_no_line_of_ours_begins_as_a_tag_or_a_command(tag: str) -> None:
    """Where a sentence is wrapped is up to who chose its names."""
    for lines in (paragraph(f"{'x' * 70} {tag}"), paragraph(tag)):
        assert not any(re.match(r"\s*(Reviewed-by:|Fixes:|pw-bot:|#)|>|-- $", line) for line in lines), lines


def test_names_within_a_sentence() -> None:
    assert name("mm/a b.c") == "mm/a?b.c"
    assert name("Reviewed-by: x") == "Reviewed-by??x"
    assert lock("mm/oom.c:try.lock") == "try.lock"
    assert lock("struct pump.lock (shared)") == "struct pump.lock (shared)"
    assert lock("oom_lock") == "oom_lock"


def test_a_long_way_is_shortened_but_keeps_its_end() -> None:
    steps = tuple(Step("call", "mm/x.c", n, f"f{n}", f"f{n + 1}();") for n in range(40))
    shown = list(path_lines(make_finding(file="mm/x.c", line=20, function="f20", proof=steps)))
    assert len(shown) <= MOST_STEPS + 2
    assert any(line.startswith("  f20 ") for line in shown) and shown[-1].startswith("  f39 ")
    assert sum("left out" in line for line in shown) == 2


def test_of_several_ways_from_one_place_the_first_is_shown() -> None:
    place = Step("call", "mm/pump.c", 24, "pump", "go();")
    steps = (place, Step("alloc", "mm/y.c", 1, "y", "one();"), place, Step("alloc", "mm/z.c", 1, "z", "two();"))
    shown = "\n".join(path_lines(make_finding(proof=steps)))
    assert "one();" in shown and "two();" not in shown and "more ways" in shown


def test_b4_reads_the_whole_mail(b4_comments: Callable[..., list[Comment]]) -> None:
    patch = make_patch()
    found = [make_reviewed(patch), make_reviewed(patch, make_finding(line=25, fingerprint="f" * 16))]
    body = answer(patch, *found).body
    assert b4_comments(body) == comments(body)
    assert [(c.path, c.line) for c in b4_comments(body)] == [("mm/pump.c", 24), ("mm/pump.c", 25)]
