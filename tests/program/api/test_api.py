"""API models: what the files may say, what is wrong with them and on which line, and the compiled form."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewer.cli.main import run
from reviewer.data import fixtures_dir
from reviewer.errors import RuleError
from reviewer.program.api.load import load_models
from reviewer.program.api.models import Place
from reviewer.program.linked.link import Program

GOOD = """\
# what pumps do
- call: "pump_lock{,_bh}"
  takes: {lock: arg 0 .lock, kind: mutex}
  may_sleep: true
  source: made up for a test
- call: pump_unlock
  drops: {lock: arg 0 .lock, kind: mutex}
  source: made up for a test
"""


def models_dir(folder: Path, text: str | bytes, name: str = "pump.yaml") -> Path:
    (folder / "api").mkdir(exist_ok=True, parents=True)
    (folder / "api" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_family_of_names(tmp_path: Path) -> None:
    models = load_models([models_dir(tmp_path, GOOD)])
    for name in ("pump_lock", "pump_lock_bh"):
        model = models.functions[name]
        assert model.takes[0].lock == Place(base="arg", index=0, path=("lock",))
        assert model.may_sleep and model.name == name
    assert models.functions["pump_unlock"].drops[0].kind == "mutex"
    assert "mutex_lock" in models.functions


def test_the_users_model_wins_and_the_last_folder_most(tmp_path: Path) -> None:
    one = models_dir(tmp_path / "one", "- call: mutex_lock\n  pure: true\n  source: made up for a test\n")
    two = models_dir(tmp_path / "two", "- call: mutex_lock\n  may_sleep: true\n  source: made up for a test\n")
    assert load_models([one]).functions["mutex_lock"].pure
    both = load_models([one, two]).functions["mutex_lock"]
    assert both.may_sleep and not both.pure and not both.takes


BAD = [
    ("kind: mutex}\n  may", "kind: mutx}\n  may", 3, "'kind' cannot be 'mutx'; use 'mutex'"),
    ("may_sleep: true", "may_slep: true", 4, "unknown key 'may_slep'; remove it or use one of: "),
    ("may_sleep: true", "may_sleep: maybe", 4, "'may_sleep'"),
    ("arg 0 .lock, kind: mutex}\n  may", "arg x, kind: mutex}\n  may", 3, "'arg x' is not a place; write 'arg N'"),
    ("pump_lock{,_bh}", "pump_lock{,_bh", 2, "match its braces"),
    ("pump_lock{,_bh}", "pump lock", 2, "is not a name or a family of names"),
    ("- call: pump_unlock", "- cal: pump_unlock", 6, "an entry of no known kind; give it one of: call, pattern"),
    ("- call: pump_unlock", "- call: pump_lock", 6, "'pump_lock' is described already in "),
    ("  may_sleep: true\n  source: made up for a test\n", "  may_sleep: true\n", 2, "'source' is missing; add 'source:'"),
    ("may_sleep: true", "pure: true", 2, "it is pure and yet has 'takes'"),
    ("may_sleep: true", "drops: {lock: arg 0 .lock, kind: mutex}", 2, "it both takes and drops the same lock"),
    ("may_sleep: true", "held_when: {result: never}", 4, "'never' is not a result; write {result: X}"),
    ("may_sleep: true", "alias: mutex_lock", 2, "it is an alias and yet has 'takes' of its own"),
    ("# what pumps do\n", "pumps: 1\n", 2, "mend the YAML there"),
    ("  may_sleep: true", "\tmay_sleep: true", 4, "mend the YAML there"),
    ("may_sleep: true", "may_sleep: true\n  may_sleep: true", 5, "'may_sleep' stands twice in one mapping"),
]


@pytest.mark.parametrize(("old", "new", "line", "what"), BAD, ids=[what[:30] for _, _, _, what in BAD])
def test_a_broken_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, old: str, new: str, line: int, what: str
) -> None:
    """From the command line: 2, and one line with file, line, what, and how to mend it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert GOOD.count(old) == 1
    folder = models_dir(tmp_path / "mine", GOOD.replace(old, new))
    for store in (["--no-store"], []):
        code = run(["scan", str(fixtures_dir() / "oom"), "--rules-dir", str(folder), *store])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith(f"reviewer: {folder}/api/pump.yaml:{line}: ") and err.count("\n") == 1, err
        assert what in err and "; " in err, err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"- call: p\xff\n", "1: not UTF-8; save the file as UTF-8"),
        (b"call: p\n", "1: not a list of entries; begin each entry with '- call:'"),
        (b"- 7\n", "1: an entry of no known kind"),
        (b"- call: p\n  guards: {a: b}\n", "1: an entry of two kinds, call and guards"),
        (b"- &a {call: p, pure: true, source: made up here}\n- *a\n", "1: an alias (*name); write the value out"),
        (b"- call: p\n  alias: q\n  source: made up for a test\n", "1: 'p' is an alias of 'q', which no entry describes"),
        (b"- guards: {pump: pump_lock}\n  unguards: {}\n  source: made up for a test\n", "1: no entry describes 'pump_lock'"),
        (b"[" * 5_000, "1: "),
        (b"- call: a{" + b",".join(b"%d" % n for n in range(600)) + b"}\n  source: made up for a test\n", "more than 512 names"),
    ],
)
def test_what_is_no_model(tmp_path: Path, text: bytes, what: str) -> None:
    folder = models_dir(tmp_path, text)
    with pytest.raises(RuleError) as error:
        load_models([folder])
    assert str(error.value).startswith(f"{folder}/api/pump.yaml:") and what in str(error.value)


