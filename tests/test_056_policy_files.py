"""Policy files of a user's own: where they are looked for, and how every mistake in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from microbench import kernel, op, simulate_small, trace

from gpusim.config import load_config
from gpusim.config.policies import policy_names, policy_paths
from gpusim.errors import GpusimError
from gpusim.model.policies.loading import check_compiles, policy_set
from gpusim.model.policies.names import KINDS, built_in
from gpusim.runs.fingerprint import fingerprint

SCHEDULER = "def choose(S, P, sm, k, ready, now):\n    return -1\n"
KEY = "sm.sub_core.issue.scheduler"


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def loaded(path: str, kind: str = "scheduler") -> None:
    """Load a file as a card that names it does."""
    policy_set({kind: [path]})


# ---- where


def test_a_path_in_a_card_counts_from_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cards").mkdir()
    file = written(tmp_path / "cards", SCHEDULER)
    card = tmp_path / "cards" / "mine.yaml"
    card.write_text("base: a6000.yaml\nname: mine\nsm: {sub_core: {issue: {scheduler: ./mine.py}}}\n")
    monkeypatch.chdir(tmp_path)
    assert load_config(card).sm.sub_core.issue.scheduler == file


def test_a_path_in_an_override_counts_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, SCHEDULER)
    monkeypatch.chdir(tmp_path)
    assert load_config("a6000", [f"{KEY}=./mine.py"]).sm.sub_core.issue.scheduler == file


def test_a_file_that_is_not_there_is_named_with_the_place(tmp_path: Path) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text("base: a6000.yaml\nname: mine\nl2: {replacement: ./lru.py}\n")
    with pytest.raises(GpusimError, match=r"mine.yaml:3: l2.replacement: no such file .*lru.py; packaged: fifo, lru"):
        load_config(card)


def test_every_key_that_names_a_policy_is_known() -> None:
    kinds = policy_paths()
    assert set(kinds.values()) == set(KINDS)
    assert sum(kind == "replacement" for kind in kinds.values()) == 6
    assert policy_names(load_config("a6000")) == {
        "scheduler": ["cggty"],
        "prefetcher": ["stream_buffer"],
        "replacement": ["lru"] * 6,
    }


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(GpusimError, match=r"'gtoo' is not allowed .*one of cggty, gto, lrr, oldest, or .*a \.py"):
        load_config("a6000", [f"{KEY}=gtoo"])


# ---- what stands in it

MISTAKES = {
    "no Python": ("def choose(S, P\n", r"mine.py:1: not valid Python"),
    "fails when read": ("X = 1\nY = X // 0\n" + SCHEDULER, r"mine.py:2: ZeroDivisionError"),
    "unknown import": ("from gpusim.model.rows import sub_cor\n" + SCHEDULER, r"mine.py:1: ImportError: .*sub_cor"),
    "no function": ("def chose(S, P, sm, k, ready, now):\n    return -1\n", r"needs a function choose\(.*did you mean 'chose'"),
    "other arguments": ("\n\ndef choose(S, P, sm, k, mask, now):\n    return -1\n", r"mine.py:3: choose\(S, P, sm, k, mask, now\)"),
    "too few arguments": ("def choose(S, P):\n    return -1\n", r"mine.py:1: choose\(S, P\): a scheduler's takes \(S, P, sm"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_by_file_and_line(mistake: str, tmp_path: Path) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(GpusimError, match=message):
        loaded(written(tmp_path, text))


def test_a_hook_with_a_slip_in_its_name_is_no_silent_helper(tmp_path: Path) -> None:
    text = "def wanted(S, P, sm, k):\n    return -1\n\n\ndef mised(S, P, sm, k, line, now):\n    pass\n"
    with pytest.raises(GpusimError, match=r"mine.py:5: mised is not called \(did you mean 'missed'"):
        loaded(written(tmp_path, text), "prefetcher")


REFUSED = {
    "unknown name": (
        "def victim(word, oldest, ways, line):\n    return oldst\n",
        "mine.py:2: victim does not compile: NameError: name 'oldst' is not defined",
    ),
    "wrong type": (
        "def victim(word, oldest, ways, line):\n    first = oldest\n    return first.way\n",
        "mine.py:3: victim does not compile: Unknown attribute 'way'",
    ),
    "in a helper": (
        "def half(x):\n    return x[0]\n\n\ndef victim(word, oldest, ways, line):\n    return half(word)\n",
        "mine.py:2: victim does not compile: ",
    ),
    "no number": ("def victim(word, oldest, ways, line):\n    return 'first'\n", "it should return an integer"),
    "nothing": ("def victim(word, oldest, ways, line):\n    pass\n", "it should return an integer"),
    "one of two": (
        "def victim(word, oldest, ways, line):\n    return oldest\n\n\ndef used(word, way, ways):\n    return word\n",
        "used does not compile: it should return 2 integers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_the_compiler_refuses_is_told_before_the_model_is_compiled(mistake: str, tmp_path: Path) -> None:
    text, message = REFUSED[mistake]
    policies = policy_set({"replacement": [written(tmp_path, text)]})
    with pytest.raises(GpusimError, match=message):
        check_compiles(policies, None, None)


@pytest.mark.parametrize("what", ["P.card[0].sm.nonsense", "P.derived[0].nonsense", "S.sub_cores[sm].nonsense"])
def test_a_number_that_does_not_exist_is_told_with_its_line(what: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"def choose(S, P, sm, k, ready, now):\n    first = 0\n    return {what} + first\n")
    with pytest.raises(GpusimError, match=r"mine.py:3: choose does not compile: a record has no field 'nonsense'"):
        simulate_small(trace(kernel([op("NOP", 4)])), f"{KEY}={path}")


def test_functions_of_a_file_may_call_each_other(tmp_path: Path) -> None:
    text = "def twice(x):\n    return 2 * x\n\n\ndef victim(word, oldest, ways, line):\n    return twice(word) % ways\n"
    check_compiles(policy_set({"replacement": [written(tmp_path, text)]}), None, None)


# ---- results depend on it


def test_an_edit_changes_what_a_result_depends_on(tmp_path: Path) -> None:
    from microbench import kernel, op, trace

    measured = trace(kernel([op("NOP")]))
    path = written(tmp_path, SCHEDULER)
    config = load_config("a6000", [f"{KEY}={path}"])
    before, key = fingerprint(measured, config), policy_set({"scheduler": [path]}).key
    written(tmp_path, SCHEDULER.replace("-1", "0"))
    assert fingerprint(measured, config) != before
    assert policy_set({"scheduler": [path]}).key != key


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_of_packaged_policies_are_their_places(kind: str, tmp_path: Path) -> None:
    policies = policy_set({})
    assert [policies.number(kind, name) for name in built_in(kind)] == list(range(len(built_in(kind))))
