# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded runs of the original's liteimg: equal in layout, or better where the cases' README says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import Layout, read_layout
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import imported, recorded
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images

NAMES = recorded.names("liteimg")
NOT_LITEIMG = {"86": "no arguments", "87": "help", "88": "version", "89": "conflicting arguments", "84": "packimage of a ramdisk"}
"""Cases about the original's command line, which no module has; packing comes with packimage."""
LAWFUL_HERE = {"26": "the option bind, which the statelite document has", "95": "tempfs"}
REFUSED_HERE = {
    "22": "link-below-bind",
    "37": "the same key",
    "25": "con-directory",
    "63": r"\.\.",
    "68": "whole root",
    "93": "no root tree",
}
"""Faults of the original that are refused here, with the word that the message must hold (README, column right)."""
CARRIED_OUT = {"16": "/var/log", "18": "/root/.bashrc", "21": "/root/.bashrc"}
"""Pairs of parent and child that the original refuses, with the child."""
CONVERGE = (*(str(count) for count in range(50, 61)), "65", "96", "98", "99")
OTHER_TREE = ("10", "12", "30", "32", "33", "34", "35", "36", "39", "41", "47", "58", "61", "62", "64", "66", "67", "69", "70")
"""The tree that the original made is the fault itself; what is right is tested one by one below."""
FOR_ITS_OWN_USE = ("/xcatpost", "/etc/shadow", "/etc/fstab", "/etc/init.d", "/.statelite/litefile.save", "/.statebackup")


def test_there_are_cases_to_run():
    assert len(NAMES) >= 20, f"no recorded cases at {recorded.cases()}"


def number(name: str) -> str:
    """Return the number of a case, which its name begins with."""
    return name.split("_", maxsplit=1)[0]


def site_of(case: dict[str, Any], step: dict[str, Any], work: Path) -> Site:
    """Return the tables of a case with the litefile table of a step, imported whole, in the original's later spelling."""
    database = work / "site.db"
    if not database.exists():
        tables = {name: text for name, text in case["tables"].items() if name != "litetree.csv"}
        imported.import_site(database, tables)
    imported.import_table(database, "litefile", step["litefile.csv"])
    return Site(imported.tables_of(database))


def built(case: dict[str, Any], directory: Path) -> Path:
    """Make the image of a case; return its image directory."""
    if case.get("input.manifest.jsonl"):
        images.build(directory / "rootimg", case["input.manifest.jsonl"])
    else:
        directory.mkdir(parents=True)
    return directory


def image_named(words: list[str]) -> str:
    """Return the image that a command names; with -o, -a and -p by the statelite document's legacy name."""
    given = dict(zip(words[1::2], words[2::2]))
    return f"{given['-o']}-{given['-a']}-statelite-{given['-p']}" if "-o" in given else words[-1]


def liteimg(case: dict[str, Any], step: dict[str, Any], directory: Path, present: bool = True) -> list[str]:
    """Run liteimg for a step; return the lines of its plan."""
    plan = plan_image(site_of(case, step, directory.parent), image_named(step["liteimg.cmd"].split()), present, rootimgdir=str(directory))
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines


def ours(path: str) -> bool:
    """Tell whether a path is part of what is compared."""
    return not path.removeprefix("/.default").startswith(FOR_ITS_OWN_USE)


def mutate(case: dict[str, Any], before: dict[str, Any], step: dict[str, Any], root: Path) -> None:
    """Do to our tree what the administrator of a recorded run did to his between two runs."""
    was = {line["path"]: line for line in before["output.manifest.jsonl"]}
    for line in step.get("mutated-input.manifest.jsonl", []):
        if was.get(line["path"]) != line and ours(line["path"]) and not line["path"].startswith("/."):
            path = root / line["path"][1:]
            assert line["type"] == "f"
            path.unlink(missing_ok=True)
            path.write_text(line["content"], encoding="utf-8")
            path.chmod(int(line["mode"], 8))


