"""Threads that work together on the steps of a window, in compiled code.

A step is so many jobs of one kind: SMs to run, groups of channels to serve, GPCs to pass. Thread 0 offers a step and
takes jobs of it, one after another, as all other threads do; it goes on when all are done. A thread that the machine
keeps waiting holds up no more than the job that it has, and one that comes late finds less to do. Which thread does
what changes no result: jobs of a step touch nothing in common.

State.teamwork has two words that threads change at once, each in cache lines of its own:

- OFFER: kind << KIND_SHIFT | jobs << JOBS_SHIFT | number of the next job. Whoever adds 1 takes the job of that number,
  if there are so many; the word tells of which step.
- DONE: jobs of the step that are done.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gpusim.jit import JIT, inlined, intrinsic
from gpusim.model.state import State

OFFER, DONE, TEAM_WORDS = 0, 32, 64
"""Places in State.teamwork, and how many it has: processors fetch two lines of 64 bytes at once."""
NO_JOBS, LEAVE, SMS, GROUPS, GPCS = 0, 1, 2, 3, 4
"""Kinds. LEAVE: threads other than 0 return."""
KIND_SHIFT, JOBS_SHIFT, NUMBERS = 48, 24, (1 << 24) - 1
SPINS, YIELDS = 1000, 1000
"""Looks at a word before a waiting thread offers its processor to others (some 10 us), and before it sleeps."""
SLEEP_US = 50


# ---- words that several threads change, and waiting


def _atomic(words: Any, kinds: tuple[Any, ...], instruction: Callable[[Any, Any, Any], Any]) -> Any:
    """Signature and code of an intrinsic that does one instruction on a word of an array and gives its result."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return instruction(builder, builder.gep(data, [arguments[1]]), arguments[-1])

    return words.dtype(*kinds), generate


def _load(typing_context: Any, words: Any, place: Any) -> Any:
    return _atomic(words, (words, place), lambda builder, word, _: builder.load_atomic(word, "acquire", 8))


def _store(typing_context: Any, words: Any, place: Any, value: Any) -> Any:
    def instruction(builder: Any, word: Any, stored: Any) -> Any:
        builder.store_atomic(stored, word, "release", 8)
        return stored

    return _atomic(words, (words, place, value), instruction)


def _add(typing_context: Any, words: Any, place: Any, value: Any) -> Any:
    def instruction(builder: Any, word: Any, added: Any) -> Any:
        return builder.atomic_rmw("add", word, added, "seq_cst")

    return _atomic(words, (words, place, value), instruction)


def _sleep(typing_context: Any, microseconds: Any) -> Any:
    """Offer the processor to others, for some time if that is not 0: POSIX functions of the C library."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from llvmlite import ir
        from numba.core.cgutils import get_or_insert_function

        if os.name != "posix":  # there threads only spin
            return arguments[0]
        number = ir.IntType(32)
        give_way = get_or_insert_function(builder.module, ir.FunctionType(number, []), "sched_yield")
        rest = get_or_insert_function(builder.module, ir.FunctionType(number, [number]), "usleep")
        with builder.if_else(builder.icmp_signed("==", arguments[0], ir.Constant(arguments[0].type, 0))) as (
            now,
            later,
        ):
            with now:
                builder.call(give_way, [])
            with later:
                builder.call(rest, [builder.trunc(arguments[0], number)])
        return arguments[0]

    return microseconds(microseconds), generate


_LOCK = threading.Lock()


def _interpreted_load(words: np.ndarray, place: int) -> int:
    return int(words[place])


def _interpreted_store(words: np.ndarray, place: int, value: int) -> int:
    with _LOCK:
        words[place] = value
    return value


def _interpreted_add(words: np.ndarray, place: int, value: int) -> int:
    with _LOCK:
        before = int(words[place])
        words[place] = before + value
    return before


def _interpreted_sleep(microseconds: int) -> int:
    time.sleep(microseconds * 1e-6)
    return microseconds


load: Callable[[np.ndarray, int], int] = intrinsic(_load) if JIT else _interpreted_load
store: Callable[[np.ndarray, int, int], int] = intrinsic(_store) if JIT else _interpreted_store
add: Callable[[np.ndarray, int, int], int] = intrinsic(_add) if JIT else _interpreted_add
"""Adds to a word; gives what it was."""
sleep: Callable[[int], int] = intrinsic(_sleep) if JIT else _interpreted_sleep


@inlined
def wait_a_moment(looks: int) -> None:
    """What a thread does between two looks at a word; `looks`: it has looked so often."""
    if looks >= SPINS + YIELDS:
        sleep(SLEEP_US)
    elif looks >= SPINS:
        sleep(0)


# ---- steps


@inlined
def kind_of(offer: int) -> int:
    return offer >> KIND_SHIFT


@inlined
def job_of(offer: int) -> int:
    """Number of the job that an offer names, -1 if there are not so many."""
    number = offer & NUMBERS
    return number if number < (offer >> JOBS_SHIFT & NUMBERS) else -1


@inlined
def offer_jobs(S: State, kind: int, jobs: int) -> None:
    """Begin a step; all jobs of the one before are done."""
    store(S.teamwork, DONE, 0)
    store(S.teamwork, OFFER, kind << KIND_SHIFT | jobs << JOBS_SHIFT)


@inlined
def next_offer(S: State) -> int:
    """What is offered, with a job taken if there is one; see `kind_of` and `job_of`."""
    offer = load(S.teamwork, OFFER)
    if job_of(offer) >= 0:
        offer = add(S.teamwork, OFFER, 1)
    return offer


@inlined
def job_done(S: State) -> None:
    """A job that was taken is done."""
    add(S.teamwork, DONE, 1)


@inlined
def wait_for_others(S: State, jobs: int) -> None:
    """Until so many jobs of a step are done."""
    looks = 0
    while load(S.teamwork, DONE) < jobs:
        wait_a_moment(looks)
        looks += 1
