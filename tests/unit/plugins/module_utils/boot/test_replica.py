# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service node takes in what the management node sent, whole and as its manifest says, or leaves everything as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import amend, seal, verify
from ansible_collections.diskless.statelite.plugins.module_utils.apply.signing import site_keys
from ansible_collections.diskless.statelite.plugins.module_utils.boot.replica import ReplicaPlan, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.boot.served import offer
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import Image
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_manifest import have_key, made

VARIABLES = Path(__file__).resolve().parents[5] / "roles/service_node/vars/main.yml"


class Pair:
    """An image on a management node, and the same directory on a service node, both below a temporary one."""

    def __init__(self, root: Path) -> None:
        self.sent, self.here = root / "mn", root / "sn"
        self.site = root / "sn/published/site.json"
        self.images = str(root / "sn/image")
        self.first = made(self.sent)

    def offered(self, generation: Generation) -> dict[str, Any]:
        """Publish a generation and return what service_node_info tells of it, with the directory that it has here."""
        publish(generation, site_keys(str(self.sent)))
        row = {"imagename": "img", "rootimgdir": str(self.sent / "image")}
        found = offer(Image("img", row, "/install"), lambda _text: None)
        assert found is not None
        return {**found, "rootimgdir": self.images}

    def plan(self, *offered: dict[str, Any]) -> ReplicaPlan:
        return read_and_plan({"generations": list(offered), "site": str(self.site)}, lambda _text: None)

    def send(self, plan: ReplicaPlan, source: Generation) -> Path:
        """Copy as rsync does, every file linked to the one of the generation that it is like, where they are the same."""
        told = plan.result()["due"][0]
        target = Path(told["target"])
        shutil.copytree(source.path, target, symlinks=True, copy_function=self._linked(source.path, told["like"]), dirs_exist_ok=True)
        return target

    def _linked(self, top: str, like: str) -> Any:
        def copy(source: str, target: str) -> None:
            other = os.path.join(like, os.path.relpath(source, top)) if like else ""
            if other and os.path.isfile(other) and alike(Path(other), Path(source)):
                os.link(other, target)
            elif Path(source).is_fifo():
                os.mkfifo(target)
            else:
                shutil.copy2(source, target, follow_symlinks=False)

        return copy

    def whole(self, target: Path) -> None:
        """Have what the copy above can't: names of one file."""
        (target / "rootimg/etc/same").unlink()
        os.link(target / "rootimg/etc/hosts", target / "rootimg/etc/same")

    def names(self) -> list[str]:
        return sorted(os.listdir(f"{self.images}/generations"))


def alike(one: Path, other: Path) -> bool:
    return one.stat().st_mode == other.stat().st_mode and one.read_bytes() == other.read_bytes()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def take(pair: Pair, generation: Generation) -> ReplicaPlan:
    plan = pair.plan(pair.offered(generation))
    pair.whole(pair.send(plan, generation))
    plan.apply()
    return plan


def rsync(plan: ReplicaPlan) -> None:
    """Send what is due as the role service_node does."""
    options = yaml.safe_load(VARIABLES.read_text(encoding="utf-8"))["service_node_sending"]
    for told in plan.result()["due"]:
        like = [f"--link-dest={told['like']}/"] if told["like"] else []
        source = told["source"].replace("/sn/", "/mn/")
        subprocess.run(["rsync", *options, *like, f"{source}/", f"{told['target']}/"], check=True)


