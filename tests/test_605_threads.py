"""Threads of a step share its jobs: each is done once, whoever comes when."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from microbench import kernel, op, simulate_small, trace

from gpusim import jit
from gpusim.model.setup.simulate import RunOptions
from gpusim.model.threads import (
    LEAVE,
    SMS,
    TEAM_WORDS,
    job_done,
    job_of,
    kind_of,
    next_offer,
    offer_jobs,
    wait_a_moment,
    wait_for_others,
)
from gpusim.processors import cores


class Team(NamedTuple):
    """What the functions of `threads` want of a State, and how often each job was done."""

    teamwork: np.ndarray
    done: np.ndarray


@jit.kernel
def lead(S, steps, jobs):
    """Offer steps, do jobs of them; returns how many this thread did, -1 if a step was over with one undone."""
    mine = 0
    for step in range(steps):
        offer_jobs(S, SMS, jobs)
        offer = next_offer(S)
        while job_of(offer) >= 0:
            S.done[job_of(offer)] += 1
            mine += 1
            job_done(S)
            offer = next_offer(S)
        wait_for_others(S, jobs)
        for job in range(jobs):
            if S.done[job] != step + 1:
                return -1
    offer_jobs(S, LEAVE, 0)
    return mine


@jit.kernel
def follow(S):
    """Do jobs until told to leave; returns how many."""
    mine = looks = 0
    offer = next_offer(S)
    while kind_of(offer) != LEAVE:
        if job_of(offer) >= 0:
            S.done[job_of(offer)] += 1
            mine += 1
            job_done(S)
            looks = 0
        else:
            wait_a_moment(looks)
            looks += 1
        offer = next_offer(S)
    return mine


@pytest.mark.parametrize(("threads", "steps", "jobs"), [(1, 3, 5), (2, 400, 84), (3, 400, 7), (5, 50, 1)])
def test_every_job_of_every_step_is_done_once(threads: int, steps: int, jobs: int) -> None:
    steps = steps if jit.JIT else 5
    team = Team(np.zeros(TEAM_WORDS, np.int64), np.zeros(jobs, np.int64))
    with ThreadPoolExecutor(threads) as pool:
        others = [pool.submit(follow, team) for _ in range(threads - 1)]
        done = lead(team, steps, jobs)
        assert done >= 0
        assert done + sum(other.result(timeout=60) for other in others) == steps * jobs
    assert (team.done == steps).all()


def test_a_thread_that_comes_after_the_end_leaves_at_once() -> None:
    team = Team(np.zeros(TEAM_WORDS, np.int64), np.zeros(4, np.int64))
    assert lead(team, 2, 4) == 8
    assert follow(team) == 0


def test_threads_end_with_the_launch() -> None:
    before = threading.active_count()
    simulate_small(trace(kernel([op("FADD R4, R4, R4", 4)] * 5, grid=8)), "sms=4", options=RunOptions(threads=3))
    assert threading.active_count() == before


def test_processors_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr("gpusim.processors._QUOTA", quota)
    assert cores() == 3  # no such file
    for text, expected in (("max 100000", 3), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 3)):
        quota.write_text(text)
        assert cores() == expected
