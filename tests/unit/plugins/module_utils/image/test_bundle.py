# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image goes from one site to another in one signed file, and no file that anybody made writes anywhere else."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import verify
from ansible_collections.diskless.statelite.plugins.module_utils.apply.signing import site_keys
from ansible_collections.diskless.statelite.plugins.module_utils.apply.treelist import listed, packed
from ansible_collections.diskless.statelite.plugins.module_utils.apply.withdrawn import withdraw
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.exported import SPEC as EXPORT
from ansible_collections.diskless.statelite.plugins.module_utils.image.exported import plan_export
from ansible_collections.diskless.statelite.plugins.module_utils.image.imported import SPEC as IMPORT
from ansible_collections.diskless.statelite.plugins.module_utils.image.imported import plan_import
from ansible_collections.diskless.statelite.plugins.module_utils.image.unbundle import checked_list
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_manifest import have_key


class Place:
    """A site in a directory, with a key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.site = str(directory / "site.db")
        have_key(directory)
        self.write(site=[{"key": "installdir", "value": str(directory / "install")}])

    def write(self, **rows: list[dict[str, str]]) -> None:
        with open_store(self.site) as store:
            for name, wanted in rows.items():
                store.write(plan_table(TABLES[name], store.tables([name])[name], wanted))

    def rows(self, name: str) -> list[dict[str, str]]:
        with open_store(self.site) as store:
            return store.tables([name])[name]

    def export(self, dest: Path, **options: Any) -> Any:
        params = {name: option.get("default") for name, option in EXPORT.items()}
        return done(plan_export({**params, "image": "compute", "dest": str(dest), "site": self.site, **options}, print))

    def planned(self, src: Path, **options: Any) -> Any:
        params = {name: option.get("default") for name, option in IMPORT.items()}
        return plan_import({**params, "src": str(src), "site": self.site, **options}, print)

    def take(self, src: Path, **options: Any) -> Any:
        return done(self.planned(src, **options))

    def trust(self, other: Place) -> None:
        have_key(self.directory, trusted=[str(other.directory / "pki/image.pem")])

    def files(self) -> set[str]:
        """Return every path of the site but its database and keys."""
        found = {str(path) for path in self.directory.rglob("*")}
        return {path for path in found if "/pki" not in path and "site.db" not in path and "/published" not in path}


def done(plan: Any) -> Any:
    plan.happened = plan.lines()
    foretold = plan.result()
    if plan.happened:
        plan.apply()
    assert plan.result() == foretold
    return plan


def fill(tree: Path) -> None:
    """Make a tree with something of every kind."""
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
    os.chown(tree / "etc/hosts", 7, 8)
    os.link(tree / "etc/hosts", tree / "etc/a-name-before")
    os.link(tree / "etc/hosts", tree / "z-name-after")
    os.symlink("/etc/passwd", tree / "etc/away")
    os.symlink("..", tree / "etc/up")
    os.mkfifo(tree / "pipe", 0o600)
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    program = tree / "ping"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o4755)
    os.setxattr(program, "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.setxattr(program, "user.note", b"kept\0whole")
    with open(tree / "sparse", "wb") as stream:
        stream.truncate(4 << 20)
        stream.seek(2 << 20)
        stream.write(b"in the middle")
    (tree / "with a blank, \u00fc and \udcff").write_text("odd")
    os.utime(tree / "etc", ns=(1, 1_500_000_000_123_456_789))


@pytest.fixture
def tokyo(tmp_path: Path) -> Place:
    place = Place(tmp_path / "tokyo")
    lists = place.directory / "lists"
    lists.mkdir()
    (lists / "compute.pkglist").write_text("#INCLUDE:base.pkglist#\nvim\n")
    (lists / "base.pkglist").write_text("openssl\n")
    place.write(
        osimage=[
            {"imagename": "compute", "osvers": "debian12", "osarch": "x86_64", "profile": "p", "provmethod": "statelite", "groups": "all-c"}
        ],
        linuximage=[{"imagename": "compute", "pkglist": f"{lists}/compute.pkglist,nano", "rootimgdir": str(place.directory / "image")}],
        litefile=[{"image": "ALL", "file": "/etc/hosts", "options": "tmpfs"}, {"image": "all-c", "file": "/var/log/", "options": "tmpfs"}],
        litetree=[
            {"priority": "1", "image": "ALL", "directory": "10.0.0.1:/levels"},
            {"priority": "2", "image": "other", "directory": "/x"},
        ],
    )
    made = Generation(str(place.directory / "image"), 3)
    fill(Path(made.rootimg))
    for name in ("kernel", "initrd-statelite.gz"):
        Path(made.path, name).write_text(name)
    made.write_record({"image": "compute", "packages": {"vim": "9"}, "kernel_version": "6.1", "inputs": {}, "generation": 3})
    publish(made, site_keys(str(place.directory)))
    return place


@pytest.fixture
def london(tmp_path: Path, tokyo: Place) -> Place:
    place = Place(tmp_path / "london")
    place.trust(tokyo)
    return place


@pytest.fixture
def bundle(tmp_path: Path, tokyo: Place) -> Path:
    tokyo.export(tmp_path / "compute.tar.zst")
    return tmp_path / "compute.tar.zst"


def test_a_generation_arrives_as_it_was(tokyo: Place, london: Place, bundle: Path) -> None:
    plan = london.take(bundle, publish=True)
    assert plan.result()["origin"] == {"image": "compute", "id": "3", "key": plan.head.signer}
    here, there = Generation(plan.rootimgdir, 1), Generation(str(tokyo.directory / "image"), 3)
    assert here.rootimgdir == str(london.directory / "install/netboot/debian12/x86_64/p")
    assert list(listed(here.rootimg)) == list(listed(there.rootimg))
    assert os.stat(f"{here.rootimg}/sparse").st_blocks < 100
    assert os.stat(f"{here.rootimg}/etc").st_mtime_ns == 1_500_000_000_123_456_789
    assert Path(here.path, "kernel").read_text() == "kernel"
    assert (here.record()["packages"], here.record()["generation"]) == ({"vim": "9"}, 1)
    assert current(here.rootimgdir) == here
    assert verify(here, site_keys(str(london.directory)), tree=True).document["generation"] == 1


def test_rows_and_lists_come_along_as_the_images_own(london: Place, bundle: Path) -> None:
    london.write(
        litefile=[{"image": "ALL", "file": "/etc/issue", "options": "tmpfs"}, {"image": "new", "file": "/old", "options": "tmpfs"}]
    )
    london.take(bundle, image="new")
    assert london.rows("osimage")[0]["imagename"] == "new"
    assert {(row["image"], row["file"]) for row in london.rows("litefile")} == {
        ("ALL", "/etc/issue"),
        ("new", "/etc/hosts"),
        ("new", "/var/log/"),
    }
    assert [(row["image"], row["directory"]) for row in london.rows("litetree")] == [("new", "10.0.0.1:/levels")]
    linux = london.rows("linuximage")[0]
    assert "rootimgdir" not in linux or linux["rootimgdir"].startswith(str(london.directory))
    named, nano = linux["pkglist"].split(",")
    directory = str(london.directory / "install/custom/imported/new")
    assert (nano, os.path.dirname(named)) == ("nano", directory)
    included = Path(named).read_text().splitlines()[0]
    assert included.startswith(f"#INCLUDE:{directory}/")
    assert Path(included[9:-1]).read_text() == "openssl\n"


def test_a_list_comes_along_that_is_included_by_a_variable_and_one_that_lies_beside_it(tokyo: Place, london: Place, tmp_path: Path) -> None:
    """As when a site's list includes a shipped one, which includes what distributions share."""
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    tokyo.write(osimage=[{**tokyo.rows("osimage")[0], "environvar": f"SHIPPED={shipped}"}])
    (shipped / "compute.pkglist").write_text("#INCLUDE:common#\n")
    (shipped / "common").write_text("openssl\n")
    (tokyo.directory / "lists/base.pkglist").write_text("#INCLUDE:${SHIPPED}/compute.pkglist#\n")
    tokyo.export(tmp_path / "compute.tar.zst")
    london.take(tmp_path / "compute.tar.zst")
    lists = london.directory / "install/custom/imported/compute"
    included = [line for path in lists.iterdir() for line in path.read_text().splitlines() if line.startswith("#INCLUDE")]
    assert len(included) == 3
    assert all(Path(line[9:-1]).parent == lists and Path(line[9:-1]).is_file() for line in included)


