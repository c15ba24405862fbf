"""The cache of compiled code: what is damaged, planted or unusable costs a compilation and a line, never the run."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

from gpusim import codecache, jit
from gpusim.cli import main as cli
from gpusim.codecache import MAGIC, SUFFIX, KeptCode

SOURCE = "def add_one(value):\n    return value + 1\n"
NAME = "gpusim_tiny_kernel"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(scope="module")
def function(tmp_path_factory):
    yield load(tmp_path_factory.mktemp("source"), SOURCE)
    del sys.modules[NAME]


def load(folder: Path, source: str):
    """A function of a module of its own, which compiled code names."""
    path = folder / f"{NAME}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(NAME, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module.add_one


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No note was given yet, and no root was looked for; the user's own cache folder is below tmp_path."""
    monkeypatch.setattr(codecache, "_said", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GPUSIM_CACHE_DIR", raising=False)
    codecache.usable_root.cache_clear()
    yield
    codecache.usable_root.cache_clear()


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "code"
    path.mkdir(mode=0o700)
    return path


def call(function, folder: Path | None) -> bool:
    """Let a dispatcher that was never used compute; returns whether it found its code."""
    dispatcher = numba.njit(function)
    dispatcher._cache = KeptCode(function, lambda: folder)
    assert dispatcher(41) == 42
    return bool(dispatcher.stats.cache_hits)


def stored(function, folder: Path) -> Path:
    assert not call(function, folder)
    (path,) = folder.glob(f"*{SUFFIX}")
    return path


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def sealed(body: bytes) -> bytes:
    """A file with a right checksum."""
    return MAGIC + hashlib.sha256(body).digest() + body


# ------------------------------------------------------------------------------------------ files


def test_code_is_found_again_and_is_the_users_alone(function, folder, capfd):
    path = stored(function, folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert call(function, folder)
    assert os.listdir(folder) == [path.name]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: data[: len(MAGIC) + 40],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: data[:-100] + bytes(64) + data[-36:],
        lambda data: b"not code at all",
        lambda data: data[len(MAGIC) + 32 :],
        lambda data: pickle.dumps("0.61.0") + pickle.dumps(("stamp", {})),
        lambda data: sealed(b"\x80\x05garbage"),
        lambda data: sealed(pickle.dumps([1, 2, 3])),
        lambda data: sealed(pickle.dumps(None)),
    ],
)
def test_a_damaged_or_foreign_file_is_set_aside_and_compiled_again(function, folder, capfd, damage):
    path = stored(function, folder)
    path.write_bytes(damage(path.read_bytes()))
    assert not call(function, folder)
    err = capfd.readouterr().err
    assert err.startswith(f"gpusim: note: compiled code {path}: ")
    assert err.endswith(f"it is set aside as {path.name}.broken and compiled again\n")
    assert err.count("\n") == 1
    assert call(function, folder)
    assert sorted(os.listdir(folder)) == [path.name, f"{path.name}.broken"]


def test_what_stands_in_the_place_of_a_file_is_set_aside(function, folder, tmp_path):
    path = stored(function, folder)
    good = path.read_bytes()
    (tmp_path / "elsewhere").write_bytes(good)
    for plant in (
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to(tmp_path / "elsewhere"),
        lambda: path.symlink_to(path),
    ):
        path.unlink()
        plant()
        assert not call(function, folder)
        assert path.read_bytes()[: len(MAGIC)] == MAGIC
        assert call(function, folder)


def test_many_damaged_files_are_told_once(function, folder, capfd):
    path = stored(function, folder)
    for _ in range(3):
        path.write_bytes(b"")
        assert not call(function, folder)
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("mode", [0o666, 0o622, 0o620, 0o602])
def test_a_planted_file_is_not_run(function, folder, tmp_path, capfd, mode):
    path = stored(function, folder)
    path.write_bytes(sealed(pickle.dumps(Bomb(tmp_path / "mark"))))
    path.chmod(mode)
    assert not call(function, folder)
    assert not (tmp_path / "mark").exists()
    assert "may be written by others" in capfd.readouterr().err
    path.write_bytes(sealed(pickle.dumps(Bomb(tmp_path / "mark"))))  # the plant itself works
    call(function, folder)
    assert (tmp_path / "mark").exists()


