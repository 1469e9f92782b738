# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of the lab's nodes: an empty one that the site lets be formatted, one with somebody's data, one that another node had."""

from __future__ import annotations

import json
import re
import subprocess
from hashlib import sha256
from pathlib import Path

from box import Box
from lab import Lab
from processes import run
from qemu import Drive, Node
from reports import SPOOL

SIZE = 128 << 20
LABEL = "statelite"
SHOWN = "srv/disks"
"""Where on the management node the prediction finds a copy of what a node's disk holds."""
ANOTHER = "n9.0123456789abcdef0123456789abcdef"
FORGET = "sync; echo 3 > /proc/sys/vm/drop_caches"


def make(box: Box, log: Path) -> dict[str, tuple[Drive, ...]]:
    """Return new disks by node: the site's list names `precious` first, then `scratch`, by their serial numbers."""
    home = box.directory / "drives"
    contents = {
        "scratch": {},
        "precious": {"data": "years of work\n"},
        "moved": {f"statelite/{ANOTHER}/srv/scratch/theirs": "of another node\n"},
    }
    labels = {"precious": "mine", "moved": LABEL}
    made = {}
    for serial, content in contents.items():
        file = home / f"{serial}.img"
        below = home / serial
        below.mkdir(parents=True)
        for name, text in content.items():
            (below / name).parent.mkdir(parents=True, exist_ok=True)
            (below / name).write_text(text, encoding="utf-8")
        with file.open("wb") as stream:
            stream.truncate(SIZE)
        if serial in labels:
            run(["mkfs.ext4", "-q", "-L", labels[serial], "-d", str(below), str(file)], log=log, limit=60)
        made[serial] = Drive(serial, file)
    return {"n1": (made["scratch"], made["precious"]), "n2": (made["moved"],)}


def labelled(box: Box, name: str) -> Drive:
    """Return a new disk, kept under `name`, with the site's label on its file system."""
    file = box.directory / "drives" / f"{name}.img"
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as stream:
        stream.truncate(SIZE)
    run(["mkfs.ext4", "-q", "-L", LABEL, str(file)], log=box.commands, limit=60)
    return Drive("own", file)


def digest(drive: Drive) -> str:
    """Return a digest of every byte of a disk."""
    return sha256(drive.file.read_bytes()).hexdigest()


def show(lab: Lab, node: Node) -> None:
    """Copy what the disk of a node that is off holds of it to where the prediction looks for it."""
    place = lab.box.directory / SHOWN / node.name
    subprocess.run(["rm", "-rf", "--one-file-system", str(place)], check=True)
    place.mkdir(parents=True)
    for drive in node.drives:
        listed = debugfs(drive, "ls -p /statelite")
        for own in re.findall(rf"/({re.escape(node.name)}\.[0-9a-f]{{32}})/", listed):
            debugfs(drive, f"rdump /statelite/{own} {place}")
            for found in (place / own).iterdir():
                found.rename(place / found.name)
            (place / own).rmdir()


def debugfs(drive: Drive, request: str) -> str:
    """Put one request to the file system on a disk that no node runs with; one without a file system has no answer."""
    return subprocess.run(["debugfs", "-R", request, str(drive.file)], check=False, capture_output=True, text=True).stdout


def report_of(lab: Lab, node: Node) -> str:
    """Return what a node's report says of its disk."""
    disk = json.loads(lab.box.command(f"cat {SPOOL}/{node.name}.json"))["report"].get("disk", {})
    return " ".join(str(disk.get(word)) for word in ("status", "device", "label", "message"))


def before_the_first_boot(lab: Lab) -> None:
    """Remember every byte of the disk that nobody may touch."""
    lab.precious = digest(precious(lab))


def precious(lab: Lab) -> Drive:
    """Return the disk with somebody's data."""
    return next(drive for drive in lab.first.drives if drive.serial == "precious")


def at_the_first_boot(lab: Lab) -> None:
    """Note as facts what became of the disks, and write to the first node's."""
    asked = {
        "on": "findmnt --noheadings --output FSTYPE,SOURCE --target /srv/scratch",
        "content": "cat /etc/local.conf; ls /srv/scratch",
        "written": f"echo 'kept since boot 1' | tee /srv/scratch/kept > /etc/local.conf; {FORGET}; cat /etc/local.conf",
    }
    asked_of_second = {
        "content": "cat /etc/local.conf; ls -A /srv/scratch /.statelite/localdisk",
        "log": "grep 'also holds' /.statelite/statelite.log",
    }
    with lab.progress.stage("n1 and n2 are asked for their own disks", lab.box.commands):
        said, other = lab.talk.ask(lab.first, asked), lab.talk.ask(lab.second, asked_of_second)
    formatted = r"mounted /dev/vd[ab] statelite formatted"
    lab.saw("a listed disk that holds nothing is formatted: the boot report", "n1", report_of(lab, lab.first), formatted)
    told = re.search(r"local disk: (\S+virtio-precious is not formatted: it holds something)", lab.first.said())
    seen = f"{told[1] if told else 'nothing said'}; {as_it_was(lab)}"
    lab.saw("a listed disk that holds somebody's data is left alone", "n1", seen, r".*virtio-precious is not formatted: .*; as it was")
    lab.saw("localdisk entries lie on the formatted one", "n1", said["on"], r"ext4 +/dev/vd[ab]\[/statelite/n1\.[0-9a-f]{32}/srv/scratch\]")
    seen = f"{said['content']}, {said['written']}"
    lab.saw("a localdisk file: first from its level, then as boot 1 wrote it", "n1", seen, "local: as the site has it, kept since boot 1")
    lab.saw("a disk with the site's label needs no list", "n2", report_of(lab, lab.second), r"mounted /dev/vda statelite -")
    own = "local: as the site has it\n/.statelite/localdisk:\netc\nsrv\n\n/srv/scratch:"
    lab.saw("what another node kept on it is not this node's", "n2", other["content"], own)
    lab.saw("and the log tells of it", "n2", other["log"], f"local disk: /dev/vda also holds what {ANOTHER} kept")


def as_it_was(lab: Lab) -> str:
    """Tell whether the disk that nobody may touch still has every byte."""
    return "as it was" if digest(precious(lab)) == lab.precious else "CHANGED"


def at_the_second_boot(lab: Lab) -> None:
    """Note as facts that the first node's disk kept what its first boot wrote."""
    said = lab.talk.ask(lab.first, {"kept": "cat /srv/scratch/kept /etc/local.conf"})
    lab.saw("boot 2: the local disk kept what boot 1 wrote", "n1", said["kept"], "kept since boot 1\nkept since boot 1")
    lab.saw("boot 2: found by its label, not formatted again", "n1", report_of(lab, lab.first), r"mounted /dev/vd[ab] statelite -")
    lab.saw("boot 2: the disk with somebody's data", "n1", as_it_was(lab), "as it was")
