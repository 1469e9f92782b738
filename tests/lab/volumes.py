# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volatile directory costs a boot nothing: 200 MB more in it, the same bytes over NFS; and it is the same directory as a copy of it."""

from __future__ import annotations

from converge import ask
from lab import Lab
from proof import Proof, alike

FURNISH = "/install/custom/netboot/debian/furnish"
MEGABYTES = 200
GROWTH = 1_000_000
"""Bytes by which a boot may differ from another one for reasons of its own."""
DIRECTORY = "/var/cache"


def grow(lab: Lab) -> None:
    """Have the next build of the image hold 200 MB below a volatile directory."""
    written = f"megabytes={MEGABYTES} "
    lab.box.command(f"sed --in-place 's/^megabytes=0 /{written}/' {FURNISH} && grep --quiet '^{written}' {FURNISH}")


def copy_all(lab: Lab) -> None:
    """Have nodes copy every volatile directory from their next boot on."""
    ask(lab.box, "site_setting", {"rows": [{"key": "litecopy", "value": "ALL"}]})


def held(proof: Proof) -> int:
    """Return how many of the large image's files a node found."""
    return sum(path.startswith(f"{DIRECTORY}/bulk/") and path[-1].isdigit() for path in proof.rows)


def cost_nothing(lab: Lab) -> None:
    """Note as facts what the first node read until switch_root, before its image grew and after."""
    small, large = (lab.proofs[lab.first.name, boot] for boot in (1, 2))
    for what, before, after in (
        ("bytes read", small.read.by_read, large.read.by_read),
        ("bytes of all answers", small.read.answers, large.read.answers),
    ):
        seen = f"{before} without, {after} with {held(large) - held(small)} MB more"
        verdict = "" if after - before < GROWTH else ": grown"
        title = f"{what} over NFS until switch_root, {DIRECTORY} laid over"
        lab.saw(title, lab.first.name, seen + verdict, rf"\d{{5,}} without, \d{{5,}} with {MEGABYTES} MB more")


def copied_alike(lab: Lab) -> None:
    """Note as facts what the second node read that copied, and that its copies are what the first node's overlays are."""
    laid, copied = lab.proofs[lab.first.name, 2], lab.proofs[lab.second.name, 2]
    more = copied.read.by_read - laid.read.by_read
    verdict = "" if more > MEGABYTES * 1_000_000 else ": too few"
    seen = f"{copied.read.by_read} with {held(copied)} MB in it{verdict}"
    title = f"bytes read over NFS until switch_root, {DIRECTORY} copied (litecopy)"
    lab.saw(title, lab.second.name, seen, rf"\d+ with {MEGABYTES} MB in it")
    overlays = [path for path, (_status, _source, message) in laid.results.items() if message == "overlay"]
    still = [path for path, (_status, _source, message) in copied.results.items() if message == "overlay"]
    count, differing = alike(laid, copied, overlays)
    wrong = f"{len(differing)} differ: {' '.join(differing[:3])}" if differing else f"{count} paths alike"
    seen = f"{wrong}; {len(overlays)} overlays, {len(still)} with litecopy"
    wanted = r"[2-9]\d\d+ paths alike; [1-9]\d* overlays, 0 with litecopy"
    lab.saw("laid over or copied: names, types, modes, owners, contents", "both", seen, wanted)