def second(pair: Pair) -> Generation:
    """Make a generation that has one file of the same time as the first one has it: rsync links no other one to that."""
    generation = made(pair.sent, 2)
    shutil.copystat(Path(pair.first.rootimg, "caught out"), Path(generation.rootimg, "caught out"))
    Path(generation.rootimg, "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    return generation


def test_a_generation_comes_in_and_the_second_run_changes_nothing(pair: Pair) -> None:
    offered = pair.offered(pair.first)
    plan = pair.plan(offered)
    place = f"{pair.images}/generations/1"
    assert plan.lines() == [f"+ {place}: generation 1 of img", f"~ {pair.images}/current -> generations/1"]
    target = f"{pair.images}/generations/.1.{offered['manifest'][:12]}.arriving"
    told = {"image": "img", "source": place, "target": target, "like": ""}
    assert plan.result() == {"due": [told]}
    pair.whole(pair.send(plan, pair.first))
    assert pair.plan(offered).lines() == plan.lines(), "what has arrived and is not in its place is still to be done"
    plan.apply()
    assert current(pair.images) == Generation(pair.images, 1)
    assert pair.plan(offered).lines() == []
    assert pair.names() == ["1"]


def test_the_next_one_is_linked_to_the_last_and_what_was_alike_by_chance_is_parted(pair: Pair) -> None:
    """The first has two names of one file, which the second has as two files of the same content."""
    take(pair, pair.first)
    generation = made(pair.sent, 2)
    same = Path(generation.rootimg, "etc/same")
    same.unlink()
    shutil.copy2(Path(generation.rootimg, "etc/hosts"), same)
    plan = pair.plan(pair.offered(generation))
    assert plan.result()["due"][0]["like"] == f"{pair.images}/generations/1"
    arriving = pair.send(plan, generation)
    assert (arriving / "rootimg/etc/hosts").stat().st_ino == (arriving / "rootimg/etc/same").stat().st_ino
    foretold = plan.result()
    plan.apply()
    assert plan.result() == foretold, "a check tells the same as the run"
    one, two = (Path(pair.images, f"generations/{number}/rootimg/caught out") for number in (1, 2))
    assert one.stat().st_ino == two.stat().st_ino
    verify(Generation(pair.images, 1), None, tree=True)
    verify(Generation(pair.images, 2), None, tree=True)
    assert current(pair.images) == Generation(pair.images, 2)


@pytest.mark.parametrize("spoilt", ["rootimg/etc/hosts", "kernel", "manifest.json", "tree.list.gz"])
def test_what_arrived_otherwise_is_refused_and_stays_out(pair: Pair, spoilt: str) -> None:
    take(pair, pair.first)
    generation = second(pair)
    offered = pair.offered(generation)
    plan = pair.plan(offered)
    target = pair.send(plan, generation)
    pair.whole(target)
    content = (target / spoilt).read_bytes()
    (target / spoilt).unlink()
    (target / spoilt).write_bytes(content[:-1] + b"?")
    with pytest.raises(SiteError):
        plan.apply()
    assert current(pair.images) == Generation(pair.images, 1)
    assert pair.names() == ["1"], "it is sent anew"
    pair.whole(pair.send(pair.plan(offered), generation))
    pair.plan(offered).apply()
    assert current(pair.images) == Generation(pair.images, 2)
    assert pair.names() == ["1", "2"]


def test_a_transfer_that_was_cut_off_leaves_the_old_generation_and_is_gone_on_with(pair: Pair) -> None:
    take(pair, pair.first)
    generation = second(pair)
    offered = pair.offered(generation)
    plan = pair.plan(offered)
    part = Path(plan.result()["due"][0]["target"])
    (part / "rootimg").mkdir(parents=True)
    with pytest.raises(SiteError, match="has not arrived whole") as refused:
        plan.apply()
    assert refused.value.faults[0].mend == "Send it again: run the role service_node"
    again = pair.plan(offered)
    assert again.lines() == plan.lines()
    assert current(pair.images) == Generation(pair.images, 1)
    pair.whole(pair.send(again, generation))
    again.apply()
    assert pair.names() == ["1", "2"]


def test_what_was_begun_to_be_sent_and_is_wanted_no_more_goes(pair: Pair) -> None:
    take(pair, pair.first)
    begun = Path(pair.images, "generations/.7.0123456789ab.arriving/rootimg")
    begun.mkdir(parents=True)
    plan = pair.plan(pair.offered(pair.first))
    assert plan.lines() == [f"- {begun.parent}"]
    plan.apply()
    assert pair.names() == ["1"]


def test_what_was_begun_before_an_amendment_is_not_gone_on_with(pair: Pair) -> None:
    """It shares files with the tree that nodes run from, and rsync would give those the amended modes."""
    take(pair, pair.first)
    generation = second(pair)
    begun = pair.send(pair.plan(pair.offered(generation)), generation)
    shared = "rootimg/caught out"
    assert (begun / shared).stat().st_nlink == 2
    Path(generation.path, shared).chmod(0o600)
    amend(generation, None, "an edit")
    plan = pair.plan(pair.offered(generation))
    assert Path(plan.result()["due"][0]["target"]) != begun
    assert plan.lines()[0] == f"- {begun}"
    pair.whole(pair.send(plan, generation))
    plan.apply()
    assert pair.names() == ["1", "2"]
    verify(Generation(pair.images, 1), None, tree=True)


@pytest.mark.parametrize("when", ["before it is sent", "between two tries to send it"])
def test_an_edit_that_begins_while_a_generation_is_sent_reaches_no_file_of_the_tree_that_nodes_run_from(pair: Pair, when: str) -> None:
    take(pair, pair.first)
    generation = second(pair)
    offered = pair.offered(generation)
    plan = pair.plan(offered)
    edited = Path(generation.path, "rootimg/caught out")
    if when == "between two tries to send it":
        rsync(plan)
        assert Path(plan.result()["due"][0]["target"], "rootimg/caught out").stat().st_nlink == 2
    mode = edited.stat().st_mode
    edited.chmod(0o600)
    rsync(pair.plan(offered))
    verify(Generation(pair.images, 1), None, tree=True)
    if when == "before it is sent":
        with pytest.raises(SiteError, match="caught out"):
            pair.plan(offered).apply()
        assert pair.names() == ["1"]
        edited.chmod(mode)
        rsync(pair.plan(offered))
    pair.plan(offered).apply()
    assert current(pair.images) == Generation(pair.images, 2)
    for number in (1, 2):
        verify(Generation(pair.images, number), None, tree=True)


def test_an_amended_generation_replaces_the_one_here_whose_tree_stays_for_those_who_run_from_it(pair: Pair) -> None:
    take(pair, pair.first)
    running = os.stat(f"{pair.images}/generations/1/rootimg").st_ino
    Path(pair.first.rootimg, "etc/hosts").write_text("amended\n")
    amend(pair.first, None, "an edit")
    plan = take(pair, pair.first)
    assert plan.lines() == [f"+ {pair.images}/generations/1: generation 1+1 of img"]
    assert Path(pair.images, "generations/1/rootimg/etc/hosts").read_text() == "amended\n"
    assert pair.names() == [".1.1.replaced", "1"]
    old = Path(pair.images, "generations/.1.1.replaced/rootimg")
    assert old.stat().st_ino == running
    assert (old / "etc/hosts").read_text() == "127.0.0.1 localhost\n"
    assert pair.plan(pair.offered(pair.first)).lines() == []
    take(pair, second(pair))
    shutil.rmtree(f"{pair.images}/generations/1")
    plan = pair.plan(pair.offered(Generation(str(pair.sent / "image"), 2)))
    assert plan.lines() == [f"- {old.parent}"]


def test_the_site_going_back_is_followed_without_sending_anything(pair: Pair) -> None:
    take(pair, pair.first)
    take(pair, second(pair))
    plan = pair.plan(pair.offered(pair.first))
    assert plan.result() == {"due": []}
    assert plan.lines() == [f"~ {pair.images}/current -> generations/1"]
    plan.apply()
    assert current(pair.images) == Generation(pair.images, 1)


def test_a_service_node_checks_the_signature_by_the_public_key_alone(pair: Pair) -> None:
    keys = have_key(pair.sent)
    seal(pair.first, keys)
    (pair.here / "pki").mkdir(parents=True)
    shutil.copyfile(pair.sent / "pki/image.pem", pair.here / "pki/image-site.pem")
    take(pair, pair.first)
    other = second(pair)
    seal(other, None)
    plan = pair.plan(pair.offered(other))
    pair.whole(pair.send(plan, other))
    with pytest.raises(SiteError, match="is not signed"):
        plan.apply()
    assert current(pair.images) == Generation(pair.images, 1)
    found = site_keys(str(pair.here))
    assert found is not None
    with pytest.raises(SiteError, match="no key to sign it"):
        found.sign(b"anything")


def test_all_that_is_wrong_with_an_offer_is_told_at_once(pair: Pair) -> None:
    wrong = {"image": "img", "rootimgdir": "image", "generation": 0, "id": "0", "manifest": "none"}
    with pytest.raises(SiteError) as refused:
        pair.plan(wrong)
    assert [fault.what for fault in refused.value.faults] == ["'image' is no whole path", "names no generation and digest of its manifest"]
