"""Which patches of many mails belong together, which version of them is meant, and what is left out.

Numbered patches make a group by version, total and thread. Groups that are versions of the same work make a lineage: the
same sender in the same thread, or the same titles. Of each lineage the newest complete group is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz

from reviewer.errors import InputError
from reviewer.source.mail import Mail
from reviewer.source.paths import shown
from reviewer.source.subject import Subject

_OPEN_GROUPS = 50
"""Incomplete groups among which a patch without a thread looks for its own."""

_ANCESTORS = 500
"""Mails up a thread that are asked whose it is."""

_NOTES = 30
"""Notes on one input. A whole list's archive would have thousands."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that has a part in it.

    :ivar position: its place in the input. :ivar explicit: a file that was named and has nothing else in it.
    """

    mail: Mail
    subject: Subject
    origin: str
    stem: str
    position: int
    explicit: bool
    strip: int | None
    is_patch: bool

    @property
    def is_cover(self) -> bool:
        return self.subject.number == 0 and not self.subject.reply

    def when(self) -> float:
        """Seconds since 1970; 0 where the date cannot be read."""
        try:
            parsed = parsedate_tz(self.mail.date)
            return float(mktime_tz(parsed)) if parsed else 0.0
        except (ValueError, OverflowError, TypeError, IndexError):
            return 0.0


@dataclass(slots=True, eq=False)
class Group:
    """One version of a series.

    :ivar total: patches that it should have. :ivar numbered: its subjects say N/M.
    :ivar members: by number, the cover letter apart.
    """

    version: int
    total: int
    numbered: bool
    thread: Hashable
    sender: str
    members: dict[int, Entry] = field(default_factory=dict)
    cover: Entry | None = None

    def key(self) -> tuple[Hashable, int, int] | None:
        return (self.thread, self.version, self.total) if self.numbered else None

    def has(self, number: int) -> bool:
        return self.cover is not None if number == 0 else number in self.members

    def add(self, number: int, entry: Entry) -> None:
        if number == 0:
            self.cover = entry
        else:
            self.members[number] = entry

    def entries(self) -> list[Entry]:
        """The cover letter, then the patches in order."""
        return ([self.cover] if self.cover else []) + [self.members[number] for number in sorted(self.members)]

    def missing(self) -> list[int]:
        return [number for number in range(1, self.total + 1) if number not in self.members]

    @property
    def title(self) -> str:
        return (self.cover or self.members[min(self.members)]).subject.title

    @property
    def newest(self) -> tuple[int, float, int]:
        return self.version, max(entry.when() for entry in self.entries()), max(entry.position for entry in self.entries())

    @property
    def fullest(self) -> tuple[int, int, int]:
        return self.version, len(self.members), -self.first

    @property
    def first(self) -> int:
        return min(entry.position for entry in self.entries())

    def name(self) -> str:
        return f"v{self.version} of '{shown(self.title)}'"


@dataclass(frozen=True, slots=True)
class Choice:
    """:ivar groups: in the order in which they apply. :ivar notes: what was left out, and why."""

    groups: tuple[Group, ...]
    notes: tuple[str, ...]


class _Sets:
    """Disjoint sets of hashable things."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def root(self, thing: Hashable) -> Hashable:
        root = thing
        while (above := self._parent.setdefault(root, root)) != root:
            root = above
        while thing != root:
            self._parent[thing], thing = root, self._parent[thing]
        return root

    def join(self, first: Hashable, second: Hashable) -> None:
        self._parent[self.root(second)] = self.root(first)


