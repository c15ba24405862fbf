"""Output files: what stands there decides how it is written, and whether it can be is known before the work."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from gpusim.errors import GpusimError
from gpusim.results import files
from gpusim.results.files import OutputFile, output_files, output_folder, replacing

TEXT = "cycles\n42\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and gives files away")
NOBODY = 65534


def write(path: Path | str, text: str = TEXT) -> None:
    with OutputFile(path).open() as file:
        file.write(text)


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def public():
    """A folder that every user can reach, as those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="gpusim-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def as_nobody(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has OutputFile as a user without rights, in `folder`."""
    begin = "import os\nfrom gpusim.results.files import OutputFile\nOutputFile('/dev/null')\n"
    rights = f"os.setgroups([])\nos.setgid({NOBODY})\nos.setuid({NOBODY})\n"
    command = [sys.executable, "-c", begin + rights + script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


# ------------------------------------------------------------------------------------------ regular files


def test_checking_changes_nothing(tmp_path):
    (tmp_path / "old").write_text("old")
    OutputFile(tmp_path / "new")
    OutputFile(tmp_path / "old")
    assert entries(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_new_file_has_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert (tmp_path / "new").read_text() == TEXT


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o660, 0o755, 0o200])
def test_a_file_that_exists_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o600)
    assert path.read_text() == TEXT
    assert entries(tmp_path) == ["r.json"]


@needs_root
def test_a_file_that_exists_keeps_its_owner(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    os.chown(path, NOBODY, NOBODY)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)
    assert path.read_text() == TEXT


@needs_root
def test_a_file_of_another_owner_is_written_where_it_stands(public):
    public.chmod(0o777)
    path = public / "r.json"
    path.write_text("old")
    path.chmod(0o666)
    inode = path.stat().st_ino
    done = as_nobody(public, "with OutputFile('r.json').open() as f: f.write('new')")
    assert done.returncode == 0, done.stderr
    assert (path.read_text(), path.stat().st_ino, path.stat().st_uid) == ("new", inode, 0)
    assert entries(public) == ["r.json"]


def test_every_name_of_a_file_has_the_new_contents(tmp_path):
    (tmp_path / "a").write_text("a much longer text than the new one")
    os.link(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "a")
    assert (tmp_path / "b").read_text() == TEXT
    assert entries(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_symlink_stays_and_its_target_changes(tmp_path, exists):
    (tmp_path / "far").mkdir()
    (tmp_path / "middle").symlink_to("far/target")
    (tmp_path / "link").symlink_to("middle")
    if exists:
        (tmp_path / "far" / "target").write_text("old")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert (tmp_path / "far" / "target").read_text() == TEXT
    assert not (tmp_path / "far" / "target").is_symlink()


def test_a_long_name_has_room_for_its_temporary_file(tmp_path):
    write(tmp_path / ("n" * 250))
    assert entries(tmp_path) == ["n" * 250]


def test_any_text_is_written_as_utf8_whatever_the_locale(tmp_path):
    script = "from gpusim.results.files import replacing\nwith replacing('t') as f: f.write('\\u2265\\udcff\\n')"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "t").read_bytes() == "≥".encode() + b"\xff\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, GpusimError])
def test_what_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "r.json"
    path.write_text("old")
    with pytest.raises(error), OutputFile(path).open() as file:
        file.write("half")
        raise error
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["r.json"]


def test_a_full_disk_is_a_message_and_leaves_the_old_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "r.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    message = r"--output .*r\.json: cannot be written \(No space left on device\); free"
    with pytest.raises(GpusimError, match=message), OutputFile(path, "--output").open() as file:
        file.write("new")
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["r.json"]


def test_a_file_that_cannot_be_replaced_is_written_where_it_stands(tmp_path, monkeypatch):
    def busy(*_):
        raise OSError(16, "Device or resource busy")

    path = tmp_path / "r.json"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", busy)
    write(path)
    assert path.read_text() == TEXT
    assert entries(tmp_path) == ["r.json"]


# ------------------------------------------------------------------------------------------ what is never replaced


@needs_root
def test_a_device_stays_a_device(tmp_path):
    null, full = tmp_path / "null", tmp_path / "full"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    (tmp_path / "link").symlink_to("null")
    write(null)
    write(tmp_path / "link")
    with pytest.raises(GpusimError, match=r"full: cannot be written \(No space left on device\)"):
        write(full)
    assert null.is_char_device()
    assert full.is_char_device()
    assert (tmp_path / "link").is_symlink()
    assert entries(tmp_path) == ["full", "link", "null"]


@needs_root
def test_a_disk_is_refused(tmp_path):
    os.mknod(tmp_path / "disk", 0o666 | stat.S_IFBLK, os.makedev(7, 250))
    with pytest.raises(GpusimError, match="it is a disk"):
        OutputFile(tmp_path / "disk")