def assert_equal(case: dict[str, Any], step: dict[str, Any], directory: Path) -> None:
    """The same links, the same things outside /.default and /.statelite, and every recorded default readable with its content."""
    expected = {line["path"]: line for line in step["output.manifest.jsonl"] if ours(line["path"])}
    listed = {entry.path for entry in read_layout(str(directory / "rootimg")).entries}
    with Root(str(directory / "rootimg")) as root:
        for path, line in expected.items():
            if line["type"] == "l" and path.startswith("/.default"):
                continue
            if line["type"] == "l":
                assert root.readlink(path).replace("./", "") == line["target"].replace("./", ""), path
                continue
            found = root.lstat(root.resolve(path))
            assert found is not None, path
            kind, mode = f"{found.st_mode:o}".rjust(7, "0")[-6:-4], f"{found.st_mode & 0o7777:04o}"
            assert kind == {"d": "04", "f": "10"}[line["type"]], path
            if "content" in line:
                assert root.read(root.resolve(path)).decode() == line["content"], path
            if not path.startswith(("/.default", "/.statelite")) or path[len("/.default") :] in listed:
                assert mode == line["mode"], path
    made = {path for path in images.snapshot(directory / "rootimg") if ours(path) and not path.startswith(("/.default", "/.statelite"))}
    assert made - {"/."} == {path for path in expected if not path.startswith(("/.default", "/.statelite"))}


@pytest.mark.parametrize("name", [name for name in NAMES if number(name) not in NOT_LITEIMG])
def test_a_recorded_run(name, tmp_path):
    case = recorded.case("liteimg", name)
    steps = imported.steps_of(case)
    directory = built(case, tmp_path / "image")
    before = images.snapshot(directory)
    failed = steps[0]["liteimg.rc"].strip() not in ("0", "")
    if number(name) in REFUSED_HERE or (failed and number(name) not in (*LAWFUL_HERE, *CARRIED_OUT)):
        with pytest.raises(SiteError, match=REFUSED_HERE.get(number(name), "image|litefile")) as error:
            liteimg(case, steps[0], directory)
        assert all(fault.where and fault.mend for fault in error.value.faults)
        assert images.snapshot(directory) == before
        return
    for count, step in enumerate(steps):
        if count:
            mutate(case, steps[count - 1], step, directory / "rootimg")
        liteimg(case, step, directory)
        assert liteimg(case, step, directory) == []
        if number(name) in CONVERGE and "mutated-input.manifest.jsonl" not in step:
            fresh = built(case, tmp_path / f"fresh{count}")
            liteimg(case, step, fresh)
            assert images.timeless(images.snapshot(fresh / "rootimg")) == images.timeless(images.snapshot(directory / "rootimg"))
        elif number(name) not in (*OTHER_TREE, *LAWFUL_HERE, *CARRIED_OUT):
            assert_equal(case, step, directory)
    if not any("mutated-input.manifest.jsonl" in step for step in steps):
        liteimg(case, steps[-1], directory, present=False)
        (directory / ".liteimg" / "lock").unlink(missing_ok=True)
        assert images.snapshot(directory / "rootimg") == {
            path.removeprefix("/rootimg") or "/.": item for path, item in before.items() if path.startswith("/rootimg")
        }


def laid(name: str, tmp_path: Path) -> tuple[Layout, Root]:
    """Lay the image of a case out; return its layout and the open tree."""
    case = recorded.case("liteimg", next(one for one in NAMES if number(one) == name))
    directory = built(case, tmp_path / "image")
    for count, step in enumerate(imported.steps_of(case)):
        if count:
            mutate(case, imported.steps_of(case)[count - 1], step, directory / "rootimg")
        liteimg(case, step, directory)
    return read_layout(str(directory / "rootimg")), Root(str(directory / "rootimg"))


def text(root: Root, path: str) -> str:
    """Return the content that a reader inside the image finds at a path."""
    return root.read(root.resolve(path)).decode()


def options(layout: Layout) -> dict[str, str]:
    """Return the options of each entry."""
    return {entry.path: entry.options for entry in layout.entries}


def all_missing_directories_are_made(layout: Layout, root: Root) -> None:
    assert text(root, "/a/b/c/d.conf") == ""
    assert text(root, "/.default/a/b/c/d.conf") == ""


def a_directory_is_a_parent_without_a_slash(layout: Layout, root: Root) -> None:
    assert {entry.path: entry.parent for entry in layout.entries} == {"/root": None, "/root/.bashrc": "/root"}


def links_to_files_are_kept_and_read_through(layout: Layout, root: Root) -> None:
    for name, target in (("rellink", "hosts"), ("abslink", "/etc/hosts")):
        assert root.readlink(f"/etc/{name}") == f"../.statelite/tmpfs/etc/{name}"
        assert text(root, f"/etc/{name}") == "127.0.0.1 localhost\n"
        assert root.readlink(f"/.statelite/kept/etc/{name}") == target
    assert root.readlink("/.default/etc/rellink") == "../../.statelite/image/etc/hosts"


