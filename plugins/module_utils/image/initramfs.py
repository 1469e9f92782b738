# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel and the initramfs of an image: dracut, run in the image, with the node agent as a module of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence

from ..apply.commands import run_command
from ..apply.generations import IN_MEMORY, INITRD
from ..apply.root import Root
from ..errors import Fault, SiteError, raise_faults
from .mounts import in_chroot
from .tree import TreeFile, names_in, put

AGENT = "statelite"
MODULE_DIRECTORY = f"/usr/lib/dracut/modules.d/95{AGENT}"
BUILT = f"/boot/initrd-{AGENT}.gz"
"""Where dracut writes inside the image; genimage moves it beside rootimg."""

LEGACY, MANAGER = "network-legacy", "network-manager"
"""Modules of dracut that get a node its address: the older one by dhclient, and NetworkManager's own where a release has no other."""

OF_NETWORK = {LEGACY: (LEGACY,), MANAGER: ("systemd", "systemd-initrd", "dracut-systemd", MANAGER)}
"""NetworkManager takes D-Bus and so systemd, in the initramfs too, and then dracut's hooks run as its units."""

MODULES = ("bash", "base", "kernel-modules", "kernel-network-modules")
FURTHER = ("nfs", "udev-rules", "usrmount", AGENT)
"""The network's module by name, or dracut picks systemd-networkd; without kernel-network-modules ours is not installable."""

DRIVERS = ("af_packet", "nfs", "nfsv3", "nfsv4", "overlay", "virtio_net", "virtio_pci")
NETDRIVERS = {
    "x86_64": ("tg3", "bnx2", "bnx2x", "e1000", "e1000e", "igb", "mlx4_en", "be2net"),
    "aarch64": ("tg3", "bnx2", "bnx2x", "e1000e", "igb", "mlx4_en"),
    "ppc64le": ("ibmveth", "ibmvnic", "tg3", "bnx2x", "e1000e", "igb", "i40e", "mlx4_en", "mlx5_core"),
}
"""Network drivers that go in when the kernel has them (behaviour.md f.2, but for ppc64le, where the original has none);
linuximage.netdrivers adds to them."""

KERNEL_NAMES = ("vmlinuz", "vmlinux", "image", "Image")
PACKED = {"zstd": ("--compress", "zstd -9 -q -T0"), "gzip": ("--gzip",)}
"""dracut's words for a form. It would take zstd's level 15: eight times the work for an initramfs that is one percent smaller."""

RESCUE = "0-rescue-"
"""Of Enterprise Linux: a second name of a kernel that belongs to one machine."""

MEND = "Read the lines above; dracut with its network part, a client of NFS, one of DHCP, arping and openssl must be in the package list"


