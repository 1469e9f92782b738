# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent proves of a root under the kernel word statelite.prove, laid beside what the module node_view_info tells of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.lite.simulate import Simulation, Wish
from ansible_collections.diskless.statelite.tests.lab.proof import Difference, Proof, ProofError, alike, mounts_of, read_of
from ansible_collections.diskless.statelite.tests.lab.proof import differences as all_differences

from .node import Boot, Node
from .predicted import RESOLVER, sight
from .test_agent import NAMES, STATE, node_with
from .test_cases import CASES, NO_PLAN, REFUSED, node_of

RESOLVER_FILE, OF_THE_IMAGE = "/etc/resolv.conf", b"nameserver 10.1.1.1\n"
PROVE = f"{STATE} statelite.prove"


def foretold(node: Node, resolver: bytes | None = RESOLVER) -> dict[str, Any]:
    """Return what the module gives for the node before it boots; it does not know what DHCP will say."""
    seen = Simulation(sight(node), Wish(digest=True, resolver=resolver)).of("n1")
    assert not seen.faults
    return {"tree": seen.rows, "entries": seen.entries}


def differences(told: dict[str, Any], proof: Proof, resolver: bytes = RESOLVER) -> list[Difference]:
    """Lay a proof beside what was foretold, for a node that DHCP told what it tells the nodes of these tests."""
    return all_differences(told, proof, resolver)


def proof_of(boot: Boot) -> Proof:
    return Proof({file.name: file.read_bytes() for file in (boot.work / "proof").iterdir()})


def proved(node: Node, words: str = PROVE) -> tuple[dict[str, Any], Proof]:
    """Foretell a boot, boot, and return both."""
    told = foretold(node)
    boot = node.boot(words)
    assert "not whole" not in boot.log
    return told, proof_of(boot)


def everything(directory: Path) -> list[tuple[str, int, int, int, bytes]]:
    """Return names, modes, times and contents of a tree."""
    found = []
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found.append((str(path), status.st_mode, status.st_mtime_ns, status.st_size if content else 0, content))
    return found


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED and name not in NO_PLAN])
def test_a_recorded_boot_proves_what_is_foretold(name: str, tmp_path: Path, pki: Path) -> None:
    node = node_of(name, tmp_path, pki)
    node.lay_out()
    told, proof = proved(node, "STATEMNT=10.1.0.1:/state statelite.prove")
    assert [str(each) for each in differences(told, proof)] == []
    assert set(proof.rows) == {row["path"] for row in told["tree"] if row["type"] != "absent"}


