"""What is known of the kernel's API, as data: the compiled form of ``rules/api/*.yaml``.

A function that a model describes is a leaf: its body is never read. ``program/api/load.py`` reads and checks the
YAML and makes these records; nothing here knows a kernel name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "mutex", "rtmutex", "ww_mutex", "rwsem", "percpu_rwsem", "semaphore", "spin", "raw_spin", "rwlock",
    "bit", "seq", "local", "rcu", "srcu", "preempt", "irq", "bh", "pagefault", "socket", "other",
]  # fmt: skip
Mode = Literal["exclusive", "shared"]
Taken = Literal["lock", "trylock", "killable", "interruptible", "timeout", "guard"]
Irq = Literal["task", "softirq", "hardirq", "nmi", "atomic"]
Masks = Literal["", "bh", "irq"]

ELEMENT = "[]"
"""The field of a function in an array of pointers to functions; the type of the function stands for the struct."""


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the records below: immutable, by keyword."""


class Place(Model, frozen=True):
    """An object as the caller names it.

    ``base``: ``arg N`` counted from 0, ``result``, or a lock that exists once (``rcu``).
    ``path``: what follows, e.g. ``.rwsem`` for ``arg 0`` of a blocking chain. ``address``: the argument is
    the object's address (``&x`` or a pointer), which is usual; False where a macro takes the object itself.
    """

    base: Literal["arg", "result", "global"]
    index: int = 0
    name: str = ""
    path: tuple[str, ...] = ()
    address: bool = True


class Takes(Model, frozen=True):
    """A lock that is held after the call when ``held_when`` holds of its result.

    ``held_when``: ``always``, ``zero``, ``nonzero``, ``nonnegative``, ``positive``, ``not_error`` (ERR_PTR)
    or ``== X`` with X an integer or an enumerator of the tree (``== MUTEX_TRYLOCK_SUCCESS``).
    ``already``: in the same words, the result that says that this very task held the lock before the call and
    still does, so that nothing was taken; "" where there is no such result.
    ``subclass``: index of the argument that is a lockdep subclass, or None. It is an annotation: it does
    not make another mutex. ``recursive``: the same owner may take it again. ``sure_without``: index of an argument
    without which (NULL) it is held in any case.
    """

    lock: Place
    kind: Kind
    mode: Mode = "exclusive"
    taken: Taken = "lock"
    held_when: str = "always"
    irq: Literal["", "off", "save", "bh"] = ""
    subclass: int | None = None
    recursive: bool = False
    already: str = ""
    sure_without: int | None = None


class Drops(Model, frozen=True):
    lock: Place
    kind: Kind
    mode: Mode = "exclusive"
    irq: Literal["", "on", "restore", "bh"] = ""
    when: str = "always"  # the vocabulary of held_when


class Allocates(Model, frozen=True):
    """The call allocates memory. ``gfp``: index of the mask argument, or None with ``flags`` as an expression
    in the tree's own names (``GFP_KERNEL``). ``flags_irqs_off``: the expression that counts instead where
    interrupts are off (``acpi_os_allocate`` looks at ``irqs_disabled()``); "" where that makes no difference.
    ``surely_in``: the struct of which the first argument must be a member if it is to do so for sure (``kobject_uevent`` sends
    nothing for an object that no kset filters).
    """

    gfp: int | None = None
    flags: str = ""
    flags_irqs_off: str = ""
    surely_in: str = ""


class GfpScope(Model, frozen=True):
    """memalloc_*_save/restore: allocations in between lose ``clears`` (flag names) from their mask."""

    clears: tuple[str, ...]
    enter: bool


class Waits(Model, frozen=True):
    """The call blocks until somebody else has done something.

    ``what``: ``event`` (``on`` is the wait queue, ``condition`` the index of the condition argument),
    ``completion``, ``work``, ``workqueue``, ``timer``, ``irq``, ``thread``, ``grace_period``, ``refcount``,
    ``device``, ``tasklet``, ``napi``, ``urb``, ``callbacks`` (of RCU), ``attribute`` (those who read or write it),
    ``operations`` (of the driver that waits: what :class:`Invokes` calls ``waited``).
    ``on``: the object waited on. ``releases``: a lock that is dropped while it sleeps and held again afterwards
    (``wait_event_lock_irq``): sleeping under it is no fault.
    """

    what: str
    on: Place | None = None
    condition: int | None = None
    gives_up: bool = False  # with a timeout, or on a signal
    for_good: bool = False  # what is started afterwards does not run any more
    releases: Place | None = None