def choose(entries: Sequence[Entry], origin: str) -> Choice:
    """What of these messages is the series.

    :param entries: all messages, replies and the like included, in the order of the input.
    :param origin: what to call the input in errors.
    :raises InputError: a series is incomplete, and no other version of it is complete; unless its patches are files
        that were named one by one. The line says which numbers are missing.
    """
    threads = _Sets()
    for entry in entries:
        for other in entry.mail.references:
            if entry.mail.message_id:
                threads.join(entry.mail.message_id, other)
    notes: list[str] = []
    candidates = [entry for entry in entries if not entry.subject.reply and (entry.is_patch or entry.is_cover)]
    offered = [entry for entry in entries if entry.subject.reply and entry.is_patch]
    if offered and not any(entry.is_patch and not entry.is_cover for entry in candidates):
        if len(offered) > 1:
            raise InputError(f"{origin}: only replies have patches in them, {len(offered)}", "give the one you mean as a file")
        notes.append(f"{offered[0].origin}: a reply, but the only patch there is")
        candidates, offered = offered, []
    notes += [f"{entry.origin}: a diff in a reply is passed over: '{shown(entry.mail.subject)}'" for entry in offered]
    if any(_says_patch(entry) for entry in candidates if entry.is_patch):
        # Mails that merely have a diff in them: what a bot says of a tree that took the patch, a question about code.
        others = [entry for entry in candidates if not _says_patch(entry) and entry.mail.message_id and not entry.explicit]
        notes += [f"{entry.origin}: no patch by its subject, passed over: '{shown(entry.mail.subject)}'" for entry in others]
        left_out = {entry.position for entry in others}
        candidates = [entry for entry in candidates if entry.position not in left_out]
    groups = _with_covers(_merged(_grouped(candidates, threads)))
    lineages = _without_offers(_lineages(groups), entries, notes)
    taken: list[Group] = []
    incomplete: list[Group] = []
    for lineage in lineages:
        whole = [group for group in lineage if not group.missing()]
        best = max(whole, key=lambda group: group.newest) if whole else max(lineage, key=lambda group: group.fullest)
        (taken if whole or all(entry.explicit for entry in best.entries()) else incomplete).append(best)
        notes += _about(lineage, best)
    if incomplete and not taken:
        worst = incomplete[0]
        raise InputError(
            f"{origin}: {worst.name()} is incomplete, {_numbers(worst)} missing",
            "get the whole thread, or give the patches as files, one by one",
        )
    notes += [f"{group.name()} is passed over: {_numbers(group)} missing" for group in incomplete]
    if len(taken) > 1 and any(group.numbered for group in taken):
        titles = ", ".join(f"'{shown(group.title)}'" for group in taken)
        notes.append(f"{len(taken)} series, taken one after the other: {titles}")
    more = len(notes) - _NOTES
    return Choice(tuple(taken), tuple(notes[:_NOTES]) + ((f"... and {more} more of the kind",) if more > 0 else ()))


def _says_patch(entry: Entry) -> bool:
    return entry.subject.tagged or entry.subject.number is not None


def _numbers(group: Group) -> str:
    missing = group.missing()
    text = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
    return f"{text} of {group.total} {'is' if len(missing) == 1 else 'are'}"


def _about(lineage: list[Group], best: Group) -> list[str]:
    """Notes on what of a lineage was not taken, or lacks something."""
    notes = []
    if best.missing() and all(entry.explicit for entry in best.entries()):
        notes.append(f"{best.name()}: only what was given is read, {_numbers(best)} missing")
    others = sorted((group for group in lineage if group is not best), key=lambda group: group.newest, reverse=True)
    for group in others:
        if group.missing():
            notes.append(f"{group.name()} is incomplete, {_numbers(group)} missing; v{best.version} is taken")
        elif group.version == best.version:
            notes.append(f"{group.name()} is there twice; the later is taken")
        else:
            notes.append(f"{group.name()} is older than v{best.version}, which is taken")
    return notes


def _grouped(candidates: Iterable[Entry], threads: _Sets) -> list[Group]:
    groups: list[Group] = []
    by_key: dict[Hashable, list[Group]] = defaultdict(list)
    owner: dict[str, Group] = {}
    for entry in candidates:
        subject, mail = entry.subject, entry.mail
        thread = threads.root(mail.message_id) if mail.message_id else None
        sender = mail.sender.email.lower() if mail.message_id else ""
        number = subject.number
        group: Group | None = None
        if number is not None and number <= subject.total:
            key = (thread, subject.version, subject.total)
            own = by_key[key]
            near = (owner[name] for name in reversed(mail.references) if name in owner)
            group = next((group for group in near if group.key() == key and not group.has(number)), None)
            group = group or next((late for late in own[-_OPEN_GROUPS:] if not late.has(number)), None)
            if group is None:
                group = Group(subject.version, subject.total, True, thread, sender)
                own.append(group)
                groups.append(group)
        else:
            group = Group(subject.version, 1, False, thread, sender)
            groups.append(group)
            number = 1
        group.add(number, entry)
        if mail.message_id:
            owner[mail.message_id] = group
    return groups


