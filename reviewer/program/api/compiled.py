"""The YAML files of the API models, checked against each other and compiled to one ``ApiModels``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from reviewer.program.api import models, schema
from reviewer.program.api.models import ApiModels, Function
from reviewer.yamlfile import Loc, YamlFile


class Compiler:
    """Collects layers: ours first, then one per ``--rules-dir``.

    A later layer overrides an earlier one name by name; within one layer a name is described once.
    """

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}
        self._patterns: dict[str, Function] = {}
        self._scopes: dict[str, models.Scope] = {}
        self._obligations: dict[str, models.Obligation] = {}
        self._operations: dict[str, models.Operation] = {}
        self._ops: dict[str, models.OpsContext] = {}
        self._tables: dict[str, dict[str, Any]] = {
            name: {}
            for name in (
                "handles", "word_scopes", "bus_types", "ends_of", "followed", "guards", "unguards", "cleanups", "constants",
                "trees", "families", "private", "comes_back",
            )
        }
        self._places: dict[tuple[str, str], tuple[YamlFile, Loc]] = {}

    def layer(self, files: Sequence[tuple[Path, bytes]]) -> None:
        """Read one folder's files.

        :raises RuleError: ``FILE:LINE: what; how to mend`` for the first thing that is wrong
        """
        mine: dict[tuple[str, str], tuple[YamlFile, Loc]] = {}
        for path, text in files:
            file = YamlFile(path, text)
            if file.data is None:
                continue
            if not isinstance(file.data, list):
                file.fail((), "not a list of entries", "begin each entry with '- call:' or another kind")
            for number, data in enumerate(file.data):
                self._entry(file, (number,), data, mine)
        self._places.update(mine)

    def finish(self, digest: str) -> ApiModels:
        """:raises RuleError: an alias, a guard or a cleanup of a function that no entry describes"""
        functions = dict(self._functions)
        for name, model in self._functions.items():
            if model.alias:
                functions[name] = self._resolved(name, model)
        # A cleanup may name a function of the tree itself; a guard is its lock function or it is nothing.
        for table in ("guards", "unguards"):
            for guard, name in self._tables[table].items():
                if name not in functions:
                    file, loc = self._places[table, guard]
                    file.fail(loc, f"no entry describes '{name}'", f"add '- call: {name}'")
        return ApiModels(
            functions=functions,
            scopes=self._scopes,
            obligations=tuple(self._obligations.values()),
            operations=self._operations,
            ops=tuple(dict.fromkeys(self._ops.values())),
            patterns=tuple(sorted(self._patterns.items(), key=lambda item: (-len(item[0]), item[0]))),
            digest=digest,
            **self._tables,
        )

    def _entry(
        self, file: YamlFile, loc: Loc, data: Any, mine: dict[tuple[str, str], tuple[YamlFile, Loc]]
    ) -> None:
        found = list(schema.kinds(data)) if isinstance(data, dict) else []
        if len(found) != 1:
            what = f"an entry of two kinds, {' and '.join(found)}" if found else "an entry of no known kind"
            file.fail(loc, what, f"give it one of: {', '.join(schema.ENTRIES)}")
        entry = file.check(schema.ENTRIES[found[0]], loc)

        def once(kind: str, name: str, at: Loc) -> None:
            before = mine.setdefault((kind, name), (file, at))
            if before != (file, at):
                other = f"{before[0].path}:{before[0].line(before[1])}"
                file.fail(at, f"'{name}' is described already in {other}", "keep one of the two entries")

        if isinstance(entry, schema.Entry):
            problem = entry.contradiction()
            if problem:
                file.fail(loc, f"{problem}", "split the entry or remove one side")
        if isinstance(entry, schema.CallEntry):
            for name in entry.call:
                once("call", name, (*loc, "call"))
                self._functions[name] = entry.record(name)
        elif isinstance(entry, schema.PatternEntry):
            prefix = entry.pattern.removesuffix("*")
            once("pattern", prefix, (*loc, "pattern"))
            self._patterns[prefix] = entry.record(entry.pattern)
        elif isinstance(entry, schema.ScopeEntry):
            once("scope", entry.scope, (*loc, "scope"))
            self._scopes[entry.scope] = models.Scope(
                name=entry.scope,
                functions=tuple(entry.functions),
                files=tuple(entry.files),
                chains=tuple(entry.chains),
                in_reclaim=entry.in_reclaim,
            )
        elif isinstance(entry, schema.ObligationEntry):
            once("obligation", entry.obligation, (*loc, "obligation"))
            self._obligations[entry.obligation] = models.Obligation(
                chain=entry.obligation,
                in_reclaim=entry.in_reclaim,
                alone=entry.alone,
                forbids=tuple(entry.forbids),
                unless=tuple(entry.unless),
                owes=entry.owes,
                source=entry.source,
            )
        elif isinstance(entry, schema.OperationsEntry):
            for record in entry.records():
                once("operations", record.table, loc)
                self._operations[record.table] = record
        elif isinstance(entry, schema.OpsEntry):
            for name in entry.ops:
                once("ops", name, (*loc, "ops"))
                self._ops[name] = entry.record()
        elif isinstance(entry, schema.BackEntry):
            records = entry.records()
            for name in entry.comes_back:
                for invokes in records:
                    once("comes_back", f"{name}, {invokes.table}", (*loc, "comes_back"))
                self._tables["comes_back"][name] = (*self._tables["comes_back"].get(name, ()), *records)
        else:
            for table, values in entry.fields().items():
                for name, value in values.items() if table in self._tables else ():
                    once(table, name, (*loc, table, name))
                    self._tables[table][name] = tuple(value) if isinstance(value, list) else value

    def _resolved(self, name: str, model: Function) -> Function:
        """An alias's model with the effects of what it stands for."""
        target = self._functions.get(model.alias)
        if target is None or target.alias:
            file, loc = self._places["call", name]
            what = f"'{name}' is an alias of '{model.alias}', which " + (
                "no entry describes" if target is None else "is an alias itself"
            )
            file.fail(loc, what, "name a function that has an entry of its own")
        return msgspec.structs.replace(target, name=name, alias=model.alias, source=model.source)


def compile_models(layers: Sequence[Sequence[tuple[Path, bytes]]], digest: str) -> ApiModels:
    """The layers of (path, content) as one set of models, later layers over earlier ones.

    :raises RuleError: a file does not fit, or two entries contradict each other
    """
    compiler = Compiler()
    for files in layers:
        compiler.layer(files)
    return compiler.finish(digest)
