"""The cache of compiled code: what is damaged, planted or unusable costs a compilation and a line, never the run."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import importlib.util
import os
import pickle
import stat
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from microbench import kernel, op

from gpusim import codecache, compiling, jit, objectcode
from gpusim.cli import doctor, warm
from gpusim.cli import main as cli
from gpusim.codecache import MAGIC, SUFFIX
from gpusim.inputs import load_source

SOURCE = "def add_one(value):\n    return value + 1\n"
NAME = "gpusim.hazards.tiny"
pytestmark = pytest.mark.skipif(not jit.JIT, reason="needs the compiler")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(scope="module")
def function(tmp_path_factory):
    return load(tmp_path_factory.mktemp("source"), SOURCE)


@pytest.fixture(scope="module")
def loaded_tuple(tmp_path_factory):
    """A function of a tuple with names, and what makes one."""
    source = "def total(both):\n    return np.int64(both.first.sum()) + np.int64(both.second.sum())\n"
    return load(tmp_path_factory.mktemp("source"), f"import numpy as np\n{source}", "total"), namedtuple(
        "Both", ["first", "second"]
    )


def load(folder: Path, source: str, name: str = "add_one"):
    """A function of a module of its own, which passes for one of gpusim's."""
    path = folder / "tiny.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(NAME, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


class Silent:
    """A notice that counts compilations."""

    count = 0

    def begin(self, what: str, expected: str) -> None:
        self.count += 1

    def end(self) -> None: ...


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No note was given yet, and no root was looked for; the user's own cache folder is below tmp_path."""
    monkeypatch.setattr(codecache, "_said", set())
    monkeypatch.setattr(compiling.CLOCK, "notice", Silent())
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


def call(function, folder: Path | None, argument=41, result=42) -> bool:
    """Let an entry that was never used compute; returns whether it found its code."""
    before = compiling.CLOCK.notice.count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit, "cache_folder", lambda part: folder)
        assert jit.kernel(function)(argument) == result
    return compiling.CLOCK.notice.count == before


