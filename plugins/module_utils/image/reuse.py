# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the initramfs of the last generation is what dracut would make again after a change of packages.

It is when nothing but packages changed, no script of the site ran in the image, and of what came, went or changed in the tree
nothing is in the initramfs or is something by which dracut decides what goes into one. In doubt dracut runs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes
from ..apply.generations import INITRD, Generation
from ..apply.root import Root
from ..errors import SiteError
from .changes import Changes
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

OWN = ("etc/ld.so.cache",)
"""What dracut makes itself of that which it has taken in."""

LIBRARIES = re.compile(r"/(?:libnss|libnfsidmap|libgcc_s|libkmod|libfido|libcryptsetup|libtss|libp11)[^/]*$")
"""Libraries that dracut takes in by a pattern."""

PATTERN = re.compile(r"lib[\w+.-]{2,}(?=[*?\[])")
"""The beginning of such a pattern in the text of a module; a shorter one says nothing."""

PROGRAMS = ("usr/bin/", "usr/sbin/", "usr/libexec/")
DESCRIBING = ("usr/share/doc/", "usr/share/info/", "usr/share/locale/", "usr/share/man/")

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


def decides(changed: Changes) -> str:
    """Return the first path by which dracut decides, whatever is in the initramfs; empty for none (pure)."""
    return min((path for path in map(normal, changed.paths) if path.startswith(DECIDING)), default="")


def touched(changed: Changes, inside: set[str], words: str) -> str:
    """Return the first path or account that may change the initramfs, empty for none (pure).

    A file counts that is in it, that has the name of a library or a program in it or of a file that a module of dracut names,
    or by which dracut decides; an account, when a module names it.
    """
    named = set(re.findall(r"[\w.+-]+", words))
    patterns = tuple(PATTERN.findall(words))
    names = {os.path.basename(path) for path in inside if ".so" in path or path.startswith(PROGRAMS)}
    systemd = SYSTEMD in inside
    deciding = (*DECIDING, *BY_SYSTEMD) if systemd else DECIDING
    for path in sorted({normal(each) for each in changed.paths}.difference(LINKS, OWN)):
        name = os.path.basename(path)
        program = path.startswith(PROGRAMS) and (name in named or name in names)
        library = ".so" in name and (name in names or name.startswith(patterns) or LIBRARIES.search(f"/{path}"))
        text = "." in name and name in named and not path.startswith(DESCRIBING)
        if path in inside or path.startswith(deciding) or program or library or text:
            return path
    accounts = sorted(changed.accounts if systemd else changed.accounts & named)
    return f"the account {accounts[0]}" if accounts else ""


def changed_inputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what besides the package list differs, empty for nothing."""
    names = sorted({*old, *new} - {"pkglist"})
    differing = [name for name in names if (old.get(name) or None) != (new.get(name) or None)]
    return ", ".join(differing)


def reuse_initramfs(
    definition: Definition, rootimg: str, version: str, inputs: Mapping[str, Any], last: Generation | None, changed: Changes, stage: str
) -> str:
    """Put the initramfs of the generation `last` into `stage` when dracut would make the same; else return why not.

    `changed` is what became of the tree of packages since.
    """
    if last is None or not os.path.isfile(os.path.join(last.path, INITRD)):
        return "there is none before"
    record = last.record()
    others = changed_inputs(record.get("inputs", {}), inputs)
    if others or record.get("kernel_version") != version:
        return f"other inputs changed: {others}" if others else "the kernel changed"
    if definition.postinstall:
        return "scripts of the site run in the image"
    before = os.path.join(last.path, INITRD)
    if changed != Changes():
        found = decides(changed)
        if not found:  # then its members have to be listed
            try:
                inside = members(rootimg, before, definition.installer.order.limit)
            except SiteError as error:
                return error.faults[0].what
            with Root(rootimg) as root:
                found = touched(changed, inside, words_of_dracut(root))
        if found:
            return f"{found} changed with the packages"
    try:
        os.link(before, os.path.join(stage, INITRD))
    except OSError:
        shutil.copy2(before, os.path.join(stage, INITRD))
    return ""
