# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be seen of images of other architectures, and of the machines that boot from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from box import Box
from facts import Fact
from machines import Machine
from nodes import Talk
from processes import LabError, tail

PROBE = "/usr/lab-probe"
QUESTIONS = {
    "machine": "uname -m",
    "root": "findmnt -no FSTYPE,OPTIONS /",
    "write": f"touch {PROBE}; if [ -e {PROBE} ]; then echo WRITTEN; fi",
    "state": "systemctl is-system-running; systemctl --failed --no-legend --plain",
    "login": 'echo "$(id -un)@$(hostname)"',
    "motd": "cat /etc/motd",
    "pieces": "cat /etc/issue.net",
    "link": "readlink /etc/issue; echo 'written here' > /etc/issue; cat /etc/issue",
    "kept": "echo kept > /var/lib/site/kept; cat /var/lib/site/kept",
    "lease": "systemctl is-active 'statelite-lease@*'",
    "line": "cat /proc/cmdline",
}


def image(osarch: str) -> str:
    """Return the directory of the image of an architecture on the management node."""
    return f"/install/netboot/debian12/{osarch}/compute"


def of_a_refusal(box: Box, log: Path, refused: bool) -> Iterator[Fact]:
    """Read why images were not built, and whether anything was written for them."""
    text = log.read_text(encoding="utf-8", errors="replace") if refused else "nothing was refused"
    told = re.search(r"table osimage, imagename debian12-aarch64, column osarch: architecture aarch64: [^\n]*?binfmt_qemu", text)
    wanted = r"table osimage, .* (?:is not mounted|has no handler).*Run the role diskless\.statelite\.binfmt_qemu"
    yield Fact("a foreign image without emulators is refused by name", "mn1", told[0] if told else tail(log, 3), wanted)
    written = box.command("find /install/netboot -mindepth 1 2> /dev/null || true").strip()
    yield Fact("what the refused build wrote", "mn1", written or "nothing", "nothing")


def of_the_image(box: Box, osarch: str) -> Iterator[Fact]:
    """Read what genimage recorded and run a program of the image, which is no program of this machine."""
    record = json.loads(box.command(f"cat {image(osarch)}/generations/1/record.json"))
    told = f"{record['seconds']:.0f} s, {len(record['packages'])} packages, kernel {record['kernel_version']}"
    yield Fact("an image built under emulation: seconds, packages, kernel", osarch, told, r"\d+ s, \d{3} packages, kernel 6\.\S+")
    ran = box.command(f"chroot {image(osarch)}/generations/1/rootimg uname -m").strip()
    yield Fact("a program of the image, on the management node", osarch, ran, osarch)
    left = box.command(f"ls {image(osarch)}/generations/1/rootimg/usr/bin | grep ^qemu- || true").strip()
    yield Fact("emulators left in the image", osarch, left or "none", "none")


def of_the_boot(done: re.Match[str], osarch: str) -> Fact:
    """Return what the agent said at its end."""
    said = f"image={done[1]} generation={done[2]} plan={done[3]} failed={done[5]}"
    return Fact(
        "the agent, before the root file system was entered", osarch, said, f"image=debian12-{osarch} generation=1 plan=service failed=0"
    )


def of_the_node(talk: Talk, node: Machine, osarch: str) -> Iterator[Fact]:
    """Ask a running node what it is."""
    said = talk.ask(node, QUESTIONS)
    yield Fact("uname -m", node.name, said["machine"], osarch)
    yield Fact("the root file system", node.name, said["root"], r"nfs4? +ro,.*")
    yield Fact("the root refuses a write", node.name, said["write"], r"(?!.*WRITTEN).*Read-only file system.*")
    yield Fact("systemctl is-system-running; failed units (none)", node.name, said["state"], "running")
    yield Fact("an ssh login with the site's key", node.name, said["login"], f"root@{node.name}")
    yield Fact("a level by $nodetype.arch, in bind attachment", node.name, said["motd"], f"You are on an? {osarch} node\\.")
    yield Fact(
        "a con entry: the image's content, then the level's piece", node.name, said["pieces"], f"Debian GNU/Linux 12\npiece of {osarch}"
    )
    yield Fact("a link entry takes a write", node.name, said["link"], r"\.\./\.statelite/tmpfs/etc/issue\nwritten here")
    yield Fact("a persistent entry takes a write", node.name, said["kept"], "kept")
    yield Fact("the lease is looked after", node.name, said["lease"], "active")


def of_the_state(box: Box, node: Machine) -> Fact:
    """Return what the node's persistent entry came to on the state server."""
    return Fact(
        "the node's state on the management node", node.name, box.command(f"cat /srv/state/{node.name}/var/lib/site/kept").strip(), "kept"
    )


def of_the_firmware(box: Box, node: Machine) -> Fact:
    """Return what the firmware and its boot loader asked the management node for, as dnsmasq logged it."""
    said = box.command("journalctl --unit dnsmasq --quiet --output=cat | grep 'sent /tftpboot'")
    asked = [path for path in re.findall(r"sent (/tftpboot/\S+) to (\S+)", said) if path[1] == node.address]
    if not asked:
        raise LabError(f"the management node sent {node.name} nothing by TFTP")
    names = " ".join(path.removeprefix("/tftpboot/") for path, _address in asked)
    return Fact(
        "UEFI PXE: loader, boot file, kernel, initramfs by TFTP", node.name, names, r".*boot/grub2/.*kernel.*initrd-statelite\.gz.*"
    )