def var_run_stays_and_nothing_of_run_is_lost(layout: Layout, root: Root) -> None:
    assert layout.satisfied == {"/var/run": "/run", "/var/spool": "/run"}
    assert root.readlink("/var/run") == "../run"
    assert root.read("/run/pid") == b"1\n"


def a_mount_point_takes_the_place_of_a_link(layout: Layout, root: Root) -> None:
    assert text(root, "/.default/etc/rellink") == "127.0.0.1 localhost\n"
    assert root.read("/etc/rellink") == b""
    assert root.read("/run/pid") == b"1\n"


def the_row_of_the_image_is_the_one_entry(layout: Layout, root: Root) -> None:
    assert options(layout) == {"/var/log": "bind,tmpfs"}


def every_group_of_the_list_counts(layout: Layout, root: Root) -> None:
    assert options(layout) == {"/etc/hosts": "bind,tmpfs", "/etc/ntp/keys": "bind,ro"}


def group_beats_all(layout: Layout, root: Root) -> None:
    assert options(layout) == {"/etc/hosts": "bind,tmpfs", "/etc/ntp/keys": "bind,ro", "/etc/ntp/step": "bind,con"}


def a_mount_hides_no_link_of_ours(layout: Layout, root: Root) -> None:
    """The original's link for /etc/mtab below a bound /etc/ leads out of the mount; here mtab stays in its directory."""
    assert options(layout) == {"/etc": "bind,tmpfs"}
    assert text(root, "/etc/mtab") == text(root, "/.default/etc/mtab") == "/ / rootfs\n"


def the_newer_file_is_the_default(layout: Layout, root: Root) -> None:
    assert text(root, "/etc/hosts") == text(root, "/.default/etc/hosts") == "edited by admin\n"
    replaced = Path(root.path).parent / ".liteimg" / "replaced"
    assert [path.read_text(encoding="utf-8") for path in replaced.iterdir()] == ["127.0.0.1 localhost\n"]


def edits_in_place_are_the_default(layout: Layout, root: Root) -> None:
    assert text(root, "/.default/etc/hosts") == "edited by admin\n"
    assert text(root, "/.default/etc/ntp/added") == "new\n"


def names_with_blanks_are_whole(layout: Layout, root: Root) -> None:
    assert set(options(layout)) == {"/etc/my file", "/srv/my dir"}
    assert root.readlink("/etc/my file") == "../.statelite/tmpfs/etc/my file"


def nothing_is_executed(layout: Layout, root: Root) -> None:
    assert root.readlink("/etc/$(touch${IFS}/srv/x/PWNED)").startswith("../../../../.statelite/tmpfs/etc/")


def doubled_slashes_are_one(layout: Layout, root: Root) -> None:
    assert set(options(layout)) == {"/etc/hosts", "/var/log"}
    assert root.readlink("/.statelite/tmpfs/etc/hosts") == "../../../.default/etc/hosts"


def the_child_below_is_carried_out(layout: Layout, root: Root) -> None:
    assert len(layout.entries) == 2
    assert layout.entries[1].parent == layout.entries[0].path


BETTER: dict[str, Callable[[Layout, Root], None]] = {
    "10": all_missing_directories_are_made,
    "16": the_child_below_is_carried_out,
    "18": the_child_below_is_carried_out,
    "21": the_child_below_is_carried_out,
    "31": a_directory_is_a_parent_without_a_slash,
    "32": links_to_files_are_kept_and_read_through,
    "33": var_run_stays_and_nothing_of_run_is_lost,
    "35": a_mount_point_takes_the_place_of_a_link,
    "38": group_beats_all,
    "39": every_group_of_the_list_counts,
    "41": the_row_of_the_image_is_the_one_entry,
    "47": a_mount_hides_no_link_of_ours,
    "57": the_newer_file_is_the_default,
    "58": edits_in_place_are_the_default,
    "61": names_with_blanks_are_whole,
    "64": nothing_is_executed,
    "67": doubled_slashes_are_one,
}


@pytest.mark.parametrize("name", [name for name in BETTER if any(number(one) == name for one in NAMES)])
def test_better_than_a_recorded_run(name, tmp_path):
    layout, root = laid(name, tmp_path)
    with root:
        BETTER[name](layout, root)