def test_a_second_export_and_a_second_import_change_nothing(tokyo: Place, london: Place, bundle: Path) -> None:
    before = bundle.stat().st_mtime_ns
    assert (tokyo.export(bundle).happened, bundle.stat().st_mtime_ns) == ([], before)
    first = london.take(bundle, publish=True)
    second = london.take(bundle, publish=True)
    assert second.happened == []
    assert second.result() == first.result()
    tokyo.write(litefile=[{"image": "ALL", "file": "/etc/motd", "options": "tmpfs"}])
    assert tokyo.export(bundle).happened[0].endswith("replaced, it holds something else")
    assert london.planned(bundle).lines() != []


def test_looking_writes_nothing(london: Place, bundle: Path) -> None:
    before = london.files()
    assert london.planned(bundle).lines()[0].startswith("compute: take compute, generation 3, signed by ")
    assert london.files() == before


def test_a_bundle_is_its_owners_alone(bundle: Path) -> None:
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert list(bundle.parent.glob(".*.part")) == []


def test_a_stranger_is_refused_by_name_before_anything_is_written(tmp_path: Path, bundle: Path) -> None:
    other = Place(tmp_path / "paris")
    before = other.files()
    with pytest.raises(SiteError, match="signed by none of the keys that this site accepts"):
        other.take(bundle)
    assert other.files() == before


