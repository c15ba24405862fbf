"""What the packages must hold and ask for: every module, every data file, the demo's trace, and nothing that is not used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpusim import resources
from gpusim.inputs import find_trace

ROOT = Path(__file__).resolve().parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETTINGS = METADATA["project"], METADATA["tool"]["setuptools"]
IMPORTED_AS = {"pyyaml": "yaml", "pyelftools": "elftools"}
"""Distributions whose module has another name."""
TOOLS = {
    "nvidia-cuda-nvrtc": "libnvrtc.so",
    "nvidia-cuda-nvdisasm": "nvdisasm",
    "nvidia-cuda-runtime": "cuda_fp16.h",
    "nvidia-cuda-crt": "mma.h",
    "nvidia-cuda-nvcc": "nvcc",
    "nvidia-cuda-cccl": "nv/target",
}
"""Distributions without a module, and what gpusim/sass/toolchain.py looks for in each."""
OF_NVCC = {"nvidia-nvvm", "nvidia-cuda-profiler-api"}
"""What nvcc itself looks for, and headers in its folder that programs include."""
BY_SETUPTOOLS = {"LICENSE", "MANIFEST.in", "README.md", "gpusim", "pyproject.toml"}
"""What a source distribution holds without being told."""


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


def module_of(requirement: str) -> str:
    name = name_of(requirement)
    return IMPORTED_AS.get(name, name.replace("-", "_"))


def imports(folder: Path) -> set[str]:
    """Top-level modules that the Python files below a folder import, at the top of a file or within."""

    def of(tree: ast.AST) -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield str(node.module)

    return {name.split(".")[0] for path in folder.rglob("*.py") for name in of(ast.parse(path.read_text()))}


# ------------------------------------------------------------------------------------------ what is asked for


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *(each for name, extra in extras.items() if name != "dev" for each in extra)]
    declared = {module_of(each) for each in asked if name_of(each) not in {*TOOLS, *OF_NVCC}}
    assert declared == imports(ROOT / "gpusim") - sys.stdlib_module_names - {"gpusim"}


def test_tools_without_a_module_are_looked_for():
    sass, cuda = ({name_of(each) for each in PROJECT["optional-dependencies"][name]} for name in ("sass", "cuda"))
    assert sass < cuda
    assert cuda - {"pyelftools"} == {*TOOLS, *OF_NVCC}
    looks = (ROOT / "gpusim" / "sass" / "toolchain.py").read_text()
    assert [file for file in TOOLS.values() if file not in looks] == []


def test_what_developers_install_is_used():
    words = set(re.findall(r"[\w-]+", (ROOT / "Makefile").read_text())) | imports(ROOT / "tests")
    core = {name_of(each) for each in PROJECT["dependencies"]}
    for name in map(name_of, PROJECT["optional-dependencies"]["dev"]):
        stubs_of = name.removeprefix("types-").removesuffix("-stubs")
        assert name in words or stubs_of in core - {name}, name


def test_the_bounds_of_numba_name_what_they_guard():
    lines = (ROOT / "pyproject.toml").read_text().split('"numba>=')[0].splitlines()
    comment = " ".join(line.strip(" #") for line in lines[-5:])
    hooks = ("_nrt", "fix_integer_index", "get_call_template", "mangling_args", "_final_module", "_linking_libraries")
    hooks += ("_get_module_for_linking", "_optimize_final_module", "no_compile", "make_function", "_numba_type_")
    source = "".join((ROOT / "gpusim" / name).read_text() for name in ("jit.py", "compiler.py", "linking.py"))
    assert [hook for hook in hooks if hook not in comment or source.count(hook) < 2] == []


def test_the_oldest_numba_is_the_one_that_is_tested():
    (bound,) = (each for each in PROJECT["dependencies"] if name_of(each) == "numba")
    oldest = re.match(r"numba>=([\d.]+),<", bound)[1]
    command = ["make", "--no-print-directory", "--dry-run", "-C", ROOT, "test-numba-oldest"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"'numba=={oldest}'" in done.stdout


# ------------------------------------------------------------------------------------------ what is shipped


def test_every_package_is_listed():
    found = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in ROOT.glob("gpusim/**/*.py")}
    assert found == {name for name in SETTINGS["packages"] if name not in SETTINGS["package-dir"] or name == "gpusim"}
    assert len(SETTINGS["packages"]) == len(set(SETTINGS["packages"]))


def test_mapped_folders_exist_and_all_their_files_travel():
    assert set(SETTINGS["package-dir"]) == set(SETTINGS["package-data"])
    for package, patterns in SETTINGS["package-data"].items():
        folder = ROOT / SETTINGS["package-dir"][package]
        files = {path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
        assert files
        assert files == {path for pattern in patterns for path in folder.glob(pattern)}


def test_files_beside_modules_travel():
    patterns = SETTINGS["package-data"]["gpusim"]
    others = {p for p in (ROOT / "gpusim").rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc", ".pyo"}}
    assert others == {path for pattern in patterns for path in (ROOT / "gpusim").glob(pattern)}
    assert ROOT / "gpusim" / "py.typed" in others


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_the_source_distribution_holds_everything():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    words = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines() if line[:1] not in ("", "#")]
    named = {name for command, *names in words if command in ("graft", "include") for name in names}
    assert {Path(file).parts[0] for file in listed.stdout.splitlines()} == named | BY_SETUPTOOLS


def test_data_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (resources.find("isa") / "sm_86.yaml").is_file()
    assert (resources.find("configs") / "a6000.yaml").is_file()
    assert find_trace("traces/ampere/sgemm") == find_trace("ampere/sgemm")


def test_files_that_the_readme_names_exist():
    named = set(re.findall(r"`([\w./-]+/[\w.-]*)`", (ROOT / "README.md").read_text()))
    assert "gpusim/model/issue.py" in named
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == ["ampere/sgemm"]
