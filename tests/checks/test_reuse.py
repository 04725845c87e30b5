"""An answer that reuses stored parts of the answer about a tree nearby is the answer that a fresh scan gives.

The edits are those by which reuse could go wrong: what an answer rests on changes somewhere else than where it was read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviewer.checks.memo import Memo
from reviewer.checks.result import ScanRequest, ScanResult
from reviewer.checks.run import scan
from reviewer.data import fixtures_dir
from reviewer.program.api.load import load_models
from reviewer.program.api.models import ApiModels
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FactStore, NullStore, Store

Edit = Callable[[dict[str, str]], None]
"""Changes the files of a tree, by path."""

OOM, ALLOC, HEADER, TTY = "mm/oom_kill.c", "mm/page_alloc.c", "include/linux/oom.h", "drivers/tty/sysrq.c"
PLUGIN, BALLOON, CCW = "kernel/rcu/tree_plugin.h", "drivers/virtio/virtio_balloon.c", "drivers/s390/virtio/virtio_ccw.c"
POWERPC, RING = "arch/powerpc/platforms/pseries/cmm.c", "drivers/virtio/virtio_ring.c"


def git(folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def swap(path: str, *pairs: tuple[str, str]) -> Edit:
    """Each text, which stands in the file, becomes the other everywhere in it."""

    def edit(files: dict[str, str]) -> None:
        for old, new in pairs:
            assert old in files[path], old
            files[path] = files[path].replace(old, new)

    return edit


def everywhere(old: str, new: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        for path in files:
            files[path] = re.sub(rf"\b{old}\b", new, files[path])

    return edit


def add(path: str, text: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        files[path] = files.get(path, "#include <linux/oom.h>\n#include <linux/gfp.h>\n") + text

    return edit


def front(path: str, text: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        files[path] = text + files[path]

    return edit


def both(*edits: Edit) -> Edit:
    def edit(files: dict[str, str]) -> None:
        for one in edits:
            one(files)

    return edit


def gone(path: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        del files[path]

    return edit


def moved(old: str, new: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        files[new] = files.pop(old)

    return edit


REGISTERED = """
static int odd_notify(struct notifier_block *block, unsigned long unused, void *pages)
{
	static int odd;

	odd = 1;
	kfree(kmalloc(3, GFP_KERNEL));
	return 0;
}
static struct notifier_block odd_block = { .notifier_call = odd_notify };
int odd_setup(void)
{
	return register_oom_notifier(&odd_block);
}
"""

EDITS: dict[str, Edit] = {
    "a comment": add(OOM, "/* more */\n"),
    "lines above": front(PLUGIN, "/* a\n * b\n */\n"),
    "a string": swap(TTY, ("nothing to kill", "nobody to kill")),
    "blanks": swap(POWERPC, ("\t", "  ")),
    "callback renamed": everywhere("cmm_oom_notify", "cmm_told"),
    "callback renamed in one file": swap(POWERPC, ("cmm_oom_notify", "cmm_told")),
    "lock renamed": everywhere("oom_lock", "oom_mutex"),
    "counter renamed": everywhere("oom_callback_count", "oom_posts"),
    "another registration": add("drivers/odd.c", REGISTERED),
    "another registration in a folder of users": add("drivers/virtio/odd.c", REGISTERED),
    "no registration": swap(PLUGIN, ("return register_oom_notifier(&rcu_oom_block);", "return 0;")),
    "another callback registered": swap(PLUGIN, (".notifier_call = rcu_oom_notify", ".notifier_call = odd_rcu_notify")),
    "lock of a caller": swap(TTY, ("mutex_lock(&oom_lock)", "mutex_lock(&odd_lock)")),
    "no lock in a caller": swap(TTY, ("	mutex_lock(&oom_lock);\n", ""), ("	mutex_unlock(&oom_lock);\n", "")),
    "trylock to lock": swap(ALLOC, ("!mutex_trylock(&oom_lock)", "mutex_lock_killable(&oom_lock)")),
    "another caller": add("fs/odd.c", "void odd(void)\n{\n\tstruct oom_control oc;\n\tout_of_memory(&oc);\n}\n"),
    "another caller under the lock": add(
        "fs/odd.c", "void odd(void)\n{\n\tmutex_lock(&oom_lock);\n\tout_of_memory(0);\n\tmutex_unlock(&oom_lock);\n}\n"
    ),
    "another caller in a file that is read": add(RING, "void odd(void)\n{\n\tout_of_memory(0);\n}\n"),
    "another caller of the chain": add(
        OOM, "int odd(void)\n{\n\treturn blocking_notifier_call_chain(&oom_notify_list, 0, 0);\n}\n"
    ),
    "the chain's kind": swap(
        OOM, ("BLOCKING_NOTIFIER_HEAD", "RAW_NOTIFIER_HEAD"), ("blocking_notifier_call", "raw_notifier_call")
    ),
    "no call of the chain": swap(OOM, ("		blocking_notifier_call_chain(&oom_notify_list, 0, &pages);\n", "")),
    "a define over a function": front("include/linux/sched.h", "#define cmm_free_pages(...) 0\n"),
    "a define in the file": front(POWERPC, "#define cmm_free_pages(n) (n)\n"),
    "a define over a lock": front(PLUGIN, "#define atomic_set(v, i) atomic_add(i, v)\n"),
    "a mask by a macro": swap("include/linux/gfp.h", ("#define GFP_KERNEL (__GFP_FS", "#define GFP_KERNEL (__GFP_NORETRY")),
    "a bit of a mask": swap(
        "include/linux/gfp.h", ("#define GFP_DMA (__GFP_DMA)", "#define GFP_DMA (__GFP_DMA | __GFP_NORETRY)")
    ),
    "a mask": swap(CCW, ("GFP_KERNEL | GFP_DMA", "GFP_NOWAIT | GFP_DMA")),
    "a mask deeper": swap(
        RING, ("return kmalloc(total * sizeof(struct vring_desc), gfp);", "return kmalloc(total, GFP_KERNEL);")
    ),
    "a condition around an allocation": swap(RING, ("vq->indirect && total > 1 && vq->num_free", "vq->num_free")),
    "a field's type": swap(BALLOON, ("struct mutex balloon_lock;", "spinlock_t balloon_lock;")),
    "a field's name": swap(BALLOON, ("balloon_lock", "inflate_lock")),
    "a field of a header's struct": swap(
        "include/linux/virtio.h", ("struct virtio_device {", "struct virtio_device {\n\tint odd;")
    ),
    "a member of a table": swap(CCW, (".set = virtio_ccw_set_config", ".set = odd_set_config")),
    "another table": add(
        "drivers/odd.c", "#include <linux/virtio.h>\nstatic void odd_set(struct virtio_device *d, unsigned int o, "
        "const void *f, unsigned int n)\n{\n\tkmalloc(3, GFP_KERNEL);\n}\n"
        "const struct virtio_config_ops odd_ops = { .set = odd_set };\n"
    ),
    "an assignment to a member": add("drivers/odd.c", "void odd(struct rcu_state *s, void (*f)(void))\n"
        "{\n\ts->call = f;\n}\n"),
    "a function of a name that is called": add("lib/odd.c", "void ccw_io_helper(void *vdev, void *program)\n"
        "{\n\tkmalloc(3, GFP_KERNEL);\n}\n"),
    "a second definition nearby": add("drivers/virtio/odd.c", "void virtqueue_kick(void *vq)\n{\n\tkmalloc(3, GFP_KERNEL);\n}\n"),
    "a mention that becomes a call": swap("drivers/idle.c", ("odd_way = out_of_memory;", "out_of_memory(0);")),
    "a mention that becomes a registration": swap("drivers/idle.c", ("odd_put = register_oom_notifier;",
        "register_oom_notifier(&idle_block);")),
    "a call that becomes a mention": swap(TTY, ("if (!out_of_memory(&control))", "if (!out_of_memory)")),
    "static no more": swap(POWERPC, ("static long cmm_free_pages(", "long cmm_free_pages(")),
    "a header not included": swap(BALLOON, ("#include <linux/virtio.h>\n", "")),
    "a plugin not included": swap("kernel/rcu/tree.c", ('#include "tree_plugin.h"\n', "")),
    "a file gone": gone(POWERPC),
    "a header gone": gone(HEADER),
    "a caller gone": gone(TTY),
    "a file moved": moved(BALLOON, "drivers/virtio/balloon/main.c"),
    "a user moved among others": moved(POWERPC, "arch/s390/mm/pseries.c"),
    "a function moved to another file": both(
        swap(RING, ("return virtqueue_add(vq, buffer, total, data, gfp);", "return odd_add(vq, total, gfp);")),
        add("drivers/virtio/odd.c", "int odd_add(void *q, unsigned int n, gfp_t gfp)\n{\n\treturn kmalloc(1, gfp) ? 0 : 1;\n}\n"),
    ),
    "an #if around a lock": swap(
        BALLOON, ("	mutex_lock(&balloon->balloon_lock);\n", "#if 0\n	mutex_lock(&balloon->balloon_lock);\n#endif\n")
    ),
    "a function of two arms": swap(
        CCW, ("void ccw_io_helper(", "#ifdef CONFIG_ODD\nvoid ccw_io_helper(int);\n#endif\nvoid ccw_io_helper(")
    ),
    "a user's lock": swap(PLUGIN,
        ("	int target;\n", "	int target;\n	static DEFINE_MUTEX(mine);\n	mutex_lock(&mine);\n"),
    ),
    "the counter's type": swap(PLUGIN, ("static atomic_t oom_callback_count;", "atomic_t oom_callback_count;")),
    "an access elsewhere": add("kernel/rcu/odd.c", "extern int oom_kb;\nvoid odd(void)\n{\n\toom_kb = 0;\n}\n"),
    "an access in the same file": add(POWERPC, "void odd(void)\n{\n\toom_freed_pages = 0;\n}\n"),
    "an access that is guarded now": swap(
        POWERPC, ("	oom_freed_pages = 0;", "	mutex_lock(&hotplug_mutex);\n	oom_freed_pages = 0;")
    ),
    "a parameter's name": swap(BALLOON, ("unsigned int count)", "unsigned int much)"), ("(count >", "(much >")),
    "nothing": lambda files: None,
}  # fmt: skip

IDLE = """#include <linux/oom.h>