def test_a_site_without_a_key_is_refused(tokyo: Place, bundle: Path) -> None:
    for name in ("image.key", "image.pem"):
        (tokyo.directory / "pki" / name).unlink()
    with pytest.raises(SiteError, match="no key"):
        tokyo.take(bundle)
    with pytest.raises(SiteError, match="no key to sign") as refused:
        tokyo.export(tokyo.directory / "nowhere/x", level=25)
    assert [fault.where for fault in refused.value.faults] == ["the site", f"{tokyo.directory}/nowhere/x", "option level"]


def test_a_changed_generation_is_not_exported(tokyo: Place, tmp_path: Path) -> None:
    (tokyo.directory / "image/generations/3/rootimg/etc/hosts").write_text("127.0.0.1 elsewhere\n")
    with pytest.raises(SiteError, match="is not as the signed list has it"):
        tokyo.export(tmp_path / "new.tar.zst")
    assert not (tmp_path / "new.tar.zst").exists()


# What follows is made by people who mean ill, or by a broken disk.

Members = list[tuple[tarfile.TarInfo, bytes]]


def members_of(bundle: Path) -> Members:
    plain = subprocess.run(["zstd", "-dcq", str(bundle)], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return [(one, archive.extractfile(one).read() if one.isreg() else b"") for one in archive.getmembers()]


def written(bundle: Path, members: Members) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one, content in members:
            if one.isreg():
                one.size, one.sparse, one.type = len(content), None, tarfile.REGTYPE
                one.pax_headers = {key: value for key, value in one.pax_headers.items() if not key.startswith("GNU.sparse")}
            archive.addfile(one, io.BytesIO(content))
    subprocess.run(["zstd", "-qf", "-", "-o", str(bundle)], check=True, input=plain.getvalue())


def resigned(tokyo: Place, members: Members, tree: Callable[[list[Any]], list[Any]] = lambda lines: lines) -> Members:
    """Return the members as a trusted site that means ill would sign them, with another list of the tree."""
    lines = tree(list(listed(str(tokyo.directory / "image/generations/3/rootimg"))))
    contents = {one.name: content for one, content in members}
    contents["tree.list.gz"] = packed(lines)
    head = json.loads(contents["bundle.json"])
    for name in head["files"]:
        head["files"][name] = {"sha256": sha256(contents[name]).hexdigest(), "size": len(contents[name])}
    contents["bundle.json"] = json.dumps(head).encode()
    contents["bundle.json.sig"] = site_keys(str(tokyo.directory)).sign(contents["bundle.json"])
    return [(one, contents[one.name] if one.isreg() and "/" not in one.name else content) for one, content in members]


def odd(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", device: tuple[int, int] = (0, 0)) -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, target, 0o4777
    found.devmajor, found.devminor = device
    return found, b"owned\n" if kind == tarfile.REGTYPE else b""


@pytest.mark.parametrize(
    "member",
    [
        odd("rootimg/../../../../owned"),
        odd("../owned"),
        odd("/tmp/statelite-owned"),
        odd("rootimg/etc/away/owned"),
        odd("rootimg/etc/up/../../owned"),
        odd("rootimg/new", tarfile.SYMTYPE, "/etc"),
        odd("rootimg/new", tarfile.LNKTYPE, "/etc/shadow"),
        odd("rootimg/sda", tarfile.BLKTYPE, device=(8, 0)),
        odd("owned"),
        odd("rootimg/etc", tarfile.DIRTYPE),
    ],
)
def test_what_the_signed_list_has_not_is_refused_and_nothing_is_left(london: Place, bundle: Path, member: Any) -> None:
    written(bundle, [*members_of(bundle), member])
    before, above = london.files(), set(os.listdir(london.directory.parent))
    with pytest.raises(SiteError, match="not in the signed list"):
        london.take(bundle)
    assert {path for path in london.files() - before if not path.endswith((".lock", "/generations"))} <= set(parents(london))
    assert set(os.listdir(london.directory.parent)) == above
    assert not os.path.exists("/tmp/statelite-owned")
    assert london.rows("osimage") == []


def parents(place: Place) -> list[str]:
    """Return the directories above the generations, which may stay empty."""
    top = place.directory / "install/netboot/debian12/x86_64/p"
    return [str(path) for path in (top, *top.parents)]


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        (lambda lines: [*lines, ["/../../owned", "f", "644", 0, 0, {}, 6, "0"]], "no tree can have"),
        (lambda lines: [*lines, ["/etc/away/owned", "f", "644", 0, 0, {}, 6, "0"]], "no tree can have"),
        (lambda lines: [*lines, ["/a//b", "d", "755", 0, 0, {}]], "no tree can have"),
        (lambda lines: [*lines, ["relative", "d", "755", 0, 0, {}]], "no tree can have"),
        (lambda lines: [*lines, ["/new", "h", "/etc"]], "nothing that can be made"),
        (lambda lines: [*lines, ["/new", "h", "/../../etc/shadow"]], "nothing that can be made"),
        (lambda lines: [*lines, ["/new", "f", "999999", 0, 0, {}, 1, "0"]], "nothing that can be made"),
        (lambda lines: [*lines, ["/new"]], "nothing that can be made"),
        (lambda lines: lines[1:], "has no root"),
        (lambda lines: [*lines, ["/new", "f", "644", 0, 0, {}, 6, "0"]], "is missing"),
    ],
)
def test_a_hostile_list_of_a_trusted_site_makes_nothing(tokyo: Place, london: Place, bundle: Path, tree: Any, says: str) -> None:
    written(bundle, resigned(tokyo, members_of(bundle), tree))
    with pytest.raises(SiteError, match=says):
        london.take(bundle)
    assert os.listdir(london.directory / "install/netboot/debian12/x86_64/p/generations") == []