def test_a_file_that_is_not_readable(tmp_path: Path) -> None:
    folder = models_dir(tmp_path, GOOD)
    (folder / "api" / "other.yaml").mkdir()
    with pytest.raises(RuleError, match=r"other\.yaml:1: Is a directory; make the file readable or remove it"):
        load_models([folder])


def test_the_compiled_form(tmp_path: Path) -> None:
    """It is used, it follows every change, and a damaged one costs nothing."""
    cache, mine = tmp_path / "cache", tmp_path / "mine"
    first = load_models([models_dir(mine, GOOD)], cache)
    (kept,) = cache.iterdir()
    assert load_models([mine], cache) == first
    kept.write_bytes(b"garbage")
    assert load_models([mine], cache) == first
    kept.write_bytes(kept.read_bytes()[:100])
    assert load_models([mine], cache) == first
    models_dir(mine, GOOD.replace("may_sleep: true", "fresh: true"))
    second = load_models([mine], cache)
    assert second.functions["pump_lock"].fresh and second.digest != first.digest
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert "mutex_lock" in load_models([], tmp_path / "cache").functions


BACK = """\
- comes_back: [pump_reset, pump_try_reset]
  invokes:
  - {table: struct pump_ops.prepare, holds: {lock: struct pump.lock, kind: mutex}}
  - {table: struct pump_ops.done}
  source: made up for a test
"""


def test_functions_that_come_back(tmp_path: Path) -> None:
    found = load_models([models_dir(tmp_path, BACK)]).comes_back["pump_try_reset"]
    assert [(i.table, i.bound, [h.lock for h in i.holds]) for i in found] == [
        ("struct pump_ops.prepare", "directory", ["struct pump.lock"]), ("struct pump_ops.done", "directory", []),
    ]  # fmt: skip


@pytest.mark.kernel
def test_what_functions_come_back_to_is_a_member_of_the_kernels_tables(kernel: Program) -> None:
    wrong = []
    for table in dict.fromkeys(i.table for every in load_models().comes_back.values() for i in every):
        struct, _, member = table.rpartition(".")
        files = kernel.names.files_defining_struct(struct)
        if not any(member in members(kernel, struct, file) for file in files):
            wrong.append(table)
    assert wrong == []


def members(program: Program, struct: str, path: str) -> set[str]:
    """The names of a struct's fields, those in unnamed unions of it among them."""
    found = program.struct_at(struct, path)
    fields = found[1].fields if found is not None else ()
    inner = (members(program, f.type.name, path) for f in fields if "<anon:" in f.type.name)
    return {f.name for f in fields}.union(*inner)
