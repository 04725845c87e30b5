"""teardown-order: an object ends, or a driver is unbound, while a callback that was set up on it may still run.

Shapes: a wait that there was before a patch and is not there any more, or comes too late now; a wait that comes only after the
end; a callback that is started, and its object freed since a later step has failed; a cancel that does not wait, then the end of
the object; a wait that is made only if a flag says so which is down while the callback runs; an object that ends, or an
unbinding, without any cancel in the whole folder; an interrupt that outlives what its handler is passed or uses, or that starts
again what was stopped; a beginning that fails and leaves running what it has started. Those of a scan are silent as soon as
anything on the way waits for the callback or for its queue: whoever waits elsewhere may have a reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.focus import Focus
from reviewer.checks.registry import general
from reviewer.checks.teardown.asked_first import asked_first
from reviewer.checks.teardown.base import RULE, Teardown
from reviewer.checks.teardown.begun_failed import begun_failed
from reviewer.checks.teardown.ended_early import after_the_end, freed_as_started
from reviewer.checks.teardown.irq_left import irq_left
from reviewer.checks.teardown.irq_restarts import again_by_irq
from reviewer.checks.teardown.module_left import left_behind
from reviewer.checks.teardown.never_stopped import never_stopped
from reviewer.checks.teardown.part_freed import part_freed
from reviewer.checks.teardown.restarted import wrong_order
from reviewer.checks.teardown.still_used import still_used
from reviewer.checks.teardown.turned import not_again
from reviewer.checks.teardown.unwaited import unwaited
from reviewer.checks.teardown.wait_lost import lost_waits


@general(RULE)
def teardown_order(focus: Focus) -> Iterator[Finding]:
    teardown = Teardown(focus)
    weak = list(unwaited(teardown))
    told = {f.involves[0] for f in weak}
    found: dict[tuple[str, str], Finding] = {}
    for finding in (
        *lost_waits(teardown), *still_used(teardown), *weak, *wrong_order(teardown), *not_again(teardown),
        *after_the_end(teardown), *freed_as_started(teardown),
        *(f for f in never_stopped(teardown) if f.involves[0] not in told), *left_behind(teardown),
        *irq_left(teardown), *part_freed(teardown), *begun_failed(teardown), *again_by_irq(teardown), *asked_first(teardown),
    ):
        found.setdefault((finding.involves[0], finding.function), finding)
    yield from found.values()