def _merged(groups: list[Group]) -> list[Group]:
    """Incomplete groups put together that are one series sent without a thread."""
    result: list[Group] = []
    waiting: dict[Hashable, list[Group]] = defaultdict(list)
    for group in groups:
        if not group.numbered or group.thread is None or not group.missing():
            result.append(group)
            continue
        room = waiting[group.version, group.total, group.sender]
        mine = [entry.subject.number or 0 for entry in group.entries()]
        other = next((other for other in room[-_OPEN_GROUPS:] if not any(map(other.has, mine))), None)
        if other is None:
            room.append(group)
            result.append(group)
        else:
            for number, entry in zip(mine, group.entries(), strict=True):
                other.add(number, entry)
    return result


def _with_covers(groups: list[Group]) -> list[Group]:
    """Groups that have patches; one without a cover letter gets that of its thread that says another version."""
    lonely = {(group.thread, group.total): group for group in groups if not group.members and group.thread is not None}
    result = [group for group in groups if group.members]
    for group in result:
        if group.numbered and group.cover is None and (other := lonely.pop((group.thread, group.total), None)):
            group.cover = other.cover
            group.version = max(group.version, other.version)
    return result


def _lineages(groups: list[Group]) -> list[list[Group]]:
    """Groups that are versions of the same work, in the order of their first message."""
    alike: dict[Hashable, list[Group]] = defaultdict(list)
    for group in groups:
        for title in {entry.subject.title for entry in group.entries()} - {""}:
            alike["sender", group.sender, group.numbered, title].append(group)
            if group.thread is not None:
                alike["thread", group.thread, group.numbered, title].append(group)
        if group.thread is not None:
            alike["own thread", group.thread, group.sender, group.numbered].append(group)
            alike["grown", group.thread, group.sender].append(group)
    sets = _Sets()
    for key, bucket in alike.items():
        assert isinstance(key, tuple)
        if key[0] == "grown":
            # One patch may become several in the next version. The other way round it is rather a new version of one of
            # them, sent as an answer to it: no reason to forget the others.
            latest = max((group for group in bucket if group.numbered), key=lambda group: group.version, default=None)
            bucket = [group for group in bucket if latest and (group is latest or group.version < latest.version)]
        elif not bucket[0].numbered and (key[0] == "own thread" or not _supersede(bucket)):
            # Lone patches of one thread, or of one title: versions of each other only if they say so.
            if len({group.version for group in bucket}) == 1:
                continue
        for group in bucket:
            sets.join(bucket[0], group)
    result: dict[Hashable, list[Group]] = defaultdict(list)
    for group in groups:
        result[sets.root(group)].append(group)
    return sorted(result.values(), key=lambda lineage: min(group.first for group in lineage))


def _supersede(bucket: list[Group]) -> bool:
    """Whether of lone patches with one title the last is meant: they are mails, or one says that it was sent again."""
    entries = [entry for group in bucket for entry in group.entries()]
    mails = all(entry.mail.message_id and not entry.explicit for entry in entries)
    return mails or any(entry.subject.resend for entry in entries)


def _without_offers(lineages: list[list[Group]], entries: Sequence[Entry], notes: list[str]) -> list[list[Group]]:
    """Lineages that do not merely answer another one: a fix offered in somebody else's thread is no part of the series."""
    mails = {entry.mail.message_id: entry for entry in entries if entry.mail.message_id}
    owner = {
        entry.mail.message_id: number
        for number, lineage in enumerate(lineages)
        for group in lineage
        for entry in group.entries()
        if entry.mail.message_id
    }

    def answers_another(entry: Entry, own: int) -> bool:
        # A mailer may say only what its mail answers directly, so those mails are asked as well.
        waiting, seen = list(entry.mail.references), set(entry.mail.references)
        while waiting and len(seen) < _ANCESTORS:
            name = waiting.pop()
            if owner.get(name, own) != own:
                return True
            if name in mails:
                more = [other for other in mails[name].mail.references if other not in seen]
                seen.update(more)
                waiting += more
        return False

    begins = [
        any(not answers_another(entry, number) for group in lineage for entry in group.entries())
        for number, lineage in enumerate(lineages)
    ]
    threads = {group.thread for lineage, first in zip(lineages, begins, strict=True) if first for group in lineage}
    result = []
    for lineage, first in zip(lineages, begins, strict=True):
        if first or not any(group.thread in threads for group in lineage):
            result.append(lineage)
            continue
        for group in lineage:
            where = group.entries()[0].origin
            notes.append(f"{where}: a patch offered in the thread of another is passed over: '{shown(group.title)}'")
    return result
