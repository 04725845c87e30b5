"""Whether somebody calls a function so that it goes a way.

A function that takes what to do as arguments, or in an object that its caller fills (a command), has ways that only some of its
callers choose: under a lock it may go another one than that which sleeps (``read(card, reg, locked, may_sleep)``).
"""

from __future__ import annotations

import re

import msgspec

from reviewer.checks.focus import Focus
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.lockflow import seen_at
from reviewer.program.graph.contexts import CallSite
from reviewer.program.linked.link import Func

FOR_MODULES = re.compile(r"EXPORT_SYMBOL")
"""Why there may be more callers, which in a tree with some there are not."""

MAX_CALLERS = 24
"""Calls of a function that are looked at; of what is called more often somebody goes every way."""


def nobody_goes(focus: Focus, func: Func, effect: Effect) -> bool:
    """Whether each of those who call a function, all of which are known, passes what keeps it from the effect of one of its
    calls. Not in a review: nobody has run what a patch brings."""
    if focus.other is not None or not func.parameters:
        return False
    found = focus.callers_of(func)
    sites = found.sites
    if found.roots or found.cut or not all(map(FOR_MODULES.match, found.partial)) or not 0 < len(sites) <= MAX_CALLERS:
        return False
    return all(site.how == "call" and kept_from(focus, site, effect) for site in sites)


def kept_from(focus: Focus, site: CallSite, effect: Effect) -> bool:
    """Whether a caller has settled that the function does not come to the effect."""
    seen = seen_at(focus.flow(site.caller), site.call.at)
    whole = msgspec.structs.replace(effect, way=((site.caller, site.call), *effect.way))
    return seen is not None and focus.settled.against(site.caller, seen, whole)