def test_a_planted_file_without_a_checksum_is_not_run(function, folder, tmp_path):
    path = stored(function, folder)
    for body in (pickle.dumps(Bomb(tmp_path / "mark")), MAGIC + bytes(32) + pickle.dumps(Bomb(tmp_path / "mark"))):
        path.write_bytes(body)
        assert not call(function, folder)
        assert not (tmp_path / "mark").exists()


@needs_root
def test_a_file_of_another_user_is_not_run(function, folder, tmp_path, capfd):
    path = stored(function, folder)
    path.write_bytes(sealed(pickle.dumps(Bomb(tmp_path / "mark"))))
    os.chown(path, 65534, 65534)
    assert not call(function, folder)
    assert not (tmp_path / "mark").exists()
    assert "belongs to another user (number 65534)" in capfd.readouterr().err


def test_a_disk_that_is_full_costs_one_line(function, folder, monkeypatch, capfd):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(codecache.os, "replace", full)
    for _ in range(2):
        assert not call(function, folder)
    err = capfd.readouterr().err
    assert err.startswith(f"gpusim: note: cache of compiled code {folder}: cannot be written (No space left on device)")
    assert "name a folder" in err
    assert err.count("\n") == 1
    assert os.listdir(folder) == []


def test_without_a_folder_it_compiles_and_keeps_nothing(function):
    assert not call(function, None)


def test_the_argument_types_and_the_source_tell_versions_apart(function, folder, tmp_path):
    stored(function, folder)
    dispatcher = numba.njit(function)
    dispatcher._cache = KeptCode(function, lambda: folder)
    assert dispatcher(1.5) == 2.5
    assert len(os.listdir(folder)) == 2
    changed = load(tmp_path, SOURCE.replace("1", "2"))
    assert changed.__code__.co_code == function.__code__.co_code
    dispatcher = numba.njit(changed)
    dispatcher._cache = KeptCode(changed, lambda: folder)
    assert dispatcher(1) == 3


def test_recompiling_forgets_the_files(function, folder):
    stored(function, folder)
    KeptCode(function, lambda: folder).flush()
    assert os.listdir(folder) == []


# ------------------------------------------------------------------------------------------ folders