@pytest.mark.parametrize("said", ["", "nameserver 10.9.9.9\n"], ids=["DHCP is silent", "DHCP speaks"])
@pytest.mark.parametrize("option", ["", "tmpfs", "bind,tmpfs", "ro"])
@pytest.mark.parametrize("path", ["/etc/resolv.conf", "/etc/"])
def test_a_resolver_is_foretold_whatever_dhcp_says(path: str, option: str, said: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {path: option} if option else {})
    node.file(f"image/rootimg{RESOLVER_FILE}", OF_THE_IMAGE.decode())
    node.lay_out()
    node.resolver = said
    for resolver in (None, said.encode()):
        told = foretold(node, resolver)
        proof = proof_of(node.boot(PROVE))
        assert [str(each) for each in differences(told, proof, said.encode() or OF_THE_IMAGE)] == []
        wrong = [(each.path, each.what) for each in differences(told, proof, b"nameserver 10.6.6.6\n")]
        asked = [row for row in told["tree"] if row["path"] == RESOLVER_FILE and row["origin"] == "identity"]
        assert wrong == [(RESOLVER_FILE, "digest") for _row in asked]
        assert bool(asked) or (option, path) != ("", "/etc/")


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_every_name_and_storage_is_proved(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {f"/etc/{storage} {name}": f"{attachment},{storage}" for storage in ("tmpfs", "persistent", "ro", "con") for name in NAMES}
    files |= {f"/srv/{storage} {name}/": f"{attachment},{storage}" for storage in ("tmpfs", "persistent", "ro") for name in NAMES}
    node = node_with(tmp_path, pki, files)
    for path in files:
        node.file(f"image/rootimg{path}" + ("in\tand\nout" if path.endswith("/") else ""), "image\n", 0o640)
    for name in NAMES:
        for path in (f"/etc/ro {name}", f"/etc/con {name}", f"/srv/ro {name}/in {name}"):
            node.file(f"nfs/10.0.0.2/common{path}", "level\n")
    node.lay_out()
    for _boot in range(2):
        told, proof = proved(node)
        assert [str(each) for each in differences(told, proof)] == []
    assert {answer for path, answer in proof.writes.items() if "ro " not in path} == {"written"}
    assert {answer for path, answer in proof.writes.items() if "ro " in path} == {"Read-only file system"}
    assert {row["place"] for row in proof.rows.values()} == {"tmpfs", "persistent", "level"}


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_depths_of_every_storage_are_proved(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {}
    for top in ("tmpfs", "persistent"):
        files[f"/srv/{top}/"] = f"{attachment},{top}"
        for middle in ("tmpfs", "persistent"):
            files[f"/srv/{top}/x/{middle}/"] = f"{attachment},{middle}"
            files |= {f"/srv/{top}/x/{middle}/y/{last}": f"{attachment},{last}" for last in ("tmpfs", "persistent", "ro", "con")}
    node = node_with(tmp_path, pki, files)
    for path in files:
        node.file(f"image/rootimg{path}" + ("other" if path.endswith("/") else ""), f"{path}\n")
    for path in ("/srv/tmpfs/x/tmpfs/y/con", "/srv/persistent/x/tmpfs/y/ro", "/srv/tmpfs/x/persistent/level"):
        node.file(f"nfs/10.0.0.2/common{path}", "level\n")
    node.lay_out()
    told, proof = proved(node)
    assert [str(each) for each in differences(told, proof)] == []
    assert len(proof.writes) == len(files)


def test_what_an_entry_above_brought_is_there_already_for_one_of_its_storage(tmp_path: Path, pki: Path) -> None:
    """The lab found it: the outer entry's copy of the level fills the state where the inner one then finds it."""
    files = {"/srv/tree/": "persistent", "/srv/tree/live/": "tmpfs", "/srv/tree/live/kept/": "persistent"}
    node = node_with(tmp_path, pki, files)
    for path in files:
        (node.root / path.strip("/")).mkdir(parents=True, exist_ok=True)
        node.file(f"nfs/10.0.0.2/common{path}about", f"{path}\n")
    node.lay_out()
    for origin in ("level 2", "kept"):
        told, proof = proved(node)
        assert {row["origin"] for row in told["tree"] if row["path"] == "/srv/tree/live/kept/about"} == {origin}
        assert [str(each) for each in differences(told, proof)] == []


def test_proving_leaves_no_trace(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/kept/": "persistent", "/etc/kept": "persistent", "/srv/level/": "ro", "/srv/image/": "ro"})
    for below in ("nfs/10.0.0.1/state/n1/srv/kept", "nfs/10.0.0.2/common/srv/level", "image/rootimg/srv/image"):
        node.file(f"{below}/x", "content\n")
        os.utime(tmp_path / below, (1, 1))
    node.lay_out()
    node.boot(STATE)
    places = [tmp_path / "nfs", tmp_path / "image"]
    before = [everything(place) for place in places]
    proof = proved(node)[1]
    assert set(proof.writes.values()) == {"written", "Read-only file system"}
    assert [everything(place) for place in places] == before


def test_only_the_word_asks_for_a_proof(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/data/": "tmpfs"})
    node.lay_out()
    assert not (node.boot(f"{STATE} statelite.provexx statelite.debug").work / "proof").exists()
    proved(node, f"{STATE} statelite.prove=1 statelite.debug")


@pytest.fixture(name="boot")
def fixture_boot(tmp_path: Path, pki: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A prediction, and the files of a proof that agrees with it."""
    node = node_with(tmp_path, pki, {"/srv/data/": "tmpfs", "/etc/kept": "persistent", "/etc/level": "link,ro", "/srv/own/": "bind,ro"})
    node.file("image/rootimg/srv/data/x", "x\n", 0o640)
    (node.root / "srv/data/link").symlink_to("x")
    node.file("image/rootimg/srv/own/x", "x\n")
    node.file("nfs/10.0.0.2/common/etc/level", "level\n")
    node.lay_out()
    told = foretold(node)
    boot = node.boot(PROVE)
    files = {file.name: file.read_bytes() for file in (boot.work / "proof").iterdir()}
    assert differences(told, Proof(files)) == []
    return told, files


@pytest.mark.parametrize(
    ("path", "word", "value"),
    [
        ("/srv/data/x", "mode", "0600"),
        ("/srv/data/x", "type", "d"),
        ("/srv/data/x", "digest", "0" * 64),
        ("/srv/data/x", "type", "absent"),
        ("/srv/data/x", "type", "unknown"),
        ("/srv/data/link", "target", "y"),
        ("/srv/data", "origin", "level 1"),
        ("/srv/data", "place", "persistent"),
        ("/etc/kept", "survives", "no"),
        ("/etc/level", "writable", True),
        ("/etc/level", "origin", "level 1"),
        ("/srv/own", "origin", "default"),
        ("/etc/hostname", "origin", "image"),
    ],
)
def test_a_wrong_prediction_of_a_path_is_found(path: str, word: str, value: object, boot: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    told, files = boot
    tree = [{**row, word: value} if row["path"] == path else row for row in told["tree"]]
    found = differences({**told, "tree": tree}, Proof(files))
    assert (path, word) in [(each.path, each.what) for each in found]
    assert {each.path for each in found} == {path}


def test_what_only_one_of_both_knows_is_found(boot: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    told, files = boot
    rest = [row for row in told["tree"] if row["path"] != "/srv/data/x"]
    assert [str(each) for each in differences({**told, "tree": rest}, Proof(files))] == ["/srv/data/x: type foretold nothing, really f"]
    more = [*told["tree"], {**rest[0], "path": "/srv/data/y"}]
    assert [each.path for each in differences({**told, "tree": more}, Proof(files))] == ["/srv/data/y"]
    assert [each.what for each in differences({**told, "entries": told["entries"][1:]}, Proof(files))] == ["entry"]


def test_another_content_or_name_of_the_node_is_found(boot: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    told, files = boot
    renamed = files["plan"].replace(b"hostname\tn1", b"hostname\tn2")
    assert [each.path for each in differences(told, Proof({**files, "plan": renamed}))] == ["/etc/hostname"]
    refused = files["writes"].replace(b"/srv/data\0written", b"/srv/data\0No space left on device")
    assert [each.what for each in differences(told, Proof({**files, "writes": refused}))] == ["a write"]


def test_a_resolver_that_dhcp_did_not_name_is_found(boot: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    told, files = boot
    real, other = (hashlib.sha256(text).hexdigest().encode() for text in (RESOLVER, b"nameserver 10.6.6.6\n"))
    garbage = Proof({**files, "digests": files["digests"].replace(real, other)})
    assert [(each.path, each.what) for each in differences(told, garbage)] == [(RESOLVER_FILE, "digest")]
    nothing = Proof({**files, "digests": files["digests"].replace(real + b"  /etc/resolv.conf\0", b"")})
    assert [(each.path, each.what) for each in differences(told, nothing)] == [(RESOLVER_FILE, "digest")]


def test_a_write_that_nobody_tried_is_found(boot: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    told, files = boot
    entries = sorted(entry["path"] for entry in told["entries"])
    found = differences(told, Proof({**files, "writes": b""}))
    assert [(each.path, each.what, each.real) for each in found] == [(path, "a write", "not tried") for path in entries]
    one = files["writes"].replace(b"/srv/data\0written\0", b"")
    assert [each.path for each in differences(told, Proof({**files, "writes": one}))] == ["/srv/data"]


@pytest.mark.parametrize(
    ("tool", "call"),
    [
        ("cp", "*/.statelite/proof"),
        ("realpath", "-zm*"),
        ("find", "*-maxdepth*"),
        ("find", "*-type f*"),
        ("sha256sum", "*"),
        ("touch", "*proof/times -- /srv/data"),
        ("rmdir", "*/.statelite-probe"),
    ],
)
def test_a_proof_is_whole_only_when_every_step_ended_well(tool: str, call: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/data/": "tmpfs", "/etc/none": "ro"})
    node.lay_out()
    # Where a program of the root comes first in the PATH that the agent has in these tests.
    place = node.root / str(tmp_path / "boot1/bin" / tool).lstrip("/")
    node.file(
        str(place.relative_to(tmp_path)),
        f'#!/bin/sh\ncase "$*" in {call.replace(" ", "?")}) exit 1 ;; esac\nexec /usr/bin/{tool} "$@"\n',
        0o755,
    )
    boot = node.boot(PROVE)
    assert "the proof of the root is not whole" in boot.log
    assert not (boot.work / "proof/whole").exists()


def test_overlays_and_copies_prove_the_same_and_a_difference_is_found(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/data/": "tmpfs", "/srv/other/": "bind,tmpfs"})
    for name, mode in (("data/a b", 0o640), ("data/in/secret", 0o4711), ("other/x", 0o600)):
        node.file(f"image/rootimg/srv/{name}", f"{name}\n", mode)
    os.chown(node.root / "srv/data/in", 1, 2)
    (node.root / "srv/data/link").symlink_to("a b")
    node.lay_out()
    laid = proved(node)[1]
    node.tables["site"].append({"key": "litecopy", "value": "ALL"})
    node.lay_out()
    told, copied = proved(node)
    assert [str(each) for each in differences(told, copied)] == []
    assert [{result[2] for result in proof.results.values()} for proof in (laid, copied)] == [{"overlay"}, {"-"}]
    assert alike(laid, copied, ["/srv/data", "/srv/other"]) == (7, [])
    copied.rows["/srv/data/in"]["owner"] = "0:0"
    del copied.rows["/srv/other/x"]
    assert alike(laid, copied, ["/srv/data"]) == (5, ["/srv/data/in"])
    assert alike(laid, copied, ["/srv/other"]) == (2, ["/srv/other/x"])


def test_a_proof_that_was_cut_short_is_refused(boot: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    _told, files = boot
    with pytest.raises(ProofError, match="not whole"):
        Proof({name: content for name, content in files.items() if name != "whole"})


MOUNTINFO = r"""28 1 0:24 / / ro,relatime - nfs 10.77.0.1:/install/a\040b/rootimg ro,vers=3,nolock
30 28 0:27 / /.statelite rw,relatime - tmpfs statelite rw,size=393216k
31 30 0:24 / /.statelite/image ro,relatime - nfs 10.77.0.1:/install/a\040b/rootimg ro,vers=3,nolock
32 30 0:30 / /.statelite/mnt/10.77.0.1/srv ro - nfs4 10.77.0.1:/srv ro,vers=4.2
"""
STATISTICS = """device 10.77.0.1:/install/a\\040b/rootimg mounted on / with fstype nfs statvers=1.1
\topts:\tro,vers=3
\tbytes:\t10 0 0 0 4096 0 1 0
\tper-op statistics
\t        NULL: 1 1 0 44 24 7 0 7 0
\t        READ: 2 2 0 264 4352 0 1 2 0
device statelite mounted on /.statelite with fstype tmpfs
device 10.77.0.1:/install/a\\040b/rootimg mounted on /.statelite/image with fstype nfs statvers=1.1
\topts:\tro,vers=3
\tbytes:\t10 0 0 0 4096 0 1 0
\tper-op statistics
\t        READ: 2 2 0 264 4352 0 1 2 0
device 10.77.0.1:/srv mounted on /.statelite/mnt/10.77.0.1/srv with fstype nfs4 statvers=1.1
\tbytes:\t0 0 0 0 100 0 0 0
\tper-op statistics
\t        READ: 1 1 0 132 200 0 1 2 0
"""


def test_what_came_over_nfs_is_counted_once_for_each_file_system() -> None:
    mounts = mounts_of(MOUNTINFO)
    assert [mount.readonly for mount in mounts] == [True, False, True, True]
    assert mounts[0].source == "10.77.0.1:/install/a b/rootimg"
    read = read_of(STATISTICS, mounts)
    assert (read.by_read, read.answers) == (4196, 24 + 4352 + 200)
    with pytest.raises(ProofError, match="3 in mountinfo"):
        read_of(STATISTICS, mounts[:3])


ON_A_NODE = (
    MOUNTINFO
    + r"""33 30 0:31 / /.statelite/persistent/n1 rw - nfs4 10.77.0.1:/srv/state/n1 rw,vers=4.2
34 28 0:31 / /srv/kept rw - nfs4 10.77.0.1:/srv/state/n1/srv/kept rw,vers=4.2
35 28 0:30 / /etc/site.d ro - nfs4 10.77.0.1:/srv/etc/site.d ro,vers=4.2
36 28 0:24 / /etc/own ro - nfs 10.77.0.1:/install/a\040b/rootimg/etc/other ro,vers=3
37 28 0:33 / /tmp rw - overlay overlay rw,lowerdir=/.default/tmp
38 28 0:27 /system/hostname /etc/hostname rw - tmpfs statelite rw
39 28 0:6 / /dev rw - devtmpfs devtmpfs rw
40 30 254:0 / /.statelite/localdisk rw - ext4 /dev/vda rw
41 28 254:0 /statelite/n1.0/srv/scratch /srv/scratch rw - ext4 /dev/vda rw
"""
)


@pytest.mark.parametrize(
    ("path", "place", "writable"),
    [
        ("/usr/bin/sh", "image", False),
        ("/etc/own/x", "image", False),
        ("/srv/kept/x", "persistent", True),
        ("/etc/site.d/x", "level", False),
        ("/tmp/x", "tmpfs", True),
        ("/etc/hostname", "tmpfs", True),
        ("/srv/scratch/x", "localdisk", True),
        ("/dev/null", "live", False),
    ],
)
def test_what_a_path_of_a_real_node_lies_on(path: str, place: str, writable: bool) -> None:
    """The kernel shows a part of an NFS file system that is mounted elsewhere by its source, not by its root."""
    files = dict.fromkeys(("results", "tops", "leads", "digests", "writes", "whole"), b"")
    mountstats = "".join(f"device {mount.source} mounted on {mount.point} with fstype {mount.kind}\n" for mount in mounts_of(ON_A_NODE))
    shown = "".join(f"{field}\0" for field in ("f", "644", "root:root", path, "", "w" if writable else "-"))
    files |= {"plan": b"node\tn1\n", "mounts": ON_A_NODE.encode(), "mountstats": mountstats.encode(), "paths": shown.encode()}
    row = Proof(files).rows[path]
    assert (row["place"], row["writable"]) == (place, writable)