class Signals(Model, frozen=True):
    """The call wakes whoever waits on ``on``: ``complete`` for a completion, ``wake_up`` for a wait queue."""

    what: Literal["event", "completion"]
    on: Place


class Held(Model, frozen=True):
    """A lock, by its class, that callers hold."""

    lock: str
    kind: Kind = "mutex"
    mode: Mode = "exclusive"


class Invokes(Model, frozen=True):
    """The call runs a callback before it returns.

    ``callback``: the argument that is the function, or None with ``table``: ``struct T.field`` whose targets
    run.
    ``argument``: index of the argument that becomes the callback's first, if any. ``context``: where it runs.
    ``bound``: how targets of a table are narrowed: ``directory`` (the tables of the caller's own unit, else of its folder),
    ``bus`` (the power-management table of the bus type that belongs to the struct ``object`` is a member of).
    ``many``: it runs on several CPUs at once, so that no lock of the caller keeps it apart from itself.
    ``last``: it runs only if the caller's reference was the last one. ``seldom``: as a rule it runs later, on its own.
    ``holds``: what the call holds around the callback. ``instead``: a member of the table that runs in its
    place, where there is one. ``waited``: another task runs it, whose end the call waits for. ``unless``: words, any of which
    in the calling function says that it does not run (``disk->flags |= GENHD_FL_NO_PART``).
    """

    callback: int | None = None
    table: str = ""
    instead: str = ""
    argument: int | None = None
    context: Irq = "task"
    bound: Literal["", "directory", "bus"] = ""
    object: Place | None = None
    many: bool = False
    last: bool = False
    seldom: bool = False
    waited: bool = False
    unless: tuple[str, ...] = ()
    holds: tuple[Held, ...] = ()


class Registers(Model, frozen=True):
    """The call (or the macro) makes a callback run later, or on an event.

    ``callback``: index of the function argument; or ``block``: a Place whose field ``field`` holds it.
    ``how``: work, timer, hrtimer, tasklet, irq, threaded_irq, kthread, rcu, smp, shrinker, notifier, ops ...
    ``starts``: it is queued by this very call (``call_rcu``) rather than set up (``INIT_WORK``).
    ``in_reclaim``: it runs inside reclaim (a shrinker). ``masks``: what is off while it runs beyond what its context says.
    ``sure``: False where it may run in a less strict context, too. ``unless``: words, any of which in the file says that it may
    be a stricter one (``system_bh_wq``). ``suffix``: the argument is only what the callback's name begins with, and ends in one
    of these (``DEVICE_ATTR_RO(name)`` pastes ``name_show``); ``prefix``: the argument with which its name begins.
    ``holds``: the locks around it. ``in_order``: its queue runs one work at a time, whoever has made it.
    """

    how: str
    callback: int | None = None
    block: Place | None = None
    field: str = ""
    argument: int | None = None
    context: Irq = "task"
    starts: bool = False
    in_reclaim: bool = False
    masks: Masks = ""
    sure: bool = True
    unless: tuple[str, ...] = ()
    queue: Place | None = None  # the queue on which it runs, where whoever waits for that queue waits for it
    suffix: tuple[str, ...] = ()
    prefix: int | None = None
    holds: tuple[Held, ...] = ()
    in_order: bool = False


class Cancels(Model, frozen=True):
    """The call keeps a callback from running later. ``what``: as in :class:`Waits`, or ``urb``, ``napi``, ``notifier``.

    ``on``: the object on which it was set up. ``waits``: when the call returns the callback does not run any more; otherwise
    it may have begun on another CPU. What ``waits`` facts of the same kinds say need not be said again.
    """

    what: str
    on: Place | None = None
    waits: bool = False


class Accesses(Model, frozen=True):
    """The call reads or writes a shared object by itself.

    ``op``: read, set, add, sub, test_set (atomic gate: cmpxchg, test_and_set_bit, xchg, inc_not_zero), clear.
    ``atomic``: the operation is indivisible. ``value``: index of the argument that is stored or added, or
    None with ``constant`` (atomic_inc adds 1). ``tests``: the result says what the object was (dec_and_test).
    ``wins``: the result that says that this caller and no other has made the change: ``zero``, ``nonzero``,
    ``other`` (not the value that is stored) or ``arg N`` (equal to that argument). ``bit``: index of the argument
    that says which bit of the object is meant. ``finds``: the result is something that the object holds.
    """

    object: Place
    op: Literal["read", "set", "add", "sub", "test_set", "clear"]
    atomic: bool = True
    value: int | None = None
    constant: int | None = None
    tests: bool = False
    wins: str = ""
    bit: int | None = None
    finds: bool = False