def test_a_fifo_is_written_through(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    output = OutputFile(tmp_path / "pipe")
    assert not output.replaced
    with output.open() as file:
        file.write(TEXT)
    reader.join(10)
    assert found == [TEXT]
    assert (tmp_path / "pipe").is_fifo()


def test_a_fifo_whose_reader_leaves_is_a_message(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: (tmp_path / "pipe").open().close())
    reader.start()
    message = r"pipe: cannot be written \(Broken pipe\)"
    with pytest.raises(GpusimError, match=message), OutputFile(tmp_path / "pipe").open() as file:
        reader.join(10)
        file.write("x" * (1 << 20))


@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_a_descriptor_is_written_after_what_it_holds(tmp_path, form):
    kept = tmp_path / "kept"
    with kept.open("w") as file:
        file.write("before\n")
        file.flush()
        path = Path(form.format(file.fileno()))
        if form == "link":
            path = tmp_path / "link"
            path.symlink_to(f"/dev/fd/{file.fileno()}")
        write(path)
        file.write("after\n")
    assert kept.read_text() == f"before\n{TEXT}after\n"


def test_standard_output_that_is_a_file_gets_both_what_is_printed_and_written(tmp_path):
    script = (
        "from gpusim.results.files import OutputFile\nprint('first')\n"
        "with OutputFile('/dev/stdout').open() as f: f.write('second\\n')\nprint('third')"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "first\nsecond\nthird\n"


def test_process_substitution_takes_the_whole_output(tmp_path):
    script = "import sys\nfrom gpusim.results.files import replacing\nwith replacing(sys.argv[1]) as f: f.write('x' * 300000)"
    read, written = os.pipe()
    with subprocess.Popen([sys.executable, "-c", script, f"/dev/fd/{written}"], pass_fds=[written]) as process:
        os.close(written)
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == b"x" * 300000
        assert process.wait() == 0


# ------------------------------------------------------------------------------------------ refused at once


def test_places_where_nothing_can_be_written_are_refused_with_a_remedy(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0o444)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("absent/target")
    for name, reason in (
        ("folder", "it is a folder"),
        ("folder/", "folder's"),
        ("new/", "folder's"),
        ("absent/r.json", "there is no folder"),
        ("nowhere", "there is no folder"),
        ("file/r.json", "Not a directory"),
        ("locked", "write-protected"),
        ("loop", "Too many levels of symbolic links"),
        ("n" * 300, "File name too long"),
    ):
        with pytest.raises(GpusimError) as error:
            OutputFile(f"{tmp_path}/{name}", "--csv")
        message = str(error.value)
        assert message.startswith(f"--csv {tmp_path}/{name}: cannot write here (")
        assert reason in message
        assert "; " in message
    assert entries(tmp_path) == ["file", "folder", "locked", "loop", "nowhere"]
    assert (tmp_path / "locked").read_text() == "x"


@needs_root
@pytest.mark.parametrize(("mode", "accepted"), [(0o555, False), (0o777, True)])
def test_a_folder_without_permission_is_refused(public, mode, accepted):
    public.chmod(mode)
    done = as_nobody(public, "OutputFile('r.json')")
    assert ("Permission denied" in done.stderr) is not accepted
    assert (done.returncode == 0) is accepted


def test_descriptors_that_are_closed_or_only_read_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with (tmp_path / "file").open() as file, pytest.raises(GpusimError, match="for reading only"):
        OutputFile(f"/dev/fd/{file.fileno()}")
    with pytest.raises(GpusimError, match="descriptor 987 is not open"):
        OutputFile("/dev/fd/987")


def test_two_options_may_not_name_one_file(tmp_path):
    (tmp_path / "link").symlink_to("same")
    with pytest.raises(GpusimError, match=r"--json .*link: --csv writes this file"):
        output_files({"--csv": str(tmp_path / "same"), "--json": str(tmp_path / "link"), "--markdown": None})
    assert list(output_files({"--csv": "/dev/null", "--json": "/dev/null", "--output": None})) == ["--csv", "--json"]


def test_a_folder_for_outputs_is_made_and_checked(tmp_path):
    assert output_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(GpusimError, match=r"--output .*: cannot write in this folder"):
            output_folder(path, "--output")


def test_what_becomes_a_folder_meanwhile_is_refused_then(tmp_path):
    output = OutputFile(tmp_path / "r.json")
    (tmp_path / "r.json").mkdir()
    with pytest.raises(GpusimError, match="it is a folder"), output.open() as file:
        file.write(TEXT)


def test_binary_outputs_are_replaced_alike(tmp_path):
    with replacing(tmp_path / "p.png", binary=True) as file:
        file.write(b"\x89PNG\r\n")
    assert (tmp_path / "p.png").read_bytes() == b"\x89PNG\r\n"
    assert files.OutputFile(tmp_path / "p.png").replaced
