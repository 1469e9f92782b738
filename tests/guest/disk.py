# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that both guests start from: a Debian tree on an ext4 disk image, its kernel, and an initramfs that finds the disk.

No loop device and no bootloader: mke2fs fills the disk from the tree, and QEMU starts the kernel itself.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import network
from box import SOURCES
from places import cached
from preflight import RELEASE
from processes import LabError, output_of, run

FORM = "1"
"""Raised when what is done to the tree below changes, so that a cached disk is not taken."""
PACKAGES = (
    *("apt", "attr", "dbus", "e2fsprogs", "iproute2", "kmod", "linux-image-cloud-amd64", "nfs-common", "nfs-kernel-server"),
    *("openssh-server", "procps", "python3", "python3-apt", "rpcbind", "systemd", "systemd-sysv", "udev"),
)
MACHINES = {"server": ("52:54:00:77:01:01", "10.77.0.1"), "client": ("52:54:00:77:01:0b", "10.77.0.11")}
"""Hardware and network address of each guest; the one disk serves both, and the card says who it is."""
UNWANTED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer")
DRIVERS = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
DISK_SIZE = 3 << 30
STATE_SIZE = 128 << 20
BUILD_LIMIT = 600
BUSYBOX = Path("/bin/busybox")
INIT = """#!/bin/busybox sh
# Finds the disk and goes on with what is on it.
/bin/busybox mount -t devtmpfs dev /dev
for driver in $(/bin/busybox cat /drivers); do
    /bin/busybox insmod "$driver"
done
tries=0
until [ -b /dev/vda ] || [ "$tries" = 300 ]; do
    tries=$((tries + 1))
    /bin/busybox sleep 0.1
done
/bin/busybox mount -t ext4 /dev/vda /disk
exec /bin/busybox switch_root /disk /sbin/init
"""


@dataclass(frozen=True)
class Machine:
    """What QEMU starts: kernel, initramfs, the system's disk and an empty one for state; `key` lets root in."""

    kernel: Path
    initramfs: Path
    disk: Path
    state: Path
    key: Path
    host_key: str


def make_machine(mirror: Path, log: Path) -> Machine:
    """Return the cached machine; make it first when the mirror or what is done to the tree has changed."""
    networks = [word for name, words in MACHINES.items() for word in (name, *words)]
    with cached("guest", [FORM, mirror.name, INIT, *PACKAGES, *networks, *DRIVERS]) as (home, making):
        if making is not None:
            tree = making / "tree"
            include = f"--include={','.join(PACKAGES)}"
            command = ["mmdebstrap", "--variant=minbase", include, "--skip=cleanup/apt/lists", RELEASE, str(tree), SOURCES]
            run(command, log=log, limit=BUILD_LIMIT, environment={"INITRD": "No"})
            furnish(tree, making, log)
            make_initramfs(tree, making, log)
            shutil.copyfile(next((tree / "boot").glob("vmlinuz-*")), making / "kernel")
            fill_disk(making / "disk.ext4", DISK_SIZE, tree, log)
            fill_disk(making / "state.ext4", STATE_SIZE, None, log)
            run(["rm", "-rf", "--one-file-system", str(tree)], log=log, limit=60)
    kernel, initramfs, disk, state, key = (home / name for name in ("kernel", "initramfs", "disk.ext4", "state.ext4", "key"))
    return Machine(kernel, initramfs, disk, state, key, (home / "host_key").read_text(encoding="utf-8"))


def furnish(tree: Path, home: Path, log: Path) -> None:
    """Give the tree what an installer would: addresses by network card, a key that lets root in, no builder's name."""
    etc = tree / "etc"
    for name, (mac, address) in MACHINES.items():
        text = f"[Match]\nMACAddress={mac}\n\n[Network]\nAddress={address}/{network.PREFIX}\nLinkLocalAddressing=no\n"
        (etc / f"systemd/network/10-{name}.network").write_text(text, encoding="utf-8")
    (etc / "systemd/system/multi-user.target.wants/systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    for unit in UNWANTED:
        (etc / "systemd/system" / unit).unlink(missing_ok=True)
        (etc / "systemd/system" / unit).symlink_to("/dev/null")
    (etc / "fstab").write_text("", encoding="utf-8")
    (etc / "machine-id").write_text("", encoding="utf-8")
    (etc / "hostname").unlink(missing_ok=True)
    (etc / "resolv.conf").unlink(missing_ok=True)
    (etc / "resolv.conf").touch()
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "guests", "-f", str(home / "key")], log=log, limit=30)
    ssh = tree / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(home / "key.pub", ssh / "authorized_keys")
    shutil.copyfile(etc / "ssh/ssh_host_ed25519_key.pub", home / "host_key")


def make_initramfs(tree: Path, home: Path, log: Path) -> None:
    """Pack a busybox, the drivers of the disk with what they need, in the order in which they are loaded, and INIT."""
    version = next((tree / "lib/modules").iterdir()).name
    lines = output_of(["modprobe", "-d", str(tree), "-S", version, "--show-depends", "-a", *DRIVERS], log=log, limit=60).splitlines()
    files = dict.fromkeys(Path(line.split()[1]) for line in lines if line.startswith("insmod "))
    if not files:
        raise LabError(f"the kernel {version} has no driver for its disk as a module, which is not what {FORM} was written for")
    root = home / "initramfs.d"
    for name in ("bin", "dev", "disk", "drivers.d"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for file in files:
        shutil.copyfile(file, root / "drivers.d" / file.name)
    (root / "drivers").write_text("".join(f"/drivers.d/{file.name}\n" for file in files), encoding="utf-8")
    (root / "init").write_text(INIT, encoding="utf-8")
    (root / "init").chmod(0o755)
    os.mknod(root / "dev/console", stat.S_IFCHR | 0o600, os.makedev(5, 1))
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    pack = ["cpio", "--create", "--quiet", "--format=newc", f"--directory={root}", f"--file={home / 'initramfs'}"]
    output_of(pack, log=log, limit=60, stdin=names.encode())
    run(["rm", "-rf", "--one-file-system", str(root)], log=log, limit=60)


def fill_disk(disk: Path, size: int, tree: Path | None, log: Path) -> None:
    """Make an ext4 file system in a sparse file, with everything of `tree` in it."""
    with disk.open("wb") as stream:
        os.truncate(stream.fileno(), size)
    content = ["-d", str(tree)] if tree is not None else []
    run(["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", *content, str(disk)], log=log, limit=BUILD_LIMIT)
