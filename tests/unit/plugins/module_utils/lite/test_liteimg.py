# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tree liteimg may change, which one it copies, and when it publishes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, latest, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import read_manifest, seal, verify
from ansible_collections.diskless.statelite.plugins.module_utils.apply.withdrawn import lift, withdraw
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite import inuse, liteimg
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import read_layout
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image, plan_liteimg, plan_site
from ansible_collections.diskless.statelite.plugins.module_utils.lite.served import Layouts, generation_of
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_killed import FIRST, SECOND, TREE

NODES = {
    "nodelist": [{"node": "n1", "groups": "compute"}, {"node": "n2", "groups": "compute"}, {"node": "n3"}, {"node": "n4"}],
    "nodetype": [{"node": "compute", "provmethod": "img1"}, {"node": "n3", "provmethod": "other"}],
}

CLOSED = [{"imagename": "img1", "permission": "700"}]


def site(table: dict[str, str], **image: str) -> Site:
    """Return a site with one image and four nodes."""
    row = {"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "c", "provmethod": "statelite", **image}
    return Site({"osimage": [row], "litefile": images.rows_of(table), **NODES})


def generation(directory: Path, number: int) -> Path:
    """Make an unpublished generation."""
    place = directory / "generations" / str(number)
    images.build(place / "rootimg", TREE)
    for name in ("kernel", "initrd-statelite.gz", "record.json"):
        (place / name).write_text("{}\n", encoding="utf-8")
    return place


def run(directory: Path, table: dict[str, str], **options: bool) -> dict:
    """Run liteimg; the values must be the same before and after. Return them, with the lines."""
    plan = plan_image(site(table), "img1", rootimgdir=str(directory), **options)
    lines, told = plan.lines(), plan.result()
    if lines:
        plan.apply()
    assert plan.result() == told
    return {**told, "lines": lines}


def test_an_unpublished_generation_is_laid_out_where_it_is_and_published(tmp_path):
    generation(tmp_path, 1)
    done = run(tmp_path, FIRST)
    assert (done["generation"], done["published"]) == (1, True)
    assert done["lines"][-1] == "publish generation 1"
    assert os.readlink(tmp_path / "current") == "generations/1"
    assert os.readlink(tmp_path / "rootimg") == "current/rootimg"
    assert run(tmp_path, FIRST)["lines"] == []


def test_an_unpublished_generation_that_needs_no_change_is_published(tmp_path):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)
    (tmp_path / "current").unlink()
    assert run(tmp_path, FIRST)["lines"] == ["publish generation 1"]


def test_a_publishing_that_was_cut_off_is_done_again_and_leaves_nothing_behind(tmp_path):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)
    names = sorted(os.listdir(tmp_path))
    (tmp_path / "current").unlink()
    (tmp_path / "rootimg").unlink()
    (tmp_path / ".statelite-link-99999").symlink_to("generations/1")
    assert run(tmp_path, FIRST)["lines"] == ["publish generation 1"]
    assert sorted(os.listdir(tmp_path)) == names


def test_a_published_generation_is_never_changed_its_copy_is(tmp_path):
    first = generation(tmp_path, 1)
    os.link(first / "rootimg" / "etc" / "hosts", first / "rootimg" / "etc" / "same")
    run(tmp_path, FIRST)
    for packed in ("packed.json", "rootimg-0123456789ab.cpio.zst", "rootimg.cpio.zst"):
        (first / packed).write_text("{}", encoding="utf-8")
    before = images.snapshot(first / "rootimg")
    done = run(tmp_path, SECOND)
    assert images.snapshot(first / "rootimg") == before
    assert done["lines"][0] == "new generation 2 from 1"
    assert done["rootimg"] == str(tmp_path / "generations" / "2" / "rootimg")
    assert current(str(tmp_path)) == latest(str(tmp_path))
    second = tmp_path / "generations" / "2"
    sealed = ["initrd-statelite.gz", "kernel", "manifest.json", "record.json", "rootimg", "tree.list.gz"]
    assert sorted(name for name in os.listdir(second) if not name.startswith(".")) == sealed
    assert (second / "kernel").stat().st_ino == (first / "kernel").stat().st_ino
    assert {entry.path for entry in read_layout(str(second / "rootimg")).entries} == {path.rstrip("/") for path in SECOND}
    inodes = {path.stat().st_ino for path in first.glob("rootimg/**/*") if path.is_file() and not path.is_symlink()}
    assert not inodes & {path.stat().st_ino for path in second.glob("rootimg/**/*") if path.is_file() and not path.is_symlink()}
    assert (second / "rootimg/.default/etc/hosts").stat().st_nlink == 2
    assert run(tmp_path, SECOND)["lines"] == []


