# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations are typed, printable and reversible; the journal finishes or takes back; the lock names its holder."""

from __future__ import annotations

import errno
import json
import mmap
import os
import signal
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.journal import Journal
from ansible_collections.diskless.statelite.plugins.module_utils.apply.kinds import KINDS, operation_of
from ansible_collections.diskless.statelite.plugins.module_utils.apply.lock import only_run
from ansible_collections.diskless.statelite.plugins.module_utils.apply.operations import (
    DONE,
    OTHER,
    READY,
    ChangeMode,
    KeepTimes,
    MakeDirectory,
    MakeFile,
    MakeLink,
    Move,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
    WriteText,
)
from ansible_collections.diskless.statelite.plugins.module_utils.apply.outside import PutBack, SetAside
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.images import snapshot


def steps(beside: Path):
    """One operation of each kind, in an order in which all can be carried out."""
    return [
        MakeDirectory("/new", 0o1770, os.getuid(), os.getgid()),
        MakeFile("/new/empty", 0o640),
        MakeLink("/new/link", "../nowhere"),
        Move("/etc/hosts", "/new/hosts"),
        ChangeMode("/etc", 0o700, 0o755),
        WriteText("/new/text", "one\n", None),
        WriteText("/new/text", "two\n", "one\n"),
        SetAside("/etc/old", str(beside), "etc%2Fold"),
        RemoveLink("/etc/link", "hosts"),
        RemoveFile("/etc/empty", 0o644),
        RemoveDirectory("/gone", 0o755, os.getuid(), os.getgid()),
        KeepTimes("/etc", 10**9, 10**9),
    ]


def make_image(base: Path) -> Path:
    """Make the tree that `steps` change."""
    image = base / "image"
    (image / "etc").mkdir(parents=True)
    (image / "gone").mkdir()
    (image / "etc" / "hosts").write_text("hosts", encoding="utf-8")
    (image / "etc" / "old").write_text("old", encoding="utf-8")
    (image / "etc" / "empty").touch(0o644)
    (image / "etc" / "link").symlink_to("hosts")
    return image


@pytest.fixture(name="image")
def image_in_a_directory(tmp_path):
    return make_image(tmp_path)


def test_each_operation_knows_its_state_and_can_be_taken_back(image, tmp_path):
    with Root(str(image)) as root:
        before = {path: item[:3] + item[4:] for path, item in snapshot(image).items()}
        done = []
        for step in steps(tmp_path / "aside"):
            assert step.state(root) in (READY, DONE if isinstance(step, KeepTimes) else READY)
            step.run(root)
            assert step.state(root) == DONE
            assert step.inverse().state(root) in (READY, DONE if isinstance(step, KeepTimes) else READY)
            done.append(step)
        for step in reversed(done):
            step.inverse().run(root)
            assert step.inverse().state(root) == DONE
        assert {path: item[:3] + item[4:] for path, item in snapshot(image).items()} == before


def test_every_kind_is_written_down_and_read_back_the_same(tmp_path):
    told = steps(tmp_path)
    told += [step.inverse() for step in told]
    assert {type(step).__name__ for step in told} == set(KINDS)
    for step in told:
        assert operation_of(json.loads(json.dumps(step.record()))) == step


def test_an_operation_meets_something_else_and_says_so(image):
    with Root(str(image)) as root:
        for step in (
            MakeDirectory("/etc/hosts", 0o755),
            MakeFile("/etc", 0o644),
            MakeLink("/etc/link", "other"),
            RemoveLink("/etc/link", "other"),
            RemoveFile("/etc/hosts", 0o644),
            RemoveDirectory("/etc/hosts", 0o755),
            Move("/etc/hosts", "/etc/old"),
            Move("/nowhere", "/no"),
            ChangeMode("/etc/link", 0o700, 0o777),
            KeepTimes("/nowhere", 0, 0),
            PutBack("/etc/x", "/nowhere", "x"),
        ):
            assert step.state(root) == OTHER


