"""Files are written whole or not at all, whoever reads, writes or interrupts."""

import os
import stat
import threading

import pytest

from softmaxlib._files import check_outputs, written_whole
from softmaxlib.errors import InvalidInputError


def put(path, content):
    with written_whole(path) as file:
        file.write(content)


def test_readers_and_writers_at_once_see_whole_versions(tmp_path):
    path = tmp_path / "p.json"
    versions = [bytes([65 + index]) * 100_000 for index in range(4)]
    put(path, versions[0])
    seen, faults = set(), []

    def work(own):
        try:
            for _ in range(15):
                put(path, own)
                seen.add(path.read_bytes())
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(own,)) for own in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert seen <= set(versions)
    assert os.listdir(tmp_path) == ["p.json"]


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "known")
    (tmp_path / "victim").write_text("old")
    (tmp_path / ".softmaxlib-known.partial").symlink_to("victim")
    with pytest.raises(FileExistsError):
        put(tmp_path / "out", b"new")
    assert (tmp_path / "victim").read_text() == "old"
    assert not (tmp_path / "out").exists()


def test_names_beside_cannot_be_guessed_and_fit_a_long_target(tmp_path):
    names = set()
    for _ in range(3):
        with written_whole(tmp_path / ("n" * 250)) as file:
            names.add(file.name)
            file.write(b"x")
    assert len(names) == 3
    assert all("partial" in str(name) for name in names)
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_what_the_umask_leaves_and_a_replaced_file_keeps_its_own(tmp_path, umask):
    before = os.umask(umask)
    try:
        put(tmp_path / "new", b"")
        (tmp_path / "old").touch(mode=0o600)
        put(tmp_path / "old", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600


@pytest.mark.parametrize("fault", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_of_what_went_wrong(tmp_path, fault):
    (tmp_path / "out").write_text("old")

    def fail():
        with written_whole(tmp_path / "out") as file:
            file.write(b"half")
            raise fault

    with pytest.raises(fault):
        fail()
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"


def test_a_pipe_is_written_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    put(tmp_path / "pipe", b"through")
    reader.join()
    assert received == [b"through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def other_names(tmp_path):
    """Paths that all lead to ``in``."""
    (tmp_path / "in").write_text("x")
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "folder").mkdir()
    (tmp_path / "around").symlink_to(tmp_path, target_is_directory=True)
    os.link(tmp_path / "in", tmp_path / "hard")
    return ["in", "link", "hard", "./in", "folder/../in", "around/in"]


def test_an_output_that_is_an_input_by_any_name_is_refused(tmp_path):
    for name in other_names(tmp_path):
        output = f"{tmp_path}/{name}"
        with pytest.raises(
            InvalidInputError, match=r"--output would overwrite --policy: .* write to another"
        ):
            check_outputs({"--output": output}, {"the input": None, "--policy": tmp_path / "in"})
        with pytest.raises(InvalidInputError, match=r"--report and --json name the same file, .* its own"):
            check_outputs({"--report": tmp_path / "in", "--json": output}, {})
    check_outputs({"--output": tmp_path / "other", "--json": None}, {"--policy": tmp_path / "in"})
    check_outputs({"--report": "/dev/null", "--json": "/dev/null"}, {"the input": "/dev/null"})