def test_the_new_generation_is_the_tree_a_first_run_would_give(tmp_path):
    generation(tmp_path / "edited", 1)
    generation(tmp_path / "fresh", 1)
    run(tmp_path / "edited", FIRST)
    run(tmp_path / "edited", SECOND)
    run(tmp_path / "fresh", SECOND)
    trees = [images.timeless(images.snapshot(tmp_path / name)) for name in ("edited/generations/2/rootimg", "fresh/generations/1/rootimg")]
    assert trees[0] == trees[1]


def test_in_use_changes_a_published_tree_in_place_and_names_the_nodes(tmp_path):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)
    done = run(tmp_path, SECOND, in_use=True)
    assert (done["generation"], done["nodes_affected"]) == (1, ["n1", "n2"])
    assert not (tmp_path / "generations" / "2").exists()
    assert read_manifest(str(tmp_path / "generations" / "1")).id == "1+1"
    assert run(tmp_path, SECOND)["lines"] == []


def test_a_change_in_place_that_was_cut_off_before_its_manifest_gets_one(tmp_path, monkeypatch):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)

    def killed(*_words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(liteimg, "amend", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, SECOND, in_use=True)
    found = Generation(str(tmp_path), 1)
    with pytest.raises(SiteError, match="in place by liteimg"):
        verify(found, None, tree=True)
    assert run(tmp_path, SECOND)["lines"] == ["seal generation 1: a change of it was cut off"]
    assert verify(found, None, tree=True).id == "1+1"


def test_a_tree_that_changes_after_a_cut_off_publication_is_sealed_as_it_is_published(tmp_path):
    found = generation(tmp_path, 1)
    seal(Generation(str(tmp_path), 1), None)
    run(tmp_path, FIRST)
    assert verify(Generation(str(tmp_path), 1), None, tree=True).id == "1"
    assert (found / "rootimg/.statelite.json").exists()


def test_the_newest_generation_counts_not_the_published_one(tmp_path):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)
    generation(tmp_path, 2)
    done = run(tmp_path, FIRST)
    assert done["generation"] == 2
    assert os.readlink(tmp_path / "current") == "generations/2"


def test_a_withdrawn_generation_is_never_published_again_until_the_rows_change(tmp_path):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)
    run(tmp_path, SECOND)
    withdraw(str(tmp_path), 2, 1, "n1 did not come up")
    publish(Generation(str(tmp_path), 1))
    warned: list[str] = []
    held = plan_site(site(SECOND), "img1", True, False, str(tmp_path), warned.append)
    assert (held.lines(), held.result()["generation"], held.result()["published"]) == ([], 1, True)
    assert any("generation 2 is withdrawn" in text and "n1 did not come up" in text for text in warned)
    other = plan_site(site({**SECOND, "/etc/other": "tmpfs"}), "img1", True, False, str(tmp_path), warned.append)
    assert other.lines()[0] == "new generation 3 from 1"
    lift(str(tmp_path), 2)
    assert plan_site(site(SECOND), "img1", True, False, str(tmp_path), warned.append).lines() == ["publish generation 2"]


def test_a_plain_tree_is_changed_in_place(tmp_path):
    images.build(tmp_path / "rootimg", TREE)
    done = run(tmp_path, FIRST)
    assert (done["generation"], done["rootimg"]) == (None, str(tmp_path / "rootimg"))


