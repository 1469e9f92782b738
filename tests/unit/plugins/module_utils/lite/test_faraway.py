# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels and state of other servers, mounted for a moment. What stands in for NFS here is a bind mount; tests/guest has the real one."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite import faraway
from ansible_collections.diskless.statelite.plugins.module_utils.lite.faraway import LIST, READ, FarServers, Reader, safe_options
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_node_view import Lab

FAR = "10.0.0.2"
QUICK = {"level_mounts": True, "level_timeout": 1}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.litefile({"/etc/motd": "", "/etc/app/": "", "/var/log/": "persistent"})
    made.file(f"{FAR}/common/etc/motd", "of the level\n")
    made.file(f"{FAR}/common/etc/app/conf", "of the level\n")
    made.file(f"{FAR}/state/n2/var/log/kept", "kept\n")
    return made


@pytest.fixture
def served(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Let mounts of the far server succeed where `wanted` says; give the file with a line for each that was tried."""
    holder, log = tmp_path / "holder", tmp_path / "mounts.log"
    holder.mkdir()
    log.touch()
    monkeypatch.setattr(faraway, "HOLDER", str(holder))

    def serve(refuse: Callable[[str], str | None] = lambda _directory: None) -> Path:
        def command(server: str, directory: str, point: str, options: str) -> list[str]:
            with log.open("a", encoding="utf-8") as stream:
                stream.write(f"{server}:{directory} {options}\n")
            instead = refuse(directory)
            return ["sh", "-c", instead, "sh", point] if instead else ["mount", "--bind", f"{lab.work}/{server}{directory}", point]

        monkeypatch.setattr(faraway, "nfs_mount", command)
        return log

    return serve


def ask(lab: Lab, noderange: str = "compute", **options: Any) -> dict[str, Any]:
    """Ask with the first server seen here, and the far one only by a mount."""
    return lab.ask(noderange, **{"level_paths": {"10.0.0.1:": str(lab.work / "10.0.0.1")}, **QUICK, **options})


def tried(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text(encoding="utf-8").splitlines()]


def commands() -> set[str]:
    """Return the command lines of all processes."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_text(encoding="utf-8", errors="replace"))
    return found


def rows(found: dict[str, Any], node: str = "n1") -> dict[str, dict[str, Any]]:
    group = next(group for group in found["groups"] if node in group["nodes"])
    return {row["path"]: row for row in group["tree"]}


@pytest.mark.parametrize(
    ("written", "reaches"),
    [
        ("vers=4.2,soft,actimeo=60,ro", ["vers=4.2"]),
        ("rw,hard,intr,suid,dev,exec,timeo=600,retrans=9,retry=10000,bg", []),
        ("vers=3, proto=tcp,sec=sys,context=any,addr=10.9.9.9,mounthost=10.9.9.9,fsc", ["vers=3", "proto=tcp", "sec=sys"]),
        ("", []),
    ],
)
def test_of_a_rows_options_only_those_that_reach_its_server_are_taken(written: str, reaches: list[str]) -> None:
    ours = "ro,soft,nolock,nosuid,nodev,noexec,nosharecache,retry=0,retrans=1,timeo=30"
    assert safe_options(written, 15) == ",".join([*reaches, ours])


def test_a_level_and_the_state_of_another_server_are_read(lab: Lab, served: Callable[..., Path]) -> None:
    log = served()
    found = ask(lab, digest=True)
    assert found["groups"] == lab.ask("compute", digest=True)["groups"], "as if it were seen here"
    assert rows(found)["/etc/motd"]["origin"] == "level 2"
    assert rows(found, "n2")["/var/log/kept"]["origin"] == "kept"
    assert sorted(tried(log)) == [f"{FAR}:/common", f"{FAR}:/state"], "one mount a directory, for all nodes"
    assert "ro,soft,nolock,nosuid" in log.read_text(encoding="utf-8")


def test_nothing_stays_mounted_and_nothing_was_to_be_seen(lab: Lab, served: Callable[..., Path], tmp_path: Path) -> None:
    served()
    before = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    ask(lab)
    assert Path("/proc/self/mountinfo").read_text(encoding="utf-8") == before
    assert not list((tmp_path / "holder").iterdir())


def test_a_state_that_only_its_node_may_mount_is_not_guessed(lab: Lab, served: Callable[..., Path]) -> None:
    denied = "echo 'mount.nfs: access denied by server' >&2; exit 32"
    log = served(lambda directory: denied if directory.startswith("/state") else None)
    found = ask(lab)
    row = rows(found)["/var/log"]
    cause = "10.0.0.2:/state can't be mounted here: mount.nfs: access denied by server. Name it in level_paths where it is seen here"
    assert (row["type"], row["reason"]) == ("unknown", f"the state in 10.0.0.2:/state is not known: {cause}")
    assert [group["nodes"] for group in found["groups"]] == [["n1", "n2", "n3", "n4"]], "not known for the same reason"
    assert len(tried(log)) == 6, "the level, the state as a whole, then each node's own"


def test_where_each_nodes_own_state_may_be_mounted_it_is(lab: Lab, served: Callable[..., Path]) -> None:
    served(lambda directory: "exit 32" if directory == "/state" else None)
    assert rows(ask(lab), "n2")["/var/log/kept"]["type"] == "f"


def test_a_state_that_is_an_export_of_its_own_is_not_read_through_the_one_around_it(lab: Lab, served: Callable[..., Path]) -> None:
    """As with NFSv4, where the directory around it shows what this machine may mount and nothing else."""
    crossing = f'mount -t tmpfs around "$1" && mkdir "$1/n2" && mount --bind {lab.work}/{FAR}/state/n2 "$1/n2"'
    log = served(lambda directory: crossing if directory == "/state" else None)
    assert rows(ask(lab, "n2"), "n2")["/var/log/kept"]["origin"] == "kept"
    assert tried(log) == [f"{FAR}:/state", f"{FAR}:/state/n2", f"{FAR}:/common"]


def test_what_can_not_be_read_of_a_state_is_not_taken_for_missing(
    lab: Lab, served: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served()

    def answer(path: str) -> None:
        if path == "/n2/var":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Reader, "serve", failing(answer))
    row = rows(ask(lab, "n2"), "n2")["/var/log"]
    assert (row["type"], row["reason"]) == ("unknown", "10.0.0.2:/state/n2/var can't be read (Permission denied)")


def test_a_server_that_refuses_is_no_missing_level(lab: Lab, served: Callable[..., Path]) -> None:
    served(lambda _directory: "echo 'mount.nfs: mounting failed: No such file or directory'; exit 32")
    found = ask(lab, "n1", state="empty")
    level = found["groups"][0]["levels"][1]
    assert level["status"] == "unknown"
    assert "can't be mounted here: mount.nfs: mounting failed: No such file" in level["message"]
    assert rows(found)["/etc/motd"]["type"] == "unknown"


def test_a_server_that_does_not_answer_costs_its_time_once(lab: Lab, served: Callable[..., Path]) -> None:
    nap = f"600.{os.getpid()}"
    log = served(lambda _directory: f"exec sleep {nap}")
    began = time.monotonic()
    found = ask(lab)
    assert time.monotonic() - began < 300
    assert "10.0.0.2 did not answer within 1 s" in rows(found)["/etc/motd"]["reason"]
    assert len(tried(log)) == 1
    while f"sleep\x00{nap}\x00" in commands():
        assert time.monotonic() - began < 300, "what was to mount it has ended"
        time.sleep(0.02)


@pytest.mark.parametrize(("said", "count"), [("Connection timed out", 1), ("No route to host", 1), ("Connection refused", 3)])
def test_only_a_server_that_is_silent_is_given_up_by_its_mount(lab: Lab, served: Callable[..., Path], said: str, count: int) -> None:
    log = served(lambda _directory: f"echo 'mount.nfs: {said}'; exit 32")
    assert said in rows(ask(lab, "n1"))["/etc/motd"]["reason"]
    assert len(tried(log)) == count, "the state, each node's own, the level"


def failing(answer: Callable[[str], object]) -> Callable[..., Iterator[Any]]:
    """Return a reader whose answers of the far server's files and directories begin with `answer`."""
    real = Reader.serve

    def serve(self: Reader, request: Any) -> Iterator[Any]:
        if request[0] in (LIST, READ):
            answer(request[2])
        yield from real(self, request)

    return serve


def test_a_server_that_dies_under_a_file_is_given_up(lab: Lab, served: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    served()
    monkeypatch.setattr(Reader, "serve", failing(lambda path: time.sleep(600) if path == "/etc/app/conf" else None))
    began = time.monotonic()
    found = rows(ask(lab, "n1", digest=True, state="empty"))
    assert time.monotonic() - began < 300
    row = found["/etc/app/conf"]
    assert (row["type"], row["reason"]) == ("f", "10.0.0.2:/common/etc/app/conf can't be read (10.0.0.2 did not answer within 1 s)")
    assert "digest" not in row
    assert "digest" not in found["/etc/motd"], "the next file of that server is not waited for"


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT])
def test_one_answer_of_a_dead_server_is_enough(
    lab: Lab, served: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path
) -> None:
    served()
    asked = tmp_path / "asked"

    def answer(path: str) -> None:
        with asked.open("a", encoding="utf-8") as stream:
            stream.write(f"{path}\n")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Reader, "serve", failing(answer))
    found = rows(ask(lab, "n1"))
    assert found["/etc/motd"]["type"] == found["/etc/app"]["type"] == "unknown"
    assert os.strerror(number) in found["/etc/motd"]["reason"]
    assert len(asked.read_text(encoding="utf-8").splitlines()) == 1


