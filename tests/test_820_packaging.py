"""What the wheel must hold: every package, every data file, the demo's trace."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import gpusim
from gpusim import resources
from gpusim.inputs import find_trace

ROOT = Path(gpusim.__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout")


@pytest.fixture(scope="module")
def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_is_listed(settings):
    found = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in ROOT.glob("gpusim/**/*.py")}
    assert found == {name for name in settings["packages"] if name not in settings["package-dir"] or name == "gpusim"}


def test_mapped_folders_exist_and_all_their_files_travel(settings):
    for package, patterns in settings["package-data"].items():
        folder = ROOT / settings["package-dir"][package]
        files = {path for path in folder.iterdir() if path.is_file()}
        assert files
        assert files == {path for pattern in patterns for path in folder.glob(pattern)}


def test_data_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (resources.find("isa") / "sm_86.yaml").is_file()
    assert (resources.find("configs") / "a6000.yaml").is_file()
    assert find_trace("traces/ampere/sgemm") == find_trace("ampere/sgemm")


def test_files_that_the_readme_names_exist():
    named = set(re.findall(r"`([\w./-]+/[\w.-]*)`", (ROOT / "README.md").read_text()))
    assert "gpusim/model/issue.py" in named
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == ["ampere/sgemm"]
