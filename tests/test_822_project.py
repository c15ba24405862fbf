"""The project's own files: workflows and forms that hold together, the citation, and examples that run as printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from microbench import kernel, op, trace

import gpusim
from gpusim import yamlfile
from gpusim.config import load_config
from gpusim.model.setup.simulate import KernelRun, RunOptions

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = ("run", "trace", "config", "compare", "validate", "sweep", "doctor", "warm", "bench")


def read(path: Path) -> Any:
    document = yamlfile.read(path)
    document.check()
    return document.values


def targets() -> set[str]:
    """Targets of the Makefile that a user may name."""
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(phony.replace("\\\n", " ").split())


def blocks(text: str, language: str) -> list[str]:
    """What stands in a page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# ------------------------------------------------------------------------------------------ tests


def test_no_two_test_files_share_a_number():
    numbers = Counter(path.name.split("_")[1] for path in ROOT.glob("tests/test_*.py"))
    assert [number for number, count in numbers.items() if count > 1] == []
    hundreds = set(re.findall(r"^\| (\d)xx \|", (ROOT / "tests" / "README.md").read_text(), re.MULTILINE))
    assert hundreds == {number[0] for number in numbers}


# ------------------------------------------------------------------------------------------ hosted checks


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_names_jobs_targets_and_matrix_entries_that_exist(path):
    workflow = read(path)
    assert set(workflow) >= {"name", "on", "permissions", "jobs"}
    for name, job in workflow["jobs"].items():
        assert set(job) <= {"needs", "runs-on", "strategy", "steps"}, name
        assert job.get("needs", name) in workflow["jobs"]
        matrix = job.get("strategy", {}).get("matrix", {})
        rows = matrix.get("include", [{key: value for key, values in matrix.items() for value in values}])
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            used = set(re.findall(r"\$\{\{ matrix\.(\w+) \}\}", str(step)))
            assert all(used <= set(row) for row in rows), (name, step)
            for row in rows if step.get("run", "").startswith("make") else ():
                command = re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda found, row=row: row[found[1]], step["run"])
                asked = [word for word in shlex.split(command)[1:] if "=" not in word]
                assert set(asked) <= targets(), command


def test_the_suite_runs_on_every_python_that_the_package_names():
    (matrix,) = (read(path)["jobs"]["tests"]["strategy"]["matrix"] for path in WORKFLOWS if path.stem == "ci")
    named = [line.rsplit(" ")[-1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert matrix["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_complete(path):
    form = read(path)
    assert set(form) == {"name", "description", "title", "body"}
    names = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len(names) == len(set(names)) > 0
    for element in form["body"]:
        assert set(element) <= {"type", "id", "attributes", "validations"}
        assert element["type"] in ("markdown", "input", "textarea")
        assert element["attributes"]["value" if element["type"] == "markdown" else "label"]
    for command in re.findall(r"`gpusim ([a-z]+)", path.read_text()):
        assert command in COMMANDS


def test_there_is_a_form_for_each_kind_of_report():
    assert [path.stem for path in FORMS] == ["bug", "cycles", "opcode"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", ".github/pull_request_template.md", "README.md"])
def test_targets_and_links_of_a_page_exist(page):
    text = (ROOT / page).read_text()
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_template_names_files_that_exist():
    named = re.findall(r"`([\w./-]+/[\w./-]*|[A-Z]+\.md)`", (ROOT / ".github/pull_request_template.md").read_text())
    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []


# ------------------------------------------------------------------------------------------ citation


def test_the_citation_is_of_this_version():
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (PROJECT["name"], gpusim.__version__)
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert f"(c) 2026, {PROJECT['authors'][0]['name']}" in (ROOT / "LICENSE").read_text()
    (paper,) = citation["references"]
    assert paper["url"].endswith("2503.20481")


# ------------------------------------------------------------------------------------------ examples


def test_the_example_of_contributing_runs_as_printed(tmp_path):
    (policy,) = blocks(CONTRIBUTING, "python")
    (script,) = blocks(CONTRIBUTING, "sh")
    (name,) = re.findall(r"save it as `(\w+\.py)`", CONTRIBUTING)
    (tmp_path / name).write_text(policy)
    (tmp_path / "traces").symlink_to(ROOT / "traces")
    lines = [shlex.split(line) for line in script.splitlines()]
    assert [words[:2] for words in lines] == [["gpusim", "run"], ["gpusim", "sweep"]]
    for words in lines:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (speed_up,) = re.findall(r"speed-up of ([\d.]+) over LRU", CONTRIBUTING)
    (row,) = (line for line in done.stdout.splitlines() if name in line and "mean" not in line and "," in line)
    assert row.split()[-1] == speed_up


POLICIES = {
    "two_level.py": "sm.sub_core.issue.scheduler",
    "discontinuity.py": "sm.sub_core.fetch.prefetcher",
    "extending.md": "sm.sub_core.issue.scheduler",
}


def test_every_example_of_a_policy_is_known():
    assert {path.name for path in ROOT.glob("examples/policies/*.py")} == set(POLICIES) - {"extending.md"}


@pytest.mark.parametrize("example", POLICIES)
def test_examples_of_policies_compile(example, tmp_path):
    path = ROOT / "examples" / "policies" / example
    if example.endswith(".md"):
        path = tmp_path / "example.py"
        (text,) = blocks((ROOT / "docs" / example).read_text(), "python")
        path.write_text(text)
    config = load_config("a6000", ["sms=1", f"{POLICIES[example]}={path}"])
    KernelRun(trace(kernel([op("NOP")])).launches[0], config, RunOptions(), set())


def test_examples_of_policies_run_in_one_command_however_it_is_simulated(tmp_path):
    """From the checkout, as a user would: the files are named by their paths from where the command runs."""

    def cycles(*arguments: str) -> int:
        command = [
            sys.executable,
            "-m",
            "gpusim",
            "run",
            "--config",
            "a6000",
            "traces/ampere/bigcode",
            "--set",
            "sms=2",
        ]
        output = tmp_path / "result.json"
        done = subprocess.run(
            [*command, *arguments, "--output", str(output)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        (kernel,) = json.loads(output.read_text())["kernels"]
        return kernel["cycles"]

    own = ["--set", "fetch.prefetcher=./examples/policies/discontinuity.py"]
    own += ["--set", "issue.scheduler=./examples/policies/two_level.py"]
    found = cycles(*own)
    assert found != cycles()
    assert found == cycles(*own, "--no-skip") == cycles(*own, "--threads", "2") == cycles(*own, "--window", "13")