def version_key(version: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts kernel versions as people do: 6.1.9 before 6.1.10."""
    return [(1, int(part)) if part.isdigit() else (0, part) for part in re.findall(r"\d+|[^\d.-]+", version)]


def kernels(root: Root) -> dict[str, str]:
    """Return version and path of each kernel in an image: beside its modules, as newer packages have it, else in /boot."""
    found = {}
    for version in names_in(root, "/usr/lib/modules"):
        for name in names_in(root, f"/usr/lib/modules/{version}"):
            if name in KERNEL_NAMES:
                found[version] = f"/usr/lib/modules/{version}/{name}"
    for name in names_in(root, "/boot"):
        kind, _dash, version = name.partition("-")
        if kind in KERNEL_NAMES and version and not version.startswith(RESCUE):
            found.setdefault(version, f"/boot/{name}")
    return found


def kernel_of(there: Mapping[str, str], wanted: str) -> tuple[str, str]:
    """Return (version, path) of the kernel to boot: the one wanted, else the newest.

    Raises SiteError naming the kernels there are.
    """
    if wanted and wanted not in there:
        found = ", ".join(sorted(there, key=version_key)) or "none"
        raise SiteError.of(
            f"linuximage.kernelver {wanted}",
            f"the image has no such kernel; it has: {found}",
            "Correct kernelver, or leave it unset for the newest",
        )
    if not there:
        raise SiteError.of(
            "/boot of the image",
            "no kernel was installed",
            "Add a kernel to the package list, such as linux-image-cloud-amd64, kernel or kernel-default",
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


def network_of(root: Root) -> str:
    """Return the module by which the image's dracut sets the network up: the older one where its DHCP client is there.

    Raises SiteError when the image has neither that nor NetworkManager with its module.
    """
    names = {re.sub(r"^[0-9]+", "", name) for name in names_in(root, "/usr/lib/dracut/modules.d")}
    client = any(root.lstat(root.resolve(f"{place}/dhclient")) is not None for place in ("/usr/sbin", "/sbin"))
    manager = MANAGER in names and root.lstat(root.resolve("/usr/sbin/NetworkManager")) is not None
    if not names or (LEGACY in names and (client or not manager)):
        return LEGACY
    if manager:
        return MANAGER
    what = f"has no module {LEGACY}, and the image no NetworkManager with the module {MANAGER}, to get a node its address"
    mend = "Add dracut-network, and a DHCP client (dhclient) or NetworkManager, to the package list"
    raise SiteError.of("dracut of the image", what, mend)


def compression(root: Root, version: str) -> str:
    """Return how the initramfs is packed: zstd where the image has it and the kernel can read it (not that of Enterprise Linux 8)."""
    if root.lstat("/usr/bin/zstd") is None:
        return "gzip"
    places = (f"/boot/config-{version}", f"/usr/lib/modules/{version}/config")
    config = b"".join(root.read(place) or b"" for place in places if root.lstat(place) is not None)
    return "zstd" if not config or b"\nCONFIG_RD_ZSTD=y\n" in b"\n" + config else "gzip"


def dracut_arguments(version: str, drivers: Sequence[str], packed: str = "zstd", network: str = LEGACY) -> list[str]:
    """Return dracut's arguments: nothing of the builder's hardware, only the modules named."""
    return [
        "--force",
        "--no-hostonly",
        "--no-hostonly-cmdline",
        *PACKED[packed],
        "--kver",
        version,
        "--tmpdir",
        "/tmp",
        "--modules",
        " ".join((*MODULES, *OF_NETWORK[network], *FURTHER)),
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
    with Root(rootimg) as root:
        arguments = dracut_arguments(version, drivers, compression(root, version), network_of(root))
    command = in_chroot(rootimg, "sh", "-c", 'exec dracut "$@" 2>&1', "dracut", *arguments)
    said = run_command(command, limit=limit, mend=MEND, name="dracut")
    if f"Including module: {AGENT}" not in said:
        lines = [line for line in said.splitlines() if AGENT in line] or said.splitlines()[-5:]
        raise SiteError.of("dracut", f"left the node agent out of the initramfs; it said:\n{chr(10).join(lines)}", MEND)
    return rootimg + BUILT


def fetches(root: Root) -> bool:
    """Return whether an initramfs made in this image can fetch a packed root, and unpack it."""
    return all(any(root.lstat(f"{place}/{tool}") is not None for place in ("/usr/bin", "/bin")) for tool in ("curl", "cpio", "tar", "gzip"))


def link_stateless(root: Root, stage: str, provmethod: str) -> None:
    """Give the initramfs the second name under which nodes with a root in memory fetch it: one run of dracut makes it for both.

    Raises SiteError for an image of stateless nodes that lacks what fetches its root.
    """
    if fetches(root):
        os.link(os.path.join(stage, INITRD), os.path.join(stage, IN_MEMORY))
    elif provmethod == "netboot":
        mend = "Add curl, cpio, tar and gzip to the package list"
        raise SiteError.of("initramfs", "a stateless node fetches its root by curl and unpacks it, which the image has not all", mend)