ChainKind = Literal["blocking", "atomic", "raw", "srcu"]


class ChainCall(Model, frozen=True):
    """Calls every callback of a notifier chain. ``holds``: the chain's own lock around them, as a Place
    relative to the arguments, with its mode."""

    chain: Place
    kind: ChainKind
    action: int | None = 1
    data: int | None = 2
    holds: Takes | None = None


class ChainRegister(Model, frozen=True):
    chain: Place
    block: int = 1
    kind: ChainKind = "blocking"
    remove: bool = False


class ChainHead(Model, frozen=True):
    """A file-scope macro or an initialiser call that makes a chain head (``BLOCKING_NOTIFIER_HEAD``)."""

    head: int = 0
    kind: ChainKind = "blocking"


class RcuRead(Model, frozen=True):
    """The call reads what RCU protects, and gives or uses a pointer that only a read section keeps valid.

    ``object``: what is read; the result, where nothing else knows of what a look-up gives. ``flavour``: which kind of section.
    ``condition``: index of the argument that says when none is needed; where it is given, the caller vouches for it.
    ``instead``: lock classes that do as well. ``strict``: no other context than a section of that kind is accepted by lockdep (a
    list walk is content with any that a grace period waits for). ``writer``: it is for those who keep other
    writers out, so it needs no section; a condition that is always true says that nobody else is there.
    """

    flavour: Literal["rcu", "srcu"] = "rcu"
    object: Place | None = None
    condition: int | None = None
    instead: tuple[str, ...] = ()
    strict: bool = False
    writer: bool = False


class Halts(Model, frozen=True):
    """From this call on (``enter``) an allocation with one of ``flags`` may wait for what cannot complete: ``why``."""

    flags: tuple[str, ...]
    enter: bool
    object: Place | None = None
    why: str = ""


class OpsContext(Model, frozen=True):
    """What holds of the functions in ``struct T.field`` (``ops``).

    ``forbids``: flags with which nothing may be allocated below them. ``reclaim``: they run inside reclaim on behalf of an
    allocation that has all these flags. ``idle``: on an object that nobody uses any more, so that nobody waits for its own locks.
    ``scoped``: their caller has a memalloc scope around them, so that to allocate as one likes is against the rule and works.
    ``seldom``: it matters to few who fill the table: said of what a patch brings only.
    """

    ops: tuple[str, ...]
    forbids: tuple[str, ...] = ()
    reclaim: tuple[str, ...] = ()
    idle: bool = False
    scoped: bool = False
    seldom: bool = False
    why: str = ""


class Makes(Model, frozen=True):
    """The result is an object whose maker decides whether calls on it may sleep (``sleeps_by``).

    ``sleeps``: they do, unless an object that the maker is given says otherwise: ``told_by`` has, by ``struct T``, the index of
    the argument that is (or leads to) such an object, ``unless`` the fields, one of which says so. ``of``: index of an argument
    that is an object of the same kind, on which calls on this one are made. ``shared_by``: it is one that the driver of the
    device, or of its parent, has made; the folder of headers that such a parent and its children share.
    """

    sleeps: bool = True
    told_by: dict[str, int] = {}
    unless: tuple[str, ...] = ()
    of: int | None = None
    shared_by: str = ""


class Publishes(Model, frozen=True):
    """The call makes ``value`` (an argument's index) what RCU readers find in ``object``; what they found before, old ones may
    still hold. ``ordered``: whoever finds it finds it as it was initialised before."""

    object: Place
    value: int
    ordered: bool = False