def test_a_new_cache_is_private_from_the_root_down(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path / "a" / "cache"))
    before = os.umask(0o000)
    try:
        found = codecache.part_folder("model", "0123", 4)
    finally:
        os.umask(before)
    assert found == tmp_path / "a" / "cache" / "model" / "0123"
    for folder in (found, found.parent, found.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert capfd.readouterr().err == ""


def untrusted(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def of_the_group(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def foreign(path: Path) -> None:
    path.mkdir()
    os.chown(path, 65534, 65534)


ROOTS = {
    "untrusted": (untrusted, "may be written by others (mode 777)"),
    "of the group": (of_the_group, "may be written by others (mode 770)"),
    "foreign": (foreign, "belongs to another user (number 65534)"),
    "a file": (Path.touch, "is no folder"),
    "a dangling link": (lambda path: path.symlink_to("absent"), "is no folder"),
    "a link to itself": (lambda path: path.symlink_to(path), "is no folder"),
}


@pytest.fixture(params=ROOTS)
def bad_root(request, tmp_path, monkeypatch):
    """A root that cannot be used, named by $GPUSIM_CACHE_DIR, and why."""
    if request.param == "foreign" and os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    make, reason = ROOTS[request.param]
    make(tmp_path / "bad")
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path / "bad"))
    return tmp_path / "bad", reason


def test_a_root_that_cannot_be_used_is_left_alone_with_one_line(bad_root, tmp_path, capfd):
    root, reason = bad_root
    before = root.lstat()
    for _ in range(2):
        assert codecache.usable_root() == tmp_path / "home" / "gpusim"
        assert codecache.part_folder("model", "0123", 4) == tmp_path / "home" / "gpusim" / "model" / "0123"
    assert os.environ["GPUSIM_CACHE_DIR"] == str(tmp_path / "home" / "gpusim")  # for child processes
    err = capfd.readouterr().err
    assert err.startswith(f"gpusim: note: cache of compiled code {root}: {reason}")
    assert "home/gpusim is used instead" in err
    assert "name a folder that only you may write" in err
    assert err.count("\n") == 1
    assert root.lstat().st_mode == before.st_mode
    assert not root.is_dir() or os.listdir(root) == []


def test_doctor_diagnoses_a_root_that_cannot_be_used(bad_root, monkeypatch, capsys):
    root, reason = bad_root
    monkeypatch.setattr("gpusim.cli.doctor._self_run", lambda: True)
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"cache     {root}: NOT USED: {reason}; name a folder" in out


def test_doctor_tells_what_a_good_cache_holds(tmp_path, function, monkeypatch, capsys):
    monkeypatch.setattr("gpusim.cli.doctor._self_run", lambda: True)
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path / "good"))
    folder = codecache.part_folder("model", "0123", 4)
    stored(function, folder).write_bytes(b"")
    call(function, folder)
    assert cli.main(["doctor"]) == 0
    assert (
        f"cache     {tmp_path / 'good'}: 2 files, 0.0 MB, 1 of them broken and set aside\n" in capsys.readouterr().out
    )


def test_doctor_tells_a_folder_in_which_nothing_can_be_written(tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gpusim.cli.doctor._self_run", lambda: True)
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path / "good"))
    monkeypatch.setattr(codecache.tempfile, "TemporaryFile", full)
    assert cli.main(["doctor"]) == 1
    assert "0 files, 0.0 MB: NOT WRITABLE (No space left on device); name a folder" in capsys.readouterr().out


def test_a_part_of_a_trusted_root_that_others_may_write_is_not_used(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path / "good"))
    codecache.part_folder("model", "0123", 4).chmod(0o777)
    assert codecache.part_folder("model", "0123", 4) is None
    assert "may be written by others (mode 777), so nothing is kept in it; remove it" in capfd.readouterr().err


def test_only_the_newest_versions_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path / "good"))
    for number in range(5):
        folder = codecache.part_folder("model", str(number), 3)
        os.utime(folder, (number, number))
    assert sorted(os.listdir(folder.parent)) == ["1", "2", "3", "4"]


SCRIPT = """
import os, sys, importlib.util, subprocess
from pathlib import Path
spec = importlib.util.spec_from_file_location("gpusim.hazards.tiny", Path(sys.argv[1]))
module = importlib.util.module_from_spec(spec)
sys.modules["gpusim.hazards.tiny"] = module
spec.loader.exec_module(module)
from gpusim import compiling, jit
compiled = jit.kernel(module.add_one)
assert compiled(41) == 42
print(bool(compiled.stats.cache_hits), compiling.CLOCK.total > 0, os.environ.get("GPUSIM_CACHE_DIR"), flush=True)
if "child" in sys.argv:
    subprocess.run([sys.executable, sys.argv[0], sys.argv[1]], check=True)
"""


@pytest.fixture
def process(tmp_path):
    """Starts a process that compiles a kernel of its own, and then a child that does the same."""
    (tmp_path / "tiny.py").write_text(SOURCE)
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(*words: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "tiny.py"), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)

    return start