def test_one_directory_that_is_closed_to_us_is_no_dead_server(
    lab: Lab, served: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served()

    def answer(path: str) -> None:
        if path == "/etc/app":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Reader, "serve", failing(answer))
    found = rows(ask(lab, "n1", state="empty"))
    assert (found["/etc/app"]["type"], found["/etc/motd"]["type"]) == ("unknown", "f")
    assert "Permission denied" in found["/etc/app"]["reason"]


@pytest.mark.parametrize("options", ["", "bind", "ro", "persistent"])
def test_a_directory_in_an_entry_that_can_not_be_read_is_not_shown_as_empty(
    lab: Lab, served: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    served()
    lab.litefile({"/etc/app/": options})
    lab.file(f"{FAR}/common/etc/app/inner/file", "of the level\n")

    def answer(path: str) -> None:
        if path == "/etc/app/inner":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Reader, "serve", failing(answer))
    row = rows(ask(lab, "n1", state="empty"))["/etc/app/inner"]
    assert (row["type"], row["reason"]) == ("unknown", "10.0.0.2:/common/etc/app/inner can't be read (Permission denied)")


def test_without_mount_nfs_the_cause_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(faraway.ENVIRONMENT, "PATH", str(tmp_path))
    assert "this machine has no mount.nfs: install nfs-common" in rows(ask(lab, "n1"))["/etc/motd"]["reason"]


