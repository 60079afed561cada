"""Files appear whole or not at all, and what went wrong is said as what it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ssl_ecg.errors import UserError
from ssl_ecg.files import replacing, write_text


def failing(path: Path, error: Exception) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


def test_a_failed_block_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "before")
    with pytest.raises(KeyError):
        failing(tmp_path / "x", KeyError())
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_only_writing_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*x: No such file"):
        write_text(tmp_path / "no" / "x", "")
    with pytest.raises(UserError, match=r"cannot write .*x: No space"):
        failing(tmp_path / "x", OSError(errno.ENOSPC, "No space left on device"))  # as `write` raises it
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot write .*folder"):
        write_text(tmp_path / "folder", "")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO])
def test_an_error_of_what_the_block_reads_is_passed_on(number: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="input") as caught:
        failing(tmp_path / "x", OSError(number, "no input", str(tmp_path / "input")))
    assert not isinstance(caught.value, UserError)
    assert not list(tmp_path.iterdir())


def test_two_writers_of_one_file_never_share_a_temporary_one(tmp_path: Path) -> None:
    with replacing(tmp_path / "x") as one, replacing(tmp_path / "x") as other:  # two nodes may have equal process ids
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "x").read_text() == "one"


def test_files_have_the_mode_that_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "x", "")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