def test_lines_say_what_a_person_has_to_know(tmp_path):
    lines = [step.line() for step in steps(tmp_path / "aside")]
    assert lines[:5] == [
        "create /new/",
        "create /new/empty",
        "link /new/link -> ../nowhere",
        "default /new/hosts (was /etc/hosts)",
        "mode /etc 0700 (was 0755)",
    ]
    assert Move("/new/hosts", "/etc/hosts", "restore").line() == "restore /etc/hosts"
    assert "set aside /etc/old" in lines[7]


def test_a_journal_run_ends_with_no_journal_left(image, tmp_path):
    journal = Journal(str(tmp_path / "journal"))
    with Root(str(image)) as root:
        journal.run(root, steps(tmp_path / "aside"))
        assert journal.pending() is None
        assert os.listdir(journal.directory) == []
        assert journal.recover(root) == 0


def test_what_a_killed_run_left_is_finished_whichever_step_it_was_at(tmp_path):
    for at in range(2 * len(steps(tmp_path))):
        base = tmp_path / str(at)
        image = make_image(base)
        todo = steps(base / "aside")
        if os.fork() == 0:
            with Root(str(image)) as root:
                journal = Journal(str(base / "journal"))
                original = journal._step

                def killed(this, operation, original=original, at=at, todo=tuple(todo)):
                    if todo.index(operation) == at // 2 and at % 2 == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    original(this, operation)
                    if todo.index(operation) == at // 2:
                        os.kill(os.getpid(), signal.SIGKILL)

                journal._step = killed
                journal.run(root, todo)
        _pid, status = os.wait()
        assert os.WTERMSIG(status) == signal.SIGKILL
        with Root(str(image)) as root:
            journal = Journal(str(base / "journal"))
            assert journal.remaining(root) == todo[(at + 1) // 2 :]
            journal.recover(root)
            assert journal.pending() is None
            assert root.listdir("/") == ["etc", "new"]
            assert root.listdir("/new") == ["empty", "hosts", "link", "text"]
            assert root.read("/new/text") == b"two\n"


@pytest.mark.parametrize("failing", [False, True])
def test_where_no_file_can_be_mapped_marks_are_written(failing, image, tmp_path, monkeypatch):
    def refused(*_told):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(mmap, "mmap", refused)
    before = {path: item[:3] + item[4:] for path, item in snapshot(image).items()}
    journal, seen = Journal(str(tmp_path / "journal")), []
    monkeypatch.setattr(journal, "_step", lambda *told, step=journal._step: (seen.append(Path(journal.marks).read_bytes()), step(*told)))
    todo = steps(tmp_path / "aside")[:6]
    with Root(str(image)) as root:
        if failing:
            with pytest.raises(SiteError, match="changed by somebody else"):
                journal.run(root, [*todo, Move("/nowhere", "/no")])
            assert {path: item[:3] + item[4:] for path, item in snapshot(image).items()} == before
        else:
            journal.run(root, todo)
            assert seen == [b"." * done + bytes(len(todo) - done) for done in range(len(todo))]
        assert journal.pending() is None


def test_a_failing_step_takes_the_ones_before_it_back(image, tmp_path):
    before = {path: item[:3] + item[4:] for path, item in snapshot(image).items()}
    journal = Journal(str(tmp_path / "journal"))
    with Root(str(image)) as root:
        with pytest.raises(SiteError, match="changed by somebody else"):
            journal.run(root, [*steps(tmp_path / "aside")[:6], Move("/nowhere", "/no")])
        assert journal.pending() is None
    assert {path: item[:3] + item[4:] for path, item in snapshot(image).items()} == before


def test_a_journal_of_another_version_is_refused_by_name(image, tmp_path):
    (tmp_path / "journal").write_text('{"format": 2, "operations": 0}\n', encoding="utf-8")
    with Root(str(image)) as root, pytest.raises(SiteError, match="journal"):
        Journal(str(tmp_path)).recover(root)


def test_a_second_run_is_refused_and_told_who_is_at_work(tmp_path):
    lock = str(tmp_path / "held" / "lock")
    with only_run(lock, "/the/image"), pytest.raises(SiteError) as refused, only_run(lock, "/the/image"):
        raise AssertionError("two runs at once")
    assert str(refused.value).startswith(f"/the/image: another run is at work on it (process {os.getpid()})")
    with only_run(lock, "/the/image"):
        pass