static bool (*odd_way)(struct oom_control *control);
static int (*odd_put)(struct notifier_block *block);

static int idle_told(struct notifier_block *block, unsigned long unused, void *pages)
{
	return 0;
}
static struct notifier_block idle_block = { .notifier_call = idle_told };

void idle_setup(void)
{
	odd_way = out_of_memory;
	odd_put = register_oom_notifier;
}
"""


@dataclass
class Base:
    """A repository with a store that holds the answer about its first commit."""

    folder: Path
    commit: str
    store: Path
    files: dict[str, str]
    models: ApiModels
    request: ScanRequest

    def edited(self, edit: Edit) -> str:
        """A commit of the edited files; its id."""
        files = dict(self.files)
        edit(files)
        git(self.folder, "checkout", "-q", "-f", "--detach", self.commit)
        for path in self.files.keys() - files.keys():
            (self.folder / path).unlink()
        for path, text in files.items():
            if self.files.get(path) != text:
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_text(text)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", "edit")
        return git(self.folder, "rev-parse", "HEAD")

    def ask(self, store: Store, commit: str) -> dict[str, Any]:
        tree = open_tree(str(self.folder), commit)
        try:
            result = scan(tree, store, self.models, self.request, lambda what, done, of: None)
        finally:
            tree.close()
        found: dict[str, Any] = msgspec.to_builtins(result)
        return {key: value for key, value in found.items() if key not in ("stats", "rev", "tree_path")}

    def check(self, commit: str, scratch: Path) -> None:
        """The same answer with what is known and with nothing."""
        shutil.copytree(self.store, scratch)
        store = FactStore.open(scratch)
        try:
            known = self.ask(store, commit)
        finally:
            store.close()
            shutil.rmtree(scratch)
        assert known == self.ask(NullStore(), commit)


def base(folder: Path, name: str, request: ScanRequest, more: dict[str, str]) -> Base:
    tree = folder / "linux"
    shutil.copytree(fixtures_dir() / name, tree)
    for path, text in more.items():
        (tree / path).write_text(text)
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "base")
    files = {str(p.relative_to(tree)): p.read_text() for p in sorted(tree.rglob("*.[ch]"))}
    made = Base(tree, git(tree, "rev-parse", "HEAD"), folder / "store", files, load_models(), request)
    store = FactStore.open(made.store)
    made.ask(store, made.commit)
    store.close()
    return made


@pytest.fixture(scope="module")
def oom(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base(tmp_path_factory.mktemp("oom"), "oom", ScanRequest(), {"drivers/idle.c": IDLE})


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base(tmp_path_factory.mktemp("chains"), "callback-not-concurrent", ScanRequest(chain="all"), {})


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit(oom: Base, tmp_path: Path, edit: Edit) -> None:
    oom.check(oom.edited(edit), tmp_path / "store")


def test_edits_change_answers_and_answers_are_reused(oom: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above could not fail."""
    plain = oom.ask(NullStore(), oom.commit)
    for name in ("a mention that becomes a registration", "another registration", "an access in the same file"):
        assert oom.ask(NullStore(), oom.edited(EDITS[name])) != plain, name
    hits = {"a comment": 0, "an access in the same file": 0, "nothing": 0}
    get = Memo.get

    def counted(self: Memo, question: str, type_: type[Any]) -> Any:
        got = get(self, question, type_)
        hits[name] += got is not None
        return got

    monkeypatch.setattr(Memo, "get", counted)
    for name in hits:
        oom.check(oom.edited(EDITS[name]), tmp_path / "store")
    assert hits["a comment"] == hits["nothing"] == 1, "the whole answer"
    assert hits["an access in the same file"] > 2, "parts of it"


