# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a published generation is, signed by the site, and what is refused by name when it is not that any more."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import (
    LARGE,
    amend,
    begin_amendment,
    read_manifest,
    unseal,
    verify,
)
from ansible_collections.diskless.statelite.plugins.module_utils.apply.signing import Keys, site_keys
from ansible_collections.diskless.statelite.plugins.module_utils.apply.treelist import packed, unpacked
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve.imagekey import SPEC, plan_key


def have_key(directory: Path, **options: object) -> Keys:
    """Make the key of the site whose database would be in `directory`."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    plan = plan_key({**params, "directory": str(directory / "pki"), **options}, print)
    if plan.lines():
        plan.apply()
    found = site_keys(str(directory))
    assert found is not None
    return found


def made(directory: Path, number: int = 1) -> Generation:
    """Return a generation with a tree that has something of every kind."""
    place = directory / f"image/generations/{number}"
    tree = place / "rootimg"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
    os.link(tree / "etc/hosts", tree / "etc/same")
    os.symlink("../etc", tree / "etc/link")
    os.mkfifo(tree / "pipe")
    (tree / "caught out").write_bytes(b"\0" * 100)
    os.setxattr(tree / "caught out", "user.note", b"kept")
    for name in ("kernel", "initrd-statelite.gz"):
        (place / name).write_text(name)
    (place / "record.json").write_text(json.dumps({"image": "compute", "packages": {"vim": "9"}, "kernel_version": "6.1"}))
    return Generation(str(directory / "image"), number)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return have_key(tmp_path)


@pytest.fixture
def published(tmp_path: Path, keys: Keys) -> Generation:
    generation = made(tmp_path)
    publish(generation, keys)
    return generation


def test_a_published_generation_is_a_complete_set(published: Generation, keys: Keys) -> None:
    assert sorted(os.listdir(published.path)) == [
        "initrd-statelite.gz",
        "kernel",
        "manifest.json",
        "manifest.json.sig",
        "record.json",
        "rootimg",
        "tree.list.gz",
    ]
    found = verify(published, keys, tree=True)
    assert found is not None
    assert (found.id, found.document["packages"], found.document["kernel_version"]) == ("1", {"vim": "9"}, "6.1")
    assert sorted(found.document["files"]) == ["initrd-statelite.gz", "kernel", "record.json", "tree.list.gz"]


def test_publishing_again_changes_nothing_of_it(published: Generation, keys: Keys) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_ino) for path in Path(published.path).iterdir() if path.is_file()}
    publish(published, keys)
    assert {path.name: (path.read_bytes(), path.stat().st_ino) for path in Path(published.path).iterdir() if path.is_file()} == before


@pytest.mark.parametrize("name", ["kernel", "initrd-statelite.gz", "record.json", "tree.list.gz"])
def test_a_changed_file_is_named(published: Generation, keys: Keys, name: str) -> None:
    path = Path(published.path, name)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(SiteError, match=f"{path}.*somebody changed it"):
        verify(published, keys)
    path.unlink()
    with pytest.raises(SiteError, match=f"{path}.*not there"):
        verify(published, keys)


def test_a_missing_signature_or_manifest_is_refused_with_the_mend(published: Generation, keys: Keys) -> None:
    os.unlink(f"{published.path}/manifest.json.sig")
    with pytest.raises(SiteError, match="is not signed") as refused:
        verify(published, keys)
    assert "seal: [1]" in refused.value.faults[0].mend
    os.unlink(f"{published.path}/manifest.json")
    with pytest.raises(SiteError, match="nobody signed it"):
        verify(published, keys)


def test_a_manifest_that_was_changed_is_refused(published: Generation, keys: Keys) -> None:
    path = Path(published.path, "manifest.json")
    path.write_text(path.read_text().replace('"6.1"', '"6.2"'))
    with pytest.raises(SiteError, match="its signature is of none of the keys"):
        verify(published, keys)


def test_a_signature_by_another_site_is_refused(tmp_path: Path, published: Generation) -> None:
    with pytest.raises(SiteError, match="its signature is of none of the keys"):
        verify(published, have_key(tmp_path / "other"))


def test_the_signed_manifest_of_another_generation_is_refused(tmp_path: Path, published: Generation, keys: Keys) -> None:
    shutil.copytree(published.path, tmp_path / "image/generations/2", symlinks=True, ignore=lambda *_: ["pipe"])
    with pytest.raises(SiteError, match="is the manifest of generation 1"):
        verify(Generation(published.rootimgdir, 2), keys)


def test_what_a_former_key_signed_counts_until_it_is_dropped(tmp_path: Path, published: Generation) -> None:
    assert verify(published, have_key(tmp_path, serial=2)) is not None
    newer = made(tmp_path, 2)
    publish(newer, have_key(tmp_path, serial=2))
    dropped = have_key(tmp_path, serial=2, keep_former=False)
    assert verify(newer, dropped) is not None
    with pytest.raises(SiteError, match="none of the keys"):
        verify(published, dropped)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tree: (tree / "etc/hosts").write_text("127.0.0.2 localhost\n"), "content"),
        (lambda tree: (tree / "etc/hosts").chmod(0o600), "mode"),
        (lambda tree: os.chown(tree / "pipe", 7, 7), "owner, group"),
        (lambda tree: (tree / "etc/new").write_text(""), "not in the signed list"),
        (lambda tree: (tree / "pipe").unlink(), "not there"),
        (lambda tree: os.removexattr(tree / "caught out", "user.note"), "attributes"),
        (lambda tree: ((tree / "etc/link").unlink(), os.symlink("/etc", tree / "etc/link")), "target"),
        (lambda tree: ((tree / "etc/same").unlink(), shutil.copy2(tree / "etc/hosts", tree / "etc/same")), "kind f instead of h"),
    ],
)
def test_a_changed_tree_is_seen_when_it_is_read(published: Generation, keys: Keys, change, says: str) -> None:
    change(Path(published.rootimg))
    assert verify(published, keys) is not None
    with pytest.raises(SiteError, match=says):
        verify(published, keys, tree=True)


def test_an_amendment_adds_a_manifest_and_changes_none(published: Generation, keys: Keys) -> None:
    before = {
        name: Path(published.path, name).read_bytes() for name in ("manifest.json", "manifest.json.sig", "tree.list.gz", "record.json")
    }
    begin_amendment(published, "image_packages")
    (Path(published.rootimg) / "etc/motd").write_text("hello\n")
    with pytest.raises(SiteError, match="was being changed in place by image_packages"):
        verify(published, keys)
    assert amend(published, keys, "vim was installed", {"vim": "10"}) == "1+1"
    assert {name: Path(published.path, name).read_bytes() for name in before} == before
    found = verify(published, keys, tree=True)
    assert found is not None
    assert (found.id, found.document["packages"], found.document["why"]) == ("1+1", {"vim": "10"}, "vim was installed")
    assert amend(published, keys, "nothing") == "1+2"
    assert read_manifest(published.path).document["packages"] == {"vim": "10"}


def test_a_site_without_keys_signs_and_checks_nothing(tmp_path: Path) -> None:
    generation = made(tmp_path)
    publish(generation, site_keys(str(tmp_path)))
    assert not os.path.exists(f"{generation.path}/manifest.json.sig")
    assert verify(generation, None) is None
    assert current(generation.rootimgdir) == generation


def test_a_key_whose_private_half_is_gone_is_refused(tmp_path: Path, keys: Keys) -> None:
    os.unlink(keys.private)
    with pytest.raises(SiteError, match="is not there"):
        site_keys(str(tmp_path))


def test_a_large_file_is_told_by_its_size_until_everything_is_read(tmp_path: Path, keys: Keys) -> None:
    generation = made(tmp_path)
    with open(f"{generation.path}/rootimg.squashfs", "wb") as stream:
        stream.truncate(LARGE + 1)
    publish(generation, keys)
    with open(f"{generation.path}/rootimg.squashfs", "r+b") as stream:
        stream.write(b"changed")
    assert verify(generation, keys) is not None
    with pytest.raises(SiteError, match=r"rootimg\.squashfs.*somebody changed it"):
        verify(generation, keys, tree=True)


def test_an_unpublished_generation_that_changes_is_sealed_anew(tmp_path: Path, keys: Keys) -> None:
    generation = made(tmp_path)
    publish(generation, keys)
    unseal(generation)
    assert read_manifest(generation.path) is None
    (Path(generation.rootimg) / "etc/motd").write_text("")
    publish(generation, keys)
    assert verify(generation, keys, tree=True) is not None


def test_a_damaged_list_of_a_tree_is_refused_wherever_the_damage_is() -> None:
    content = packed([["/", "d", "755", 0, 0, {}], *([f"/{number}", "p", "600", 0, 0, {}] for number in range(20))])
    for place in range(10, len(content)):
        with pytest.raises(SiteError, match="is no list of a tree"):
            unpacked(content[:place] + bytes((content[place] ^ 0xFF,)) + content[place + 1 :], "list")


@pytest.mark.parametrize("content", ["{", "[1]", "7"])
def test_a_damaged_record_is_told_by_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "generations" / "3" / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(SiteError, match="the record of the generation is damaged"):
        Generation(str(tmp_path), 3).record()