def test_an_exported_plain_tree_is_refused_with_the_nodes_and_changed_when_in_use_is_allowed(tmp_path, monkeypatch):
    images.build(tmp_path / "rootimg", TREE)
    exports = tmp_path / "exports"
    exports.write_text(f"{tmp_path} *(ro)\n", encoding="utf-8")
    monkeypatch.setattr(liteimg, "exported_paths", lambda: inuse.exported_paths((str(exports),), ()))
    before = images.snapshot(tmp_path)
    with pytest.raises(SiteError, match=r"exported .*n1, n2"):
        run(tmp_path, FIRST)
    assert images.snapshot(tmp_path) == before
    assert run(tmp_path, FIRST, in_use=True)["nodes_affected"] == ["n1", "n2"]
    assert run(tmp_path, FIRST)["lines"] == []


@pytest.mark.parametrize("made", ["", "image", "image/generations/3"])
def test_an_image_without_a_root_tree_is_refused_and_nothing_is_made(tmp_path, made):
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    before = images.snapshot(tmp_path)
    with pytest.raises(SiteError, match="no root tree"):
        run(tmp_path / "image", FIRST)
    assert images.snapshot(tmp_path) == before


def test_another_provmethod_and_an_unknown_image_are_refused(tmp_path):
    with pytest.raises(SiteError, match="provmethod is netboot"):
        plan_image(site({}, provmethod="netboot"), "img1", rootimgdir=str(tmp_path))
    with pytest.raises(SiteError, match="no such image"):
        plan_image(site({}), "img2", rootimgdir=str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_inside_the_image_is_refused_by_name(tmp_path):
    images.build(tmp_path / "rootimg", TREE)
    point = tmp_path / "rootimg" / "root"
    subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], check=True)
    try:
        with pytest.raises(SiteError, match=f"umount {point}"):
            run(tmp_path, FIRST)
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert run(tmp_path, FIRST)["lines"]


def test_a_failed_copy_leaves_the_published_generation_and_the_next_run_clears_the_rest_away(tmp_path, monkeypatch):
    generation(tmp_path, 1)
    run(tmp_path, FIRST)
    before = images.snapshot(tmp_path / "generations" / "1")

    def full(*_arguments: object, **_options: object) -> str:
        raise SiteError.of("cp", "No space left on device", "Make room")

    with monkeypatch.context() as patch:
        patch.setattr(liteimg, "run_command", full)
        with pytest.raises(SiteError, match="No space"):
            run(tmp_path, SECOND)
    assert images.snapshot(tmp_path / "generations" / "1") == before
    assert os.readlink(tmp_path / "current") == "generations/1"
    assert run(tmp_path, SECOND)["generation"] == 2
    assert sorted(os.listdir(tmp_path / "generations")) == ["1", "2"]


def test_the_module_reads_the_site_database_and_warns_of_what_a_link_decides(tmp_path):
    images.build(tmp_path / "image" / "rootimg", TREE)
    path = str(tmp_path / "site.db")
    with open_store(path) as store:
        assert store.tables(["litefile"]) == {"litefile": []}
    warnings: list[str] = []
    with pytest.raises(SiteError, match="no such image"):
        plan_liteimg({"site": path, "image": "img1", "state": "present", "in_use": False, "rootimgdir": None}, warnings.append)
    plan = plan_image(site({"/var/run/": "persistent"}), "img1", rootimgdir=str(tmp_path / "image"))
    liteimg.warn_of_satisfied(plan, warnings.append)
    assert warnings == ["table litefile, image img1, file /var/run/: it leads to /run, so it is not persistent but the node's own"]