def stored(function, folder: Path) -> Path:
    assert not call(function, folder)
    (path,) = folder.glob(f"*{SUFFIX}")
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> bytes:
    """A file with right checksum and name whose code adds two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling.CLOCK, "notice", Silent())
        folder = tmp_path_factory.mktemp("plant")
        folder.chmod(0o700)
        assert not call(load(folder, SOURCE.replace("+ 1", "+ 2")), folder, 41, 43)
        (path,) = folder.glob(f"*{SUFFIX}")
        return path.read_bytes()


def sealed(body: bytes) -> bytes:
    """A file with a right checksum."""
    return MAGIC + hashlib.sha256(body).digest() + body


# ------------------------------------------------------------------------------------------ files


def test_code_is_found_again_and_is_the_users_alone(function, folder, capfd):
    path = stored(function, folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert call(function, folder)
    assert sorted(os.listdir(folder)) == [".lock", path.name]
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
        lambda data: sealed(b""),
        lambda data: sealed(b"\x80\x05garbage"),
        lambda data: sealed(b"[1, 2, 3]\n"),
        lambda data: sealed(b'{"symbol": 3}\n'),
        lambda data: sealed(b'{"symbol": "add_one"}\nno object code'),
        lambda data: sealed(b'{"symbol": "absent"}\n' + data.partition(b"\n")[2].partition(b"\n")[2]),
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
    assert sorted(os.listdir(folder)) == [".lock", path.name, f"{path.name}.broken"]


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
def test_a_planted_file_is_not_run(function, folder, planted, capfd, mode):
    path = stored(function, folder)
    path.write_bytes(planted)
    path.chmod(mode)
    assert not call(function, folder)
    assert "may be written by others" in capfd.readouterr().err
    path.write_bytes(planted)  # the plant itself works
    assert call(function, folder, 41, 43)


def test_a_planted_file_without_a_checksum_is_not_run(function, folder, planted):
    path = stored(function, folder)
    body = planted[len(MAGIC) + 32 :]
    for data in (body, MAGIC + body, MAGIC + bytes(32) + body):
        path.write_bytes(data)
        assert not call(function, folder)


@needs_root
def test_a_file_of_another_user_is_not_run(function, folder, planted, capfd):
    path = stored(function, folder)
    path.write_bytes(planted)
    os.chown(path, 65534, 65534)
    assert not call(function, folder)
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
    assert os.listdir(folder) == [".lock"]


def test_without_a_folder_it_compiles_and_keeps_nothing(function):
    assert not call(function, None)


def test_the_kinds_of_arguments_tell_versions_apart(loaded_tuple, folder):
    function, tuple_of = loaded_tuple
    kinds = [
        tuple_of(np.arange(5), np.ones(3)),
        tuple_of(np.arange(5, dtype=np.int32), np.ones(3)),
        tuple_of(np.arange(10)[::2], np.ones(3)),
        tuple_of(np.arange(6).reshape(3, 2), np.ones(3)),
        tuple_of(np.zeros(5, [("a", "i8")])["a"], np.ones(3)),
        tuple_of(np.zeros(4, [("a", "i8"), ("b", "i8")])["b"], np.ones(3)),
    ]
    for number, each in enumerate(kinds):
        assert call(function, folder, each, int(each[0].sum()) + 3) is (number >= 4)  # like the first and the third
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 4


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
from gpusim import compiling, jit
jit.SHIPPED = Path(os.environ.get("SHIPPED", "/nowhere"))
spec = importlib.util.spec_from_file_location("gpusim.hazards.tiny", Path(sys.argv[1]))
module = importlib.util.module_from_spec(spec)
sys.modules["gpusim.hazards.tiny"] = module
spec.loader.exec_module(module)
compiled = jit.kernel(module.add_one)
assert compiled(41) == 42
print("numba" in sys.modules, compiling.CLOCK.total > 0, os.environ.get("GPUSIM_CACHE_DIR"), flush=True)
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


def test_of_two_cold_processes_one_compiles_and_the_other_waits(process, tmp_path):
    both = [process(GPUSIM_CACHE_DIR=str(tmp_path / "c")) for _ in range(2)]
    found = []
    for each in both:
        out, err = each.communicate()
        assert each.returncode == 0
        found.append(out.split()[1])
        assert ("compiling the hazard checker, once" in err) is (found[-1] == "True")
    assert sorted(found) == ["False", "True"]
    third = process(GPUSIM_CACHE_DIR=str(tmp_path / "c"))
    assert third.communicate() == (f"False False {tmp_path / 'c'}\n", "")


def test_who_waits_for_another_process_says_so(process, tmp_path):
    process(GPUSIM_CACHE_DIR=str(tmp_path / "c")).communicate()
    (lock,) = (tmp_path / "c").rglob(".lock")
    (code,) = lock.parent.glob(f"*{SUFFIX}")
    hidden = code.rename(tmp_path / "code")
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waits = process(GPUSIM_CACHE_DIR=str(tmp_path / "c"))
        assert waits.stderr.readline() == "gpusim: another process compiles this part; waiting for its code\n"
        hidden.rename(code)
    assert waits.communicate() == (f"False False {tmp_path / 'c'}\n", "")


def test_code_that_the_package_brings_is_used_where_the_user_has_none(process, tmp_path):
    if not objectcode.runs_shipped():
        pytest.skip("no machine for which a wheel brings code")
    ahead = dict(zip((objectcode.CPU_NAME, objectcode.CPU_FEATURES), objectcode.SHIPPED_PROCESSOR))
    process(GPUSIM_CACHE_DIR=str(tmp_path / "ahead"), **ahead).communicate()
    (code,) = (tmp_path / "ahead").rglob(f"*{SUFFIX}")
    shipped = tmp_path / "shipped" / "hazards" / jit.source_hash("hazards") / code.name
    shipped.parent.mkdir(parents=True)
    shipped.write_bytes(code.read_bytes())
    places = {"SHIPPED": str(tmp_path / "shipped"), "GPUSIM_CACHE_DIR": str(tmp_path / "c")}
    assert process(**places, GPUSIM_FORBID_COMPILING="1").communicate() == (f"False False {tmp_path / 'c'}\n", "")
    shipped.write_bytes(code.read_bytes()[:-1])
    out, err = process(**places).communicate()
    assert out == f"True True {tmp_path / 'c'}\n"
    assert f"compiled code {shipped}: is truncated or was changed" in err


def test_where_compiling_is_forbidden_it_is_an_error(process, tmp_path):
    each = process(GPUSIM_CACHE_DIR=str(tmp_path / "c"), GPUSIM_FORBID_COMPILING="1")
    assert "add_one would have to be compiled, and GPUSIM_FORBID_COMPILING is set" in each.communicate()[1]
    assert each.returncode == 1


def test_without_any_usable_root_a_temporary_one_serves_the_run_and_its_children(process, tmp_path):
    (tmp_path / "scratch").mkdir()
    places = {"XDG_CACHE_HOME": "/dev/null/none", "GPUSIM_CACHE_DIR": "/dev/null/none"}
    only = process("child", **places, TMPDIR=str(tmp_path / "scratch"))
    out, err = only.communicate()
    assert only.returncode == 0
    (_, compiled, folder), (_, again, same) = (line.split() for line in out.splitlines())
    assert (compiled, again) == ("True", "False")
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
    from gpusim.emulator import interpreter, trace_log
    from gpusim.hazards import walk
    from gpusim.model import gpu

    for part, module in (("model", gpu), ("emulator", interpreter), ("emulator", trace_log), ("hazards", walk)):
        entries = [value for value in vars(module).values() if isinstance(value, jit.Entry)]
        assert {entry.part for entry in entries} == {part}


def test_a_run_whose_code_is_stored_needs_no_numba(monkeypatch, tmp_path):
    monkeypatch.undo()  # the cache of all tests
    codecache.usable_root.cache_clear()
    source = tmp_path / "k.sass"
    source.write_text(kernel([op("FADD R4, R4, R4", 4)] * 5))
    names = "[name for name in ('numba', 'pandas') if name in sys.modules]"
    script = f"""