def test_the_real_mount_of_a_server_that_is_none_is_told(tmp_path: Path) -> None:
    """Whatever the kernel here says: that it has no NFS, or that nobody listens."""
    with FarServers(20) as far:
        found = far.mounted("127.0.0.1", str(tmp_path), "vers=4.2,port=9")
    assert isinstance(found, str)
    assert found.startswith(f"127.0.0.1:{tmp_path} can't be mounted here: mount.nfs: ")


def test_mounts_are_made_only_where_they_are_wanted(lab: Lab, served: Callable[..., Path]) -> None:
    log = served()
    found = ask(lab, level_mounts=False)
    assert "10.0.0.2:/common is not seen from here: name it in level_paths" in rows(found)["/etc/motd"]["reason"]
    assert tried(log) == []
    with pytest.raises(SiteError, match="level_timeout: 0 is no time"):
        ask(lab, level_timeout=0)


def test_a_link_of_a_far_level_leads_nowhere_on_this_machine(lab: Lab, served: Callable[..., Path]) -> None:
    served()
    lab.file("secret", "of the management node\n")
    (lab.work / FAR / "common/etc/motd").unlink()
    (lab.work / FAR / "common/etc/motd").symlink_to(f"{lab.work}/secret")
    row = rows(ask(lab, "n1", digest=True))["/etc/motd"]
    assert row["type"] == "l"
    assert "digest" not in row