def test_exports_of_every_server_are_read(tmp_path):
    lines = ["# none", "/install *(ro)", '"/with blank" 10.0.0.0/8(rw) \\', "  *(ro)", "/oct\\040al *", ""]
    (tmp_path / "exports").write_text("\n".join(lines), encoding="utf-8")
    lines = ["EXPORT {", '  Path = "/srv/images"; # one', "  Pseudo = /srv/images;", "}", "# Path = /no;", ""]
    (tmp_path / "ganesha.conf").write_text("\n".join(lines), encoding="utf-8")
    found = inuse.exported_paths((str(tmp_path / "exports"),), (str(tmp_path / "ganesha.conf"),))
    assert [path for path, _name in found] == ["/install", "/with blank", "/oct al", "/srv/images"]
    assert inuse.exporter_of("/install/netboot/x", found) == str(tmp_path / "exports")
    assert inuse.exporter_of("/srv/images", found) == str(tmp_path / "ganesha.conf")
    assert inuse.exporter_of("/installation", found) is None


def test_mounts_are_found_whatever_their_names(tmp_path):
    info = tmp_path / "mountinfo"
    info.write_text(f"1 2 0:3 / {tmp_path}/a\\040b/c rw - tmpfs x rw\n1 2 0:3 / {tmp_path}x rw - tmpfs x rw\n", encoding="utf-8")
    assert inuse.mounts_below(str(tmp_path), str(info)) == [f"{tmp_path}/a b/c"]


def test_a_copy_has_a_record_with_its_own_number(tmp_path):
    generation(tmp_path, 1)
    (tmp_path / "generations/1/record.json").write_text('{"generation": 1, "inputs": {"a": "b"}}', encoding="utf-8")
    run(tmp_path, FIRST)
    assert run(tmp_path, SECOND)["generation"] == 2
    assert Generation(str(tmp_path), 1).record()["generation"] == 1
    assert Generation(str(tmp_path), 2).record() == {"generation": 2, "inputs": {"a": "b"}}


def test_what_is_given_back_of_a_published_generation_is_one_that_nodes_do_not_boot(tmp_path):
    generation(tmp_path, 1)
    before = images.snapshot(tmp_path / "generations/1/rootimg")
    run(tmp_path, FIRST)
    back = run(tmp_path, FIRST, present=False)
    assert (back["generation"], back["published"]) == (2, False)
    assert os.readlink(tmp_path / "current") == "generations/1"
    assert images.snapshot(tmp_path / "generations/2/rootimg") == before
    assert run(tmp_path, FIRST, present=False)["lines"] == []
    again = run(tmp_path, FIRST)
    assert (again["generation"], again["published"]) == (2, True)
    with pytest.raises(SiteError, match="could not boot"):
        plan_image(site(FIRST), "img1", present=False, in_use=True, rootimgdir=str(tmp_path))


def read_as_nobody(directory: Path) -> int:
    """Return how many entries the answer service finds in the image; in a child without any rights, where the test has them."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(directory)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            image = osimage(Site({"osimage": [{"imagename": "img1"}], "linuximage": [{"imagename": "img1", "rootimgdir": "."}]}), "img1")
            os.write(writing, b"%d" % len(Layouts().of(image, generation_of(image, "")).entries))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        text = told.read()
    assert os.waitpid(child, 0)[1] == 0
    return int(text)


@pytest.mark.parametrize("kind", ["generation", "plain"])
def test_the_answer_service_reads_the_record_whatever_the_permission_of_statelite(tmp_path, kind):
    directory = tmp_path / "image"
    directory.mkdir(0o755)
    if kind == "generation":
        generation(directory, 1)
    else:
        images.build(directory / "rootimg", TREE)
    before = images.snapshot(directory / "rootimg") if kind == "plain" else {}
    rows = site({"/etc/hosts": "", "/var/log/": "persistent"}).rows
    closed = Site({**{name: rows(name) for name in ("osimage", "litefile", "nodelist", "nodetype")}, "linuximage": CLOSED})
    plan_image(closed, "img1", rootimgdir=str(directory)).apply()
    assert (directory / "rootimg/.statelite").stat().st_mode & 0o7777 == 0o700
    assert read_as_nobody(directory) == 2
    if kind == "plain":
        plan_image(closed, "img1", present=False, rootimgdir=str(directory)).apply()
        assert images.snapshot(directory / "rootimg") == before