import sys
import gpusim
result = gpusim.simulate({str(source)!r}, "a6000", threads=1)
print(result.kernels[0].cycles, {names})
"""
    out = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in "ab"]
    assert out[1].stdout == out[0].stdout.split("[")[0] + "[]\n"


def test_warm_compiles_ahead_what_a_later_run_needs(tmp_path):
    places = {**os.environ, "GPUSIM_CACHE_DIR": str(tmp_path / "c")}
    command = [sys.executable, "-m", "gpusim", "warm", "hazards"]
    first = subprocess.run(command, env=places, capture_output=True, text=True, check=True)
    assert "compiling the hazard checker, once" in first.stderr
    (code,) = (tmp_path / "c").rglob(f"*{SUFFIX}")
    assert code.name.startswith("hazards.walk.check_warps.")
    again = subprocess.run(command, env=places | {jit.FORBIDDEN: "1"}, capture_output=True, text=True, check=True)
    assert again.stderr == ""


def test_the_trace_that_compiles_the_model_ahead_is_the_emulators(tmp_path):
    path = tmp_path / "k.sass"
    path.write_text(doctor.SELF_RUN)
    (ahead,), (executed,) = (each.launches for each in (warm._straight_trace(), load_source(str(path), None, 86)))
    (left,), (right,) = ahead.chunks(), executed.chunks()
    for name, value in vars(left).items():
        assert np.array_equal(value, getattr(right, name)), name
        assert np.asarray(value).dtype == np.asarray(getattr(right, name)).dtype, name
    assert (ahead.grid, ahead.block, ahead.shared_bytes) == (executed.grid, executed.block, executed.shared_bytes)


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
