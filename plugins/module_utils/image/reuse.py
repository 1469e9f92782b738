# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the initramfs of the last generation is what dracut would make again after a change of packages.

It is when nothing but packages changed, no script of the site ran in the image, and no file of the packages that came, went or
changed is in the initramfs or is something by which dracut decides what goes into one. In doubt dracut runs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes
from ..apply.generations import INITRD, Generation
from ..apply.root import Root
from ..errors import SiteError
from .definition import Definition
from .mounts import in_chroot
from .tree import names_in

DECIDING = (
    "etc/dracut.conf",
    "etc/ld.so.conf",
    "etc/modprobe.d/",
    "etc/modules-load.d/",
    "etc/nsswitch.conf",
    "etc/udev/",
    "usr/lib/dracut/",
    "usr/lib/firmware/",
    "usr/lib/modprobe.d/",
    "usr/lib/modules-load.d/",
    "usr/lib/modules/",
    "usr/lib/udev/",
    "usr/share/dracut/",
)
"""Beginnings of paths by which dracut decides."""

SYSTEMD = "usr/lib/systemd/systemd"
BY_SYSTEMD = (
    "etc/NetworkManager/",
    "etc/dbus-1/",
    "etc/sysctl.d/",
    "etc/systemd/",
    "usr/lib/NetworkManager/",
    "usr/lib/sysctl.d/",
    "usr/lib/systemd/",
    "usr/lib/sysusers.d/",
    "usr/lib/tmpfiles.d/",
    "usr/share/dbus-1/",
)
"""The same where the initramfs has systemd and D-Bus, as NetworkManager needs them."""

LIBRARIES = re.compile(r"/(?:libnss|libnfsidmap|libgcc_s|libkmod|libfido|libcryptsetup|libtss|libp11)[^/]*$")
"""Libraries that dracut takes in by a pattern."""

MERGED = re.compile(r"^(bin|sbin|lib|lib32|lib64|libx32)/")
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories to packages, links to directories in a system that has merged them: what they are does not change with a package."""

MODULES = "/usr/lib/dracut/modules.d"
ASKED_FOR = re.compile(r"[0-9]*debug")
"""A module of many programs that comes in only where a person asks for it; genimage does not."""

LISTED = (
    'case $(od -An -tx1 -N4 "$1" | tr -d " ") in 28b52ffd) zstd -dc "$1" ;; 1f8b*) gzip -dc "$1" ;; *) exit 1 ;; esac | cpio -t 2>/dev/null'
)


def normal(path: str) -> str:
    """Return a path as a system with merged directories has it, without a slash before it."""
    return MERGED.sub(r"usr/\1/", re.sub(r"^(?:\./|/)+", "", path))


def members(rootimg: str, initramfs: str, limit: float) -> set[str]:
    """Return the paths in an initramfs, read with the image's own tools; raises SiteError when it has a form they don't read."""
    script = f"set -e; cat > /tmp/initramfs; set -- /tmp/initramfs; {LISTED}"
    said = run_command(
        in_chroot(rootimg, "sh", "-c", script),
        limit=limit,
        mend="dracut makes another one",
        stdin=read_bytes(initramfs) or b"",
        name="cpio",
    )
    found = {normal(line) for line in said.splitlines() if line.strip()}
    if not any("/" in path for path in found):
        raise SiteError.of(initramfs, "its members can't be listed", "dracut makes another one")
    return found


def words_of_dracut(root: Root) -> str:
    """Return the texts by which dracut's modules say what they take in when it is there."""
    texts = [
        root.read(f"{MODULES}/{name}/module-setup.sh") or b""
        for name in names_in(root, MODULES)
        if not ASKED_FOR.fullmatch(name) and root.lstat(f"{MODULES}/{name}/module-setup.sh") is not None
    ]
    return b"\n".join(texts).decode(errors="replace")


def touched(paths: Iterable[str], inside: set[str], words: str) -> str:
    """Return the first path that may change the initramfs, empty for none (pure)."""
    named = set(re.findall(r"[\w.+-]+", words))
    deciding = (*DECIDING, *BY_SYSTEMD) if SYSTEMD in inside else DECIDING
    for path in sorted({normal(each) for each in paths}.difference(LINKS)):
        program = path.startswith(("usr/bin/", "usr/sbin/", "usr/libexec/")) and os.path.basename(path) in named
        if path in inside or path.startswith(deciding) or LIBRARIES.search(f"/{path}") or program:
            return path
    return ""


def changed_inputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what besides the package list differs, empty for nothing."""
    names = sorted({*old, *new} - {"pkglist"})
    differing = [name for name in names if (old.get(name) or None) != (new.get(name) or None)]
    return ", ".join(differing)


def reuse_initramfs(
    definition: Definition, rootimg: str, version: str, inputs: Mapping[str, Any], last: Generation | None, paths: set[str], stage: str
) -> str:
    """Put the initramfs of the generation `last` into `stage` when dracut would make the same; else return why not.

    `paths` are the files, without directories, of the packages that came, went or changed.
    """
    if last is None or not os.path.isfile(os.path.join(last.path, INITRD)):
        return "there is none before"
    record = last.record()
    changed = changed_inputs(record.get("inputs", {}), inputs)
    if changed or record.get("kernel_version") != version:
        return f"other inputs changed: {changed}" if changed else "the kernel changed"
    if definition.postinstall:
        return "scripts of the site run in the image"
    before = os.path.join(last.path, INITRD)
    if paths:
        try:
            inside = members(rootimg, before, definition.installer.order.limit)
        except SiteError as error:
            return error.faults[0].what
        with Root(rootimg) as root:
            found = touched(paths, inside, words_of_dracut(root))
        if found:
            return f"{found} is of a package that changed"
    try:
        os.link(before, os.path.join(stage, INITRD))
    except OSError:
        shutil.copy2(before, os.path.join(stage, INITRD))
    return ""