def test_one_edit_upon_another(oom: Base, tmp_path: Path) -> None:
    """Each rests on what the store knows of those before, and back."""
    store = FactStore.open(tmp_path / "store")
    try:
        for name in ("nothing", "another caller", "a mask", "no lock in a caller", "nothing", "a field's type", "a file moved"):
            commit = oom.edited(EDITS[name])
            assert oom.ask(store, commit) == oom.ask(NullStore(), commit), name
    finally:
        store.close()


WORD = re.compile(r"[A-Za-z_]\w*")


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lines_and_words_that_go_elsewhere(chains: Base, tmp_path: Path, data: st.DataObject) -> None:
    """Any line taken out, put in from elsewhere, or with a word of another place in it."""
    files = chains.files
    path = data.draw(st.sampled_from([p for p in files if p.endswith(".c")]))
    lines = files[path].split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    other = files[data.draw(st.sampled_from(sorted(files)))].split("\n")
    match data.draw(st.sampled_from(("out", "in", "word"))):
        case "out":
            del lines[at]
        case "in":
            lines.insert(at, data.draw(st.sampled_from(other)))
        case _:
            words = WORD.findall(lines[at])
            if words:
                new = data.draw(st.sampled_from(sorted({w for line in other for w in WORD.findall(line)}) or ["x"]))
                lines[at] = re.sub(rf"\b{data.draw(st.sampled_from(words))}\b", new, lines[at])
    text = "\n".join(lines)
    chains.check(chains.edited(lambda given: given.update({path: text})), tmp_path / "store")


def test_the_answer_is_one(oom: Base) -> None:
    """A scan finds something there."""
    tree = open_tree(str(oom.folder), oom.commit)
    try:
        result: ScanResult = scan(tree, NullStore(), oom.models, oom.request, lambda what, done, of: None)
    finally:
        tree.close()
    assert len(result.findings) > 8 and len(result.chains) == 1
