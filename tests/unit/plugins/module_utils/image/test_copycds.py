# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Media: told by their own files, copied once, whole or not at all; ISO images made by xorriso."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image import copycds
from ansible_collections.diskless.statelite.plugins.module_utils.image.copycds import read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.image.media import recognise
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

TREEINFO = "[general]\nfamily = {}\nversion = {}\narch = {}\n[media]\ndiscnum = {}\n"
MEDIA = {
    "debian": (
        {".disk/info": 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-1 with firmware 20240210-11:28\n'},
        "debian12",
        "x86_64",
        1,
    ),
    "debian dvd 2": (
        {".disk/info": 'Debian GNU/Linux 12.5.0 "Bookworm" - Official arm64 DVD Binary-2 20240210-11:28'},
        "debian12",
        "aarch64",
        2,
    ),
    "debian netinst": (
        {".disk/info": 'Debian GNU/Linux 13.1.0 "Trixie" - Official amd64 NETINST with firmware 20250906-10:22'},
        "debian13",
        "x86_64",
        1,
    ),
    "ubuntu": ({".disk/info": 'Ubuntu-Server 22.04.4 LTS "Jammy Jellyfish" - Release amd64 (20240216.1)'}, "ubuntu22.04", "x86_64", 1),
    "ubuntu power": ({".disk/info": 'Ubuntu-Server 24.04.1 LTS "Noble Numbat" - Release ppc64el (20240827)'}, "ubuntu24.04", "ppc64le", 1),
    "rocky": ({".treeinfo": TREEINFO.format("Rocky Linux", "9.4", "x86_64", 1)}, "rocky9.4", "x86_64", 1),
    "alma": ({".treeinfo": TREEINFO.format("AlmaLinux", "8.10", "ppc64le", 1)}, "alma8.10", "ppc64le", 1),
    "rhel": ({".treeinfo": TREEINFO.format("Red Hat Enterprise Linux", "9.4.0", "aarch64", 1)}, "rhels9.4", "aarch64", 1),
    "stream": ({".treeinfo": TREEINFO.format("CentOS Stream", "10", "x86_64", 1)}, "centos-stream10", "x86_64", 1),
    "newer treeinfo": (
        {".treeinfo": "[release]\nname = Rocky Linux\nshort = Rocky\nversion = 10.0\n[tree]\narch = s390x\n"},
        "rocky10.0",
        "s390x",
        1,
    ),
    "treeinfo without a minor release": (
        {".treeinfo": TREEINFO.format("CentOS", "7", "x86_64", 1), ".discinfo": "1604001756.0\n7.9\nx86_64\nALL\n"},
        "centos7.9",
        "x86_64",
        1,
    ),
    "broken treeinfo": (
        {".treeinfo": "[general\n", ".discinfo": "1699465204.1\nFedora 40\naarch64\n"},
        "fedora40",
        "aarch64",
        1,
    ),
    "fedora": ({".treeinfo": TREEINFO.format("Fedora", "41", "x86_64", 1)}, "fedora41", "x86_64", 1),
    "discinfo": ({".discinfo": "1699465204.1\nRed Hat Enterprise Linux 7.9\nppc64le\n1,2\n"}, "rhels7.9", "ppc64le", 1),
    "sles": (
        {"media.1/media": "SUSE - SLE-15-SP4-Full-x86_64-Build151.1-Media\nSLE-15-SP4-Full-x86_64-Build151.1\n1\n"},
        "sles15.4",
        "x86_64",
        1,
    ),
    "sles 12": (
        {"content": "CONTENTSTYLE 11\nDISTRO cpe:/o:suse:sles:12:sp5,SLES 12-SP5\nARCH.ppc64le ppc64le noarch\n"},
        "sles12.5",
        "ppc64le",
        1,
    ),
    "sles 12 by its full name": (
        {"content": "CONTENTSTYLE 11\nLABEL SUSE Linux Enterprise Server 12 SP5\nBASEARCHS x86_64\n"},
        "sles12.5",
        "x86_64",
        1,
    ),
    "tumbleweed": (
        {"media.1/media": "openSUSE - openSUSE-20240101-x86_64-Build1-Media\nopenSUSE-20240101\n1\n"},
        "opensuse-tumbleweed",
        "x86_64",
        1,
    ),
    "sles products": ({"media.1/products": "/ SLES 15.5-0\n", "media.1/media": "SUSE\nx86_64\n"}, "sles15.5", "x86_64", 1),
    "leap": (
        {"media.1/products": "/ openSUSE-Leap 15.6-1\n", "media.1/media": "openSUSE - openSUSE-Leap-15.6-DVD-aarch64-Build710.3-Media\n"},
        "opensuse15.6",
        "aarch64",
        1,
    ),
}
DEBIAN = MEDIA["debian"][0][".disk/info"]


@pytest.mark.parametrize("name", MEDIA)
def test_a_medium_is_told_by_its_own_files(name):
    files, osvers, osarch, disc = MEDIA[name]
    medium = recognise(files.get, "medium")
    assert (medium.osvers, medium.osarch, medium.disc) == (osvers, osarch, disc)


@pytest.mark.parametrize(
    "files", [{}, {".disk/info": "Haiku R1"}, {".treeinfo": "[general\n"}, {".treeinfo": TREEINFO.format("Other", "1", "x86_64", 1)}]
)
def test_an_unknown_medium_is_refused_unless_its_name_is_given(files):
    with pytest.raises(SiteError, match="don't tell os"):
        recognise(files.get, "medium")
    assert recognise(files.get, "medium", "other1", "x86_64").osvers == "other1"


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


class Place:
    """A directory with media, an installdir and a site."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.site = directory / "site.db"
        self.install = directory / "install"
        self.install.mkdir()

    def tree(self, title: str = DEBIAN, name: str = "tree") -> Path:
        tree = self.directory / name
        (tree / ".disk").mkdir(parents=True)
        (tree / ".disk/info").write_text(title, encoding="utf-8")
        (tree / "pool").mkdir()
        (tree / "pool/a 'name' \u00e9").write_bytes(os.urandom(5000))
        (tree / "link").symlink_to("pool")
        return tree

    def iso(self, tree: Path) -> Path:
        iso = tree.with_suffix(".iso")
        subprocess.run(
            ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "TEST", "-o", str(iso), str(tree)], check=True, capture_output=True
        )
        return iso

    def plan(self, source: Path, **options):
        given = {"os": None, "arch": None, "dest": None, "profiles": ["compute"], "osimages": True, "replace": False}
        dest = str(self.install / "debian12/x86_64")
        return read_and_plan({**given, "src": str(source), "site": str(self.site), "dest": dest, **options}, print)

    def run(self, source: Path, **options):
        plan = self.plan(source, **options)
        lines = plan.lines()
        if lines:
            plan.apply()
        return lines

    def images(self):
        with open_store(str(self.site)) as store:
            return {name: store.tables()[name] for name in ("osimage", "linuximage")}


def same(one: Path, other: Path) -> bool:
    return subprocess.run(["diff", "-r", "--no-dereference", "-x", copycds.RECORD, str(one), str(other)], check=False).returncode == 0


@pytest.mark.parametrize("form", ["iso", "directory"])
def test_a_medium_is_copied_once_with_its_osimages(place, form):
    tree = place.tree()
    source = place.iso(tree) if form == "iso" else tree
    target = place.install / "debian12/x86_64"
    looked = place.plan(source).lines()
    assert not target.exists()
    assert place.run(source) == looked
    assert same(tree, target)
    images = place.images()
    assert [row["imagename"] for row in images["osimage"]] == [f"debian12-x86_64-{method}-compute" for method in copycds.METHODS]
    assert {row["pkgdir"] for row in images["linuximage"]} == {str(target)}
    assert place.run(source) == []
    assert sorted(os.listdir(target.parent)) == [".copycds.lock", "x86_64"]


@pytest.mark.parametrize("form", ["iso", "directory"])
def test_packages_of_a_medium_are_signed_by_its_own_keys(place, form):
    tree = place.tree()
    for name in ("RPM-GPG-KEY-Rocky-9", "RPM-GPG-KEY-Rocky-9-Testing", "gpg-pubkey-3fa1d6ce-63c9481c.asc"):
        (tree / name).write_text("a key", encoding="utf-8")
    place.run(place.iso(tree) if form == "iso" else tree)
    target = place.install / "debian12/x86_64"
    keys = f"{target}/RPM-GPG-KEY-Rocky-9,{target}/gpg-pubkey-3fa1d6ce-63c9481c.asc"
    assert {row["pkgdir"] for row in place.images()["linuximage"]} == {f"[signed-by={keys}] {target}"}


def test_rows_that_are_there_stay(place):
    tree = place.tree()
    place.run(tree)
    before = place.images()
    with open_store(str(place.site)) as store:
        row = next(row for row in store.tables()["osimage"] if row["provmethod"] == "statelite")
        store.write(plan_table(TABLES["osimage"], store.tables()["osimage"], [{**row, "profile": "mine"}]))
    assert place.run(tree) == []
    assert [row["profile"] for row in place.images()["osimage"]] != [row["profile"] for row in before["osimage"]]


def test_another_medium_at_the_place_is_refused_or_replaced(place):
    place.run(place.tree())
    other = place.tree(DEBIAN.replace("12.5.0", "12.6.0"), "other")
    with pytest.raises(SiteError, match="it holds another medium"):
        place.plan(other)
    assert len(place.run(other, replace=True)) == 1
    assert same(other, place.install / "debian12/x86_64")
    own = place.directory / "own"
    own.mkdir()
    (own / "precious").write_text("kept", encoding="utf-8")
    with pytest.raises(SiteError, match="is no copy of a medium"):
        place.plan(other, dest=str(own), replace=True)
    assert (own / "precious").read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize("step", ["copy", "mkdir", "chmod", "first rename", "second rename"])
def test_a_run_that_is_cut_off_is_finished_by_the_next(place, monkeypatch, step):
    place.run(place.tree())
    other = place.tree(DEBIAN.replace("12.5.0", "12.6.0"), "other")
    plan = place.plan(other, replace=True)
    renames = []

    def cut(*_arguments):
        raise KeyboardInterrupt

    def rename(one, two, *, really=os.rename):
        renames.append(one)
        if len(renames) == {"first rename": 1, "second rename": 2}.get(step):
            raise KeyboardInterrupt
        really(one, two)

    if step == "copy":
        monkeypatch.setattr(plan.source, "copy", cut)
    elif step in ("mkdir", "chmod"):
        monkeypatch.setattr(copycds.os, step, cut)
    else:
        monkeypatch.setattr(copycds.os, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        plan.apply()
    monkeypatch.undo()
    place.run(other, replace=True)
    assert same(other, place.install / "debian12/x86_64")
    assert place.run(other) == []
    assert sorted(os.listdir(place.install / "debian12")) == [".copycds.lock", "x86_64"]


def test_a_further_disc_has_its_own_directory_and_no_osimages(place):
    plan = place.plan(place.tree(MEDIA["debian dvd 2"][0][".disk/info"]), dest=None)
    assert plan.result()["path"].endswith("/debian12/aarch64-disc2")
    assert plan.result()["osimages"] == []


def test_the_distribution_is_told_with_every_directory_of_its_packages(place):
    def distributions():
        with open_store(str(place.site)) as store:
            return store.tables()["osdistro"]

    first, second = str(place.install / "debian12/x86_64"), str(place.install / "debian12/second")
    place.run(place.tree(), osimages=False)
    row = {"osdistroname": "debian12-x86_64", "basename": "debian", "majorversion": "12", "arch": "x86_64", "type": "Linux"}
    assert distributions() == [{**row, "dirpaths": first}]
    disc = place.tree(DEBIAN.replace("Binary-1", "Binary-2"), "second")
    place.run(disc, dest=second)
    assert distributions() == [{**row, "dirpaths": f"{first},{second}"}]
    assert place.run(disc, dest=second) == []


def test_what_is_no_iso_is_named(place):
    bad = place.directory / "bad.iso"
    bad.write_text("no image", encoding="utf-8")
    with pytest.raises(SiteError, match="don't tell os and arch"):
        place.plan(bad)
    with pytest.raises(SiteError, match="there is no such file"):
        place.plan(place.directory / "missing.iso")


@pytest.mark.parametrize("arch", ["../../root/.ssh", "x86_64/..", "", ".", "a b"])
def test_what_a_medium_says_is_no_path(place, arch):
    tree = place.tree()
    (tree / ".disk/info").unlink()
    (tree / ".treeinfo").write_text(TREEINFO.format("Rocky Linux", "9.4", arch, 1), encoding="utf-8")
    with pytest.raises(SiteError, match=r"is no name of a directory|don't tell"):
        place.plan(tree, dest=None)
    with pytest.raises(SiteError, match=r"os: '\.\./x' is no name of a directory"):
        place.plan(tree, os="../x", arch="x86_64", dest=None)


def test_a_place_that_holds_what_must_stay_is_refused(place):
    tree = place.tree()
    for dest in (place.directory, tree, tree / "inside"):
        with pytest.raises(SiteError, match=r"is in it|is inside the medium"):
            place.plan(tree, dest=str(dest), replace=True)
