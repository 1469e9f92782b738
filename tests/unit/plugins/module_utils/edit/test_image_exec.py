# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What image_exec is asked, what the image's notes say, and what stands in a tree only while something runs in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.edit.guard import POLICY, guarded
from ansible_collections.diskless.statelite.plugins.module_utils.edit.image_exec import SPEC, VERB, command_of, why_not
from ansible_collections.diskless.statelite.plugins.module_utils.edit.notes import NOTES, Edit, add_edit, edits_in
from ansible_collections.diskless.statelite.plugins.module_utils.edit.stage import copied, edited_record
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.mounts import alone


def options(**said: object) -> dict[str, object]:
    return {**{name: option.get("default") for name, option in SPEC.items()}, "image": "tiny", **said}


def image(tmp_path: Path) -> Path:
    for name in ("etc/ssh", "usr/sbin", "var/lib"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/resolv.conf").symlink_to("../run/resolv.conf")
    (tmp_path / "etc/machine-id").write_text("")
    for name in ("etc", "usr/sbin"):
        os.utime(tmp_path / name, (1, 1))
    return tmp_path


def test_every_fault_of_the_options_is_told() -> None:
    with pytest.raises(SiteError) as error:
        command_of(options(command="sh 'open", chdir="etc", creates="x", environment={"A-B": 1}))
    assert [fault.where for fault in error.value.faults] == ["option command", "option chdir", "option creates", "option environment"]


def test_words_of_a_command_are_never_a_shell_line() -> None:
    assert command_of(options(command="echo 'a b' $HOME")).words == ["echo", "a b", "$HOME"]


def test_a_command_is_run_once_unless_it_is_another(tmp_path: Path) -> None:
    root = image(tmp_path)
    said = options(argv=["touch", "/x"])
    command = command_of(said)
    assert why_not(str(root), command, said) == ""
    with Root(str(root)) as tree:
        add_edit(tree, Edit(VERB, "now", command.digest))
    assert why_not(str(root), command, said) == "it was run in this image before"
    assert why_not(str(root), command, {**said, "again": True}) == ""
    other = options(argv=["touch", "/x"], environment={"A": "1"})
    assert why_not(str(root), command_of(other), other) == ""


def test_creates_and_removes_are_looked_for_inside_the_image(tmp_path: Path) -> None:
    root = image(tmp_path)
    (root / "out").symlink_to("/etc/resolv.conf")
    (root / "in").symlink_to("/etc/ssh")
    for path, reason in (("/out", ""), ("/in", "/in exists"), ("/etc/machine-id", "/etc/machine-id exists")):
        said = options(command="true", creates=path)
        assert why_not(str(root), command_of(said), said) == reason
    said = options(command="true", removes="/nothing")
    assert why_not(str(root), command_of(said), said) == "/nothing does not exist"


def test_notes_hold_no_command(tmp_path: Path) -> None:
    root = image(tmp_path)
    command = command_of(options(argv=["login", "--password", "geheim"]))
    with Root(str(root)) as tree:
        add_edit(tree, Edit(VERB, "now", command.digest))
        assert [edit.digest for edit in edits_in(tree)] == [command.digest]
    assert "geheim" not in (root / NOTES.lstrip("/")).read_text()


def test_the_guard_leaves_nothing_behind(tmp_path: Path) -> None:
    root = image(tmp_path)
    host = tmp_path / "resolver"
    host.write_text("nameserver 10.0.0.1\n")
    with guarded(str(root), False, str(host)):
        assert (root / "etc/resolv.conf").read_text() == "nameserver 10.0.0.1\n"
        assert not (root / "etc/resolv.conf").is_symlink()
        assert (root / POLICY.lstrip("/")).read_text().endswith("exit 101\n")
    assert os.readlink(root / "etc/resolv.conf") == "../run/resolv.conf"
    assert sorted(os.listdir(root / "etc")) == ["machine-id", "resolv.conf", "ssh"]
    assert os.listdir(root / "usr/sbin") == []
    assert [os.stat(root / name).st_mtime for name in ("etc", "usr/sbin")] == [1, 1]


def test_what_a_command_puts_in_the_guard_s_place_stays(tmp_path: Path) -> None:
    root = image(tmp_path)
    with guarded(str(root), False, "/nowhere"):
        (root / "etc/resolv.conf").unlink()
        (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    assert os.readlink(root / "etc/resolv.conf") == "../run/systemd/resolve/stub-resolv.conf"
    assert not (root / "etc/.resolv.conf.statelite").exists()


@pytest.mark.parametrize("keep", [False, True])
def test_keys_of_one_machine_stay_only_when_they_are_asked_for(tmp_path: Path, keep: bool) -> None:
    root = image(tmp_path)
    (root / "etc/ssh/ssh_host_rsa_key").write_text("the site's own, shared on purpose")
    with guarded(str(root), keep, "/nowhere"):
        (root / "etc/ssh/ssh_host_ed25519_key").write_text("made by a package")
        (root / "etc/machine-id").write_text("made by a package")
    names = ["ssh_host_ed25519_key", "ssh_host_rsa_key"] if keep else ["ssh_host_rsa_key"]
    assert sorted(os.listdir(root / "etc/ssh")) == names
    assert (root / "etc/machine-id").read_text() == ("made by a package" if keep else "")


def test_a_copy_s_record_keeps_what_the_lists_gave() -> None:
    record = {"generation": 1, "packages": {"a": "1"}, "inputs": {}}
    assert edited_record(record, 2, {"a": "1", "b": "2"}) == {
        "generation": 2,
        "packages": {"a": "1", "b": "2"},
        "offered": {"a": "1"},
        "inputs": {},
    }
    assert edited_record(record, 2, {"a": "1"}) == {**record, "generation": 2}


def test_what_vouches_for_one_generation_is_not_copied() -> None:
    names = ["rootimg", "kernel", "record.json", ".liteimg", "manifest.json", "manifest+1.json.sig", "tree.list.gz", "tree+2.list.gz"]
    assert [name for name in names if copied(name)] == ["rootimg", "kernel", "record.json"]


def test_a_script_stands_on_no_command_line(tmp_path: Path) -> None:
    text = "#!/bin/sh\ncat\necho geheim\n#" + "x" * 200_000
    command = command_of(options(script=text))

    def chroot(_rootimg: str, *words: str) -> list[str]:
        return alone("sh", "-c", 'mount -t tmpfs tmpfs /run && "$@"', "sh", *words)

    assert not any("geheim" in word for word in command.words)
    assert command.run(chroot, str(tmp_path)) == "geheim\n"
    assert command.digest != command_of(options(script=text + "y")).digest
