# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel and the initramfs of an image: dracut, run in the image, with the node agent as a module of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence

from ..apply.commands import run_command
from ..apply.root import Root
from ..errors import Fault, SiteError, raise_faults
from .mounts import in_chroot
from .tree import TreeFile, put

AGENT = "statelite"
MODULE_DIRECTORY = f"/usr/lib/dracut/modules.d/95{AGENT}"
BUILT = f"/boot/initrd-{AGENT}.gz"
"""Where dracut writes inside the image; genimage moves it beside rootimg."""

MODULES = ("bash", "base", "kernel-modules", "kernel-network-modules", "network-legacy", "nfs", "udev-rules", "usrmount", AGENT)
"""`network-legacy` by name, or dracut picks systemd-networkd; without kernel-network-modules ours is not installable."""

DRIVERS = ("af_packet", "nfs", "nfsv3", "nfsv4", "overlay", "virtio_net", "virtio_pci")
NETDRIVERS = {
    "x86_64": ("tg3", "bnx2", "bnx2x", "e1000", "e1000e", "igb", "mlx4_en", "be2net"),
    "aarch64": ("tg3", "bnx2", "bnx2x", "e1000e", "igb", "mlx4_en"),
}
"""Network drivers that go in when the kernel has them (behaviour.md f.2); linuximage.netdrivers adds to them."""

KERNEL_NAMES = ("vmlinuz", "vmlinux", "image")
MEND = "Read the lines above; dracut, dracut-network, nfs-common, isc-dhcp-client, iputils-arping and openssl must be in the package list"


def version_key(version: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts kernel versions as people do: 6.1.9 before 6.1.10."""
    return [(1, int(part)) if part.isdigit() else (0, part) for part in re.findall(r"\d+|[^\d.-]+", version)]


def kernel_of(names: Collection[str], wanted: str) -> tuple[str, str]:
    """Return (version, file name) of the kernel to boot from the names in /boot: the one wanted, else the newest.

    Raises SiteError naming the kernels there are.
    """
    there = {}
    for name in names:
        kind, _dash, version = name.partition("-")
        if kind in KERNEL_NAMES and version:
            there[version] = name
    if wanted and wanted not in there:
        found = ", ".join(sorted(there, key=version_key)) or "none"
        raise SiteError.of(
            f"linuximage.kernelver {wanted}",
            f"the image has no such kernel; it has: {found}",
            "Correct kernelver, or leave it unset for the newest",
        )
    if not there:
        raise SiteError.of(
            "/boot of the image", "no kernel was installed", "Add a kernel to the package list, such as linux-image-cloud-amd64"
        )
    version = wanted or max(there, key=version_key)
    return version, there[version]


def driver_names(netdrivers: str) -> list[str]:
    """Return module names from the column: `.ko` cut off, dashes as the kernel writes them."""
    return [re.sub(r"\.ko$", "", item).replace("-", "_") for item in re.split(r"[,\s]+", netdrivers) if item]


def available_drivers(root: Root, version: str) -> set[str]:
    """Return the modules that the image's kernel has, loadable or built in."""
    found = set()
    for name in ("modules.dep", "modules.builtin"):
        text = (root.read(f"/usr/lib/modules/{version}/{name}") or root.read(f"/lib/modules/{version}/{name}") or b"").decode(
            errors="replace"
        )
        found |= {re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(line.split(":")[0])).replace("-", "_") for line in text.splitlines()}
    return found


def chosen_drivers(there: Collection[str], osarch: str, netdrivers: str) -> list[str]:
    """Return the drivers for the initramfs: usual ones that the kernel has, and all that the image names.

    Raises SiteError for a named one that the kernel lacks.
    """
    named = driver_names(netdrivers)
    missing = [name for name in named if name not in there]
    mend = "Correct the name, take it out, or install a kernel package that has it"
    raise_faults(Fault("linuximage.netdrivers", f"the image's kernel has no module {name}", mend) for name in missing)
    usual = [name for name in (*DRIVERS, *NETDRIVERS.get(osarch, ())) if name in there]
    return list(dict.fromkeys([*usual, *named]))


def dracut_arguments(version: str, drivers: Sequence[str]) -> list[str]:
    """Return dracut's arguments: nothing of the builder's hardware, only the modules named."""
    return [
        "--force",
        "--no-hostonly",
        "--no-hostonly-cmdline",
        "--zstd",
        "--kver",
        version,
        "--tmpdir",
        "/tmp",
        "--modules",
        " ".join(MODULES),
        "--drivers",
        " ".join(drivers),
        BUILT,
    ]


def put_agent(root: Root, files: Sequence[TreeFile]) -> None:
    """Write the dracut module into an image under construction; a shell script that dracut sources must be executable."""
    for file in files:
        put(root, TreeFile(f"{MODULE_DIRECTORY}{file.path}", file.content, 0o755 if file.path.endswith(".sh") else file.mode, file.target))


def build_initramfs(rootimg: str, version: str, drivers: Sequence[str], limit: float) -> str:
    """Run dracut inside `rootimg`; return the path of the initramfs it made there."""
    command = in_chroot(rootimg, "sh", "-c", 'exec dracut "$@" 2>&1', "dracut", *dracut_arguments(version, drivers))
    said = run_command(command, limit=limit, mend=MEND, name="dracut")
    if f"Including module: {AGENT}" not in said:
        lines = [line for line in said.splitlines() if AGENT in line] or said.splitlines()[-5:]
        raise SiteError.of("dracut", f"left the node agent out of the initramfs; it said:\n{chr(10).join(lines)}", MEND)
    return rootimg + BUILT