def test_two_cold_processes_end_well_and_leave_the_third_warm(process, tmp_path):
    both = [process(GPUSIM_CACHE_DIR=str(tmp_path / "c")) for _ in range(2)]
    found = []
    for each in both:
        out, err = each.communicate()
        assert each.returncode == 0
        found.append(out.split()[0])
        assert ("compiling the hazard checker, once" in err) is (found[-1] == "False")
    assert "False" in found  # one may have ended before the other looked
    third = process(GPUSIM_CACHE_DIR=str(tmp_path / "c"))
    assert third.communicate() == (f"True False {tmp_path / 'c'}\n", "")


def test_without_any_usable_root_a_temporary_one_serves_the_run_and_its_children(process, tmp_path):
    (tmp_path / "scratch").mkdir()
    places = {"XDG_CACHE_HOME": "/dev/null/none", "GPUSIM_CACHE_DIR": "/dev/null/none"}
    only = process("child", **places, TMPDIR=str(tmp_path / "scratch"))
    out, err = only.communicate()
    assert only.returncode == 0
    (first, compiled, folder), (second, again, same) = (line.split() for line in out.splitlines())
    assert (first, compiled, second, again) == ("False", "True", "True", "False")
    assert folder == same
    assert Path(folder).parent == tmp_path / "scratch"
    assert os.listdir(tmp_path / "scratch") == []
    notes = [line for line in err.splitlines() if "note" in line]
    assert len(notes) == 1
    assert "cannot be used (Not a directory)" in notes[0]
    assert "temporary folder" in notes[0]


def test_importing_leaves_numbas_own_cache_alone(process, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import numba, gpusim.hazards.walk; print(repr(numba.config.CACHE_DIR))"],
        env={**os.environ, "GPUSIM_CACHE_DIR": str(tmp_path / "c"), "NUMBA_CACHE_DIR": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "''"
    assert not (tmp_path / "c").exists()


def test_every_entry_keeps_its_code():
    from gpusim.emulator.interpreter import run_ctas
    from gpusim.emulator.trace_log import rearrange
    from gpusim.hazards import walk
    from gpusim.model import gpu

    entries = [gpu.run_windows, run_ctas, rearrange]
    entries += [value for value in vars(walk).values() if isinstance(getattr(value, "_cache", None), KeptCode)]
    assert len(entries) > 3
    for entry in entries:
        assert isinstance(entry._cache, KeptCode)
        assert Path(entry._cache.cache_path).parent.name in jit.PARTS


PACKAGE = Path(jit.__file__).parent
DECORATORS = {"njit", "inlined", "kernel"}


def names_in(*nodes: ast.AST) -> set[str]:
    return {node.id for top in nodes for node in ast.walk(top) if isinstance(node, ast.Name)}


def compiled_from(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What compiled functions of a module read from other modules of gpusim, themselves or through its constants."""
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gpusim")
        for alias in node.names
    }
    constants = {
        name: node.value for node in tree.body if isinstance(node, ast.Assign) for name in names_in(*node.targets)
    }
    used: set[str] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            marks = {getattr(getattr(each, "func", each), "id", None) for each in function.decorator_list}
            used |= names_in(*function.body) if marks & DECORATORS else set()
    while grown := {name for known in used & constants.keys() for name in names_in(constants[known])} - used:
        used |= grown
    yield from ((name, imported[name]) for name in used & imported.keys())


@pytest.mark.parametrize("part", jit.PARTS)
def test_a_caches_key_covers_every_module_that_its_code_reads(part: str) -> None:
    sources = {path for pattern in (*jit.SHARED, *jit.PARTS[part]) for path in PACKAGE.glob(pattern)}
    assert sources
    missing = set()
    for path in sorted((PACKAGE / part).rglob("*.py")):
        for name, origin in compiled_from(ast.parse(path.read_text())):
            candidates = [origin, origin.rpartition(".")[0]]
            places = [
                PACKAGE.parent / f"{each.replace('.', '/')}{end}"
                for each in candidates
                for end in (".py", "/__init__.py")
            ]
            home = next(place for place in places if place.exists())
            if home not in sources:
                missing.add((path.name, name, origin))
    assert not missing