class Function(Model, frozen=True):
    """All that the models say of one callee. Empty but for its name: it does nothing a rule cares for."""

    name: str
    takes: tuple[Takes, ...] = ()
    drops: tuple[Drops, ...] = ()
    may_sleep: bool = False
    sleeps_if_gfp: int | None = None  # may sleep only with direct reclaim in this argument
    allocates: Allocates | None = None
    gfp_scope: GfpScope | None = None
    sleeps_if_nonzero: int | None = None  # may sleep only if this argument is not 0 (read_poll_timeout)
    sleeps_if_zero: int | None = None  # may sleep only if this argument is 0 (a flag that says not to wait)
    sleeps_by: int | None = None  # may sleep if the maker of what this argument points to has said so
    sleeps_seldom: bool = False  # does so for some of what it is passed only, and its caller may know (kvfree)
    only_with: str = ""  # does nothing to speak of in a kernel without this option (CONFIG_JUMP_LABEL)
    spared_under: str = ""  # fails instead of sleeping while this lock is held (pagefault)
    needs_irqs: bool = False  # may sleep, and may be called anywhere but with interrupts off (dma_free_coherent)
    in_interrupt: bool = False  # does not sleep there, nor with softirqs off, and knows by itself (vfree)
    spared_by: str = ""  # goes without saying for an object that this word was said of (pm_runtime_irq_safe, TIMER_IRQSAFE)
    rules_out: str = ""  # a lock that nobody has while what this got is kept: it is not waited for (pm_runtime_get_if_in_use)
    asserts: tuple[Takes, ...] = ()  # locks that must be held where it is called, or it complains
    inside: tuple[Takes, ...] = ()  # locks that it takes and drops again before it returns
    waits: tuple[Waits, ...] = ()
    signals: tuple[Signals, ...] = ()
    invokes: tuple[Invokes, ...] = ()
    registers: tuple[Registers, ...] = ()
    accesses: tuple[Accesses, ...] = ()
    chain_call: ChainCall | None = None
    chain_register: ChainRegister | None = None
    chain_head: ChainHead | None = None
    pure: bool = False  # no effect that anybody could see: logging, arithmetic, assertions
    no_return: bool = False
    never_null: bool = False  # what it returns is a pointer to something
    returns: int | None = None  # a macro that returns this argument from the function it stands in
    halts: Halts | None = None
    rcu_read: RcuRead | None = None
    publishes: Publishes | None = None
    serves: Place | None = None  # the queue whose works it runs until its thread is told to stop
    unlinks: Place | None = None  # what RCU readers cannot find any more, while old ones may still hold it
    variant_of: str = ""  # it is this other function, made safe for RCU readers
    frees_later: int | None = None  # index of the argument that is freed once RCU readers are done
    frees: int | None = None  # index of the argument that is freed
    cache: int | None = None  # index of the argument that it is given back to
    keeps_type: tuple[str, ...] = ()  # flags of such a cache whose memory stays of its type for RCU readers
    cancels: tuple[Cancels, ...] = ()
    ends: int | None = None  # index of the argument that the caller gives up: freed by the last user, or after a grace period
    managed: bool = False  # its result lives as long as a driver is bound to the device (devm_kzalloc)
    spares_last: bool = False  # its result is 0, and nothing done, if only the last reference is left (refcount_dec_not_one)
    fresh: bool = False  # its result is an object that nobody else knows yet
    makes: Makes | None = None
    in_order: bool = False  # its result is a queue that runs one work at a time
    per_cpu: bool = False  # its result is this CPU's own copy (this_cpu_ptr)
    tells: Literal["", "atomic", "task"] = ""  # its result is not 0 in that context (in_interrupt, preemptible)
    reclasses: int | None = None  # the lock that lockdep takes for another class from then on
    identity: int | None = None  # its value is this argument's (READ_ONCE, unlikely, rcu_dereference)
    empty: int | None = None  # tells whether the list that this argument leads to has no entries (list_empty)
    empties: int | None = None  # leaves the list that this argument leads to without entries (list_del_init)
    is_error: int | None = None  # tells whether this argument is an error number (IS_ERR)
    error_or_zero: int | None = None  # this argument if it is an error number, else 0 (PTR_ERR_OR_ZERO)
    ends_if: int | None = None  # does not come back if this argument is not 0 (BUG_ON)
    value: Place | None = None  # what it returns: the value of this member (dev_get_drvdata)
    alias: str = ""  # behaves as this other function, with the same arguments
    source: str = ""

    @property
    def passes(self) -> bool:
        """Whether nothing is done at all, but that a value may be given on."""
        return self.pure or self.identity is not None

    @property
    def recursive(self) -> bool:
        """Whether it waits for nobody where its caller has what it takes already."""
        return any(t.recursive for t in (*self.takes, *self.inside))


class Gate(Model, frozen=True):
    """A function whose callers are let in by something that the models know better than a graph search."""

    function: str
    context: Irq
    note: str = ""


