# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent does for many entries at once is what it would do for each of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .test_agent import STATE, node_with

PERL = {
    "the image's": "",
    "one that can't be run": "#!/nowhere/perl\n",
    "one that gives everything back": "#!/bin/sh\nexec cat\n",
    "one without its modules": """#!/bin/sh
exec /usr/bin/perl -e 'BEGIN { @INC = () } open(F, "<", shift); local $/; my $script = <F>; $/ = "\\n"; eval $script; die $@ if $@' "$1"
""",
}


def pieces(number: int) -> tuple[str, str]:
    """Return a base and a piece that ends without an end of line, or holds anything."""
    return f"image {number}", ("last line" if number % 2 else "\n\ttext\x7f\n")


@pytest.mark.parametrize("perl", sorted(PERL))
@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_pieces_of_many_files_are_joined_byte_by_byte(attachment: str, perl: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {f"/etc/piece {number}": f"{attachment},con" for number in range(12)})
    for number in range(12):
        base, piece = pieces(number)
        node.file(f"image/rootimg/etc/piece {number}", base, 0o600)
        node.file(f"nfs/10.0.0.1/lt/n1/etc/piece {number}", piece)
        node.file(f"nfs/10.0.0.2/common/etc/piece {number}", "third\n")
    node.lay_out()
    if PERL[perl]:
        node.file(f"image/rootimg{tmp_path}/boot1/bin/perl", PERL[perl], 0o755)
    boot = node.boot(STATE, [f"/etc/piece {number}" for number in range(12)])
    assert boot.status == 0, boot.log
    assert set(boot.results.values()) == {("done", "default+1+2", "-")}, boot.log
    wanted = ["".join(pieces(number)) + "third\n" for number in range(12)]
    assert [item["content"] for item in boot.seen.values()] == wanted
    assert {item["mode"] for item in boot.seen.values()} == {"0600"}


def test_pieces_that_were_perhaps_joined_are_not_joined_again(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {f"/etc/piece{number}": "con" for number in range(9)})
    for number in range(9):
        node.file(f"image/rootimg/etc/piece{number}", "image\n")
        node.file(f"nfs/10.0.0.2/common/etc/piece{number}", "level\n")
    node.lay_out()
    node.file(f"image/rootimg{tmp_path}/boot1/bin/perl", "#!/bin/sh\nexit 9\n", 0o755)
    boot = node.boot(STATE)
    assert {result[0] for result in boot.results.values()} == {"failed"}
    assert {result[2] for result in boot.results.values()} == {"its pieces could not be joined: perl ended with 9"}


def test_hard_links_of_a_composed_file_keep_their_own_content(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/a": "tmpfs", "/etc/b": "con", "/etc/c": "tmpfs"})
    node.file("image/rootimg/etc/a", "image\n")
    for name in ("b", "c"):
        os.link(node.root / "etc/a", node.root / "etc" / name)
    node.file("nfs/10.0.0.2/common/etc/b", "level\n")
    node.lay_out()
    seen = node.boot(STATE, ["/etc/a", "/etc/b", "/etc/c"]).seen
    assert [item["content"] for item in seen.values()] == ["image\n", "image\nlevel\n", "image\n"]


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_first_content_comes_with_its_directories_and_stays(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {f"/root/keys/{name}": f"{attachment},persistent" for name in ("a", "b", "none")}
    files |= {"/root/keys/from level": f"{attachment},persistent", "/srv/data/": f"{attachment},persistent"}
    node = node_with(tmp_path, pki, files)
    for name in ("a", "b"):
        node.file(f"image/rootimg/root/keys/{name}", f"{name}\n", 0o600)
    (node.root / "root").chmod(0o700)
    node.file("image/rootimg/srv/data/sub/x", "x\n")
    node.file("nfs/10.0.0.2/common/root/keys/from level", "level\n")
    own = tmp_path / "nfs/10.0.0.1/state/n1"
    node.file("nfs/10.0.0.1/state/n1/.statelite-new/root/keys/half", "cut off\n")
    node.lay_out()
    for source in ("default", "kept"):
        boot = node.boot(STATE, list(files))
        assert boot.status == 0, boot.log
        assert boot.results["/root/keys/a"] == ("done", source, "-")
        contents = [boot.seen[path].get("content") for path in files]
        assert contents == ["a\n", "b\n", "", "level\n", None]
        assert sorted(path.name for path in own.iterdir()) == [".statelite", "root", "srv"]
        assert sorted(path.name for path in (own / "root/keys").iterdir()) == ["a", "b", "from level", "none"]
        assert (own / "root").stat().st_mode & 0o7777 == 0o700
        assert (own / "srv/data/sub/x").read_text() == "x\n"


def test_content_for_a_new_row_comes_into_a_directory_that_the_state_has(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/old": "persistent", "/srv/new": "persistent", "/srv/dir/": "persistent"})
    node.file("image/rootimg/srv/new", "new\n")
    node.file("image/rootimg/srv/dir/x", "x\n")
    node.file("nfs/10.0.0.1/state/n1/srv/old", "kept\n")
    node.file("nfs/10.0.0.1/state/n1/srv/.statelite-new", "cut off\n")
    node.lay_out()
    boot = node.boot(STATE, ["/srv/old", "/srv/new", "/srv/dir/"])
    assert [item.get("content", item.get("list")) for item in boot.seen.values()] == ["kept\n", "new\n", ["x"]]
    assert sorted(path.name for path in (tmp_path / "nfs/10.0.0.1/state/n1/srv").iterdir()) == ["dir", "new", "old"]


def test_more_entries_than_are_collected_at_once_are_all_done(tmp_path: Path, pki: Path) -> None:
    options = ("tmpfs", "bind,tmpfs", "persistent", "bind,persistent", "ro", "con")
    files = {f"/srv/d{number % 7}/f{number}": options[number % 6] for number in range(1100)}
    node = node_with(tmp_path, pki, files)
    for path in files:
        node.file(f"image/rootimg{path}", f"{path}\n")
    node.lay_out()
    boot = node.boot(STATE, list(files))
    assert boot.status == 0, boot.log
    assert list(boot.results) == sorted(files)
    assert {result[0] for result in boot.results.values()} == {"done"}
    assert all(item["content"] == f"{path}\n" for path, item in boot.seen.items())