@pytest.mark.parametrize("name", ["rows.json", "kernel", "tree.list.gz", "rootimg/etc/a-name-before", "rootimg/ping", "rootimg/sparse"])
def test_a_changed_file_is_refused(london: Place, bundle: Path, name: str) -> None:
    written(bundle, [(one, content[:-1] + b"!" if one.name == name else content) for one, content in members_of(bundle)])
    with pytest.raises(SiteError, match=r"not what was signed|another content than was signed|no list of a tree"):
        london.take(bundle)
    assert london.rows("osimage") == []


@pytest.mark.parametrize("drop", ["bundle.json", "bundle.json.sig", "kernel", "rootimg/etc/up", "rootimg"])
def test_a_missing_member_is_refused(london: Place, bundle: Path, drop: str) -> None:
    written(bundle, [(one, content) for one, content in members_of(bundle) if one.name != drop])
    with pytest.raises((SiteError, FileNotFoundError)):
        london.take(bundle)
    assert london.rows("osimage") == []


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_bundle_that_was_cut_off_is_refused(london: Place, bundle: Path, share: float) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(SiteError):
        london.take(bundle)
    assert london.rows("osimage") == []


def test_a_bundle_chooses_no_place_of_its_own(tokyo: Place, london: Place, tmp_path: Path) -> None:
    row = dict(tokyo.rows("osimage")[0])
    tokyo.write(osimage=[{**row, "osvers": "../../../../owned"}])
    tokyo.export(tmp_path / "odd.tar.zst")
    with pytest.raises(SiteError, match="is no plain name"):
        london.take(tmp_path / "odd.tar.zst")


def test_no_path_of_a_list_leads_below_what_is_no_directory() -> None:
    root = ["/", "d", "755", 0, 0, {}]
    with pytest.raises(SiteError, match="no tree can have"):
        checked_list({"/": root, "/a": ["/a", "l", "777", 0, 0, {}, "/etc"], "/a/b": ["/a/b", "d", "755", 0, 0, {}]}, "x")


@pytest.mark.parametrize("went_back", [True, False])
def test_a_second_import_takes_no_node_back(london: Place, bundle: Path, went_back: bool) -> None:
    directory = str(london.directory / "install/netboot/debian12/x86_64/p")
    before, later = Generation(directory, 1), Generation(directory, 3)
    os.makedirs(before.rootimg)
    london.take(bundle, publish=True)
    assert current(directory) == Generation(directory, 2)
    if went_back:
        withdraw(directory, 2, 1, "no driver for its network card")
    else:
        os.makedirs(later.rootimg)
    publish(before if went_back else later)
    assert london.take(bundle, publish=True).happened == []
    assert current(directory) == (before if went_back else later)