class Operation(Model, frozen=True):
    """In which context the function in a field of a table is called, as the table's own documentation has it.

    ``table``: ``struct T.field``. ``masks``: what is off while it runs. ``holds``: the locks that its caller holds, as far as
    they have a name; ``holds_among``: the one that he holds of a driver whose file has the word (``misc_register``).
    ``unless``: words with which a driver asks for another context (``BLK_MQ_F_BLOCKING``): where its file has one, nothing is
    said. ``sure``: False where some callers may be in another context; of a driver without any word of ``holds_among`` nothing is
    said then. ``apart``: fields of the same table whose functions never run for the object meanwhile. ``after_grace``: no reader
    under RCU is left that came to the object before. ``interrupts``: a hard interrupt takes the lock under which it is called, or
    calls it, whatever the driver does. ``alone``: nobody else runs, and all locks are free.
    """

    table: str
    context: Irq
    masks: Masks = ""
    holds: tuple[Held, ...] = ()
    holds_among: dict[str, Held] = {}
    unless: tuple[str, ...] = ()
    sure: bool = True
    apart: tuple[str, ...] = ()
    after_grace: bool = False
    interrupts: bool = False
    alone: bool = False
    source: str = ""


class Scope(Model, frozen=True):
    """Where an analysis starts: the functions and chains that a named question is about.

    ``in_reclaim``: what its functions call runs inside reclaim or the OOM killer.
    """

    name: str
    functions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    in_reclaim: bool = False


class Obligation(Model, frozen=True):
    """What the callbacks of a chain owe: no allocation with all of ``forbids`` and none of ``unless`` set.

    ``alone``: the machine is going down and nobody else is left to run, so nothing is owed to a second caller.
    """

    chain: str  # a name, "*" with `scope`, or "struct T.field" for the functions of a table
    in_reclaim: bool = False
    alone: bool = False
    forbids: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    owes: str = ""  # "add to data": the data pointer is a count that each callback adds to; "result": it returns one
    source: str = ""


class ApiModels(Model, frozen=True):
    """Every model of ``rules/api`` and of the user's ``--rules-dir``, later files over earlier ones."""

    functions: dict[str, Function]
    scopes: dict[str, Scope] = {}
    obligations: tuple[Obligation, ...] = ()
    operations: dict[str, Operation] = {}  # by "struct T.field"
    ops: tuple[OpsContext, ...] = ()
    handles: dict[str, tuple[str, ...]] = {}  # type of a parameter that says that such allocations are forbidden: the flags
    word_scopes: dict[str, dict[str, list[str]]] = {}  # "pointer->field" -> bit by name -> the flags gone while it is set
    bus_types: dict[str, str] = {}  # "struct pci_dev" -> "pci_bus_type"
    ends_of: dict[str, str] = {}  # an operation that ends what another of the same table begins: remove -> probe
    followed: dict[str, tuple[str, ...]] = {}  # a field that a core follows under RCU: the operations by which it does
    guards: dict[str, str] = {}  # guard class -> the function it calls: mutex -> mutex_lock
    unguards: dict[str, str] = {}
    cleanups: dict[str, str] = {}  # __free(NAME) -> the function that it calls with the variable
    trees: dict[str, str] = {}  # class of a lock whose objects form a tree, and which come first: its class says little
    families: dict[str, str] = {}  # class of a lock which is one for each kind of objects: the struct of the kinds' operations
    private: dict[str, tuple[str, ...]] = {}  # a struct, and the members that belong to whoever has an object of it at the time
    comes_back: dict[str, tuple[Invokes, ...]] = {}  # a function, and what it runs of its caller's own driver, deep below
    constants: dict[str, int] = {}  # values that a tree computes by means we do not follow
    patterns: tuple[tuple[str, Function], ...] = ()  # (prefix without "*", model), the longest first
    digest: str = ""

    def meant(self, name: str) -> str:
        """The function that a scope guard's or a cleanup's event calls (``guard:mutex``); other names as they are."""
        kind, colon, word = name.partition(":")
        if not colon:
            return name
        table = {"guard": self.guards, "unguard": self.unguards, "cleanup": self.cleanups}.get(kind, {})
        return table.get(word, word if kind == "cleanup" else name)

    def function(self, name: str) -> Function | None:
        """The model of ``name``: by its name, else by the longest prefix; None if nothing is known.

        A prefix is a guess (``trace_*``), so ask only for a name that the tree does not define.
        """
        found = self.functions.get(name)
        if found is not None:
            return found
        return next((model for prefix, model in self.patterns if name.startswith(prefix)), None)
