# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb binfmt_handler: handlers for programs of other architectures, now and at every boot; those of others stay."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..errors import Fault, SiteError, raise_faults
from .emulation import BINFMT, MACHINES, emulation_faults, handler, mounted, read_handler, rule

SPEC: dict[str, Any] = {
    "architectures": {"type": "list", "elements": "str", "required": True},
    "emulators": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "directory": {"type": "path", "default": "/etc/binfmt.d"},
}
"""Options of the module binfmt_handler."""

INFO_SPEC: dict[str, Any] = {"architectures": {"type": "list", "elements": "str", "default": list(MACHINES)}}
MARK = "# Written by the role binfmt_qemu of diskless.statelite.\n"
PLACES = ("/usr/libexec/qemu-binfmt/{arch}-binfmt-P", "/usr/bin/qemu-{arch}-static", "/usr/bin/qemu-{arch}")
"""Where distributions have emulators that are linked statically, the best first."""
PT_INTERP = 3


def is_static(path: str) -> bool:
    """Tell whether a program is an ELF file of 64 bits without an interpreter of its own, so that it runs in every chroot."""
    with open(path, "rb") as stream:
        head = stream.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        order = "<" if head[5] == 1 else ">"
        offset, size, count = struct.unpack_from(f"{order}Q", head, 32)[0], *struct.unpack_from(f"{order}HH", head, 54)
        stream.seek(offset)
        table = stream.read(size * count)
    return all(struct.unpack_from(f"{order}I", table, size * number)[0] != PT_INTERP for number in range(count))


def emulator(arch: str, directory: str | None) -> tuple[str, list[Fault]]:
    """Return the emulator of an architecture, in `directory` when one is given, and what is wrong with it."""
    where = f"architecture {arch}"
    candidates = [os.path.join(directory, f"qemu-{arch}{ending}") for ending in ("-static", "")] if directory else []
    candidates = candidates or [place.format(arch=arch) for place in PLACES]
    path = next((path for path in candidates if os.path.isfile(path)), None)
    if path is None:
        return "", [Fault(where, f"there is no emulator ({', '.join(candidates)})", "Install the package qemu-user-static")]
    if not is_static(path):
        return path, [Fault(where, f"{path} is not linked statically: in a chroot its libraries are not found", "Use a static one")]
    if not os.access(path, os.X_OK):
        return path, [Fault(where, f"{path} is not executable", f"chmod +x {path}")]
    return path, []


class BinfmtPlan:
    """What is to be written for each architecture: the file that binfmt.d(5) reads at boot, and the handler now."""

    def __init__(self, directory: str, interpreters: Mapping[str, str], present: bool, binfmt: str) -> None:
        self._directory = directory
        self._interpreters = interpreters
        self._present = present
        self._binfmt = binfmt
        self._mount = present and bool(interpreters) and not mounted(binfmt)
        self._files = {arch: text for arch in interpreters if read_bytes(self._path(arch)) != (text := self._text(arch))}
        self._handlers = [arch for arch in interpreters if not self._stands(arch)]

    def _path(self, arch: str) -> str:
        return os.path.join(self._directory, f"{handler(arch)}.conf")

    def _text(self, arch: str) -> bytes | None:
        return (MARK + rule(arch, self._interpreters[arch])).encode() if self._present else None

    def _stands(self, arch: str) -> bool:
        found = read_handler(arch, self._binfmt)
        if self._present:
            return found is not None and found.is_rule(arch, self._interpreters[arch])
        return found is None or found.interpreter != self._interpreters[arch]

    def lines(self) -> list[str]:
        """Return a line for the mount, each file and each handler."""
        lines = [f"{self._binfmt}: mounted"] if self._mount else []
        lines += [
            f"{self._path(arch)}: {'removed' if text is None else rule(arch, self._interpreters[arch]).strip()}"
            for arch, text in self._files.items()
        ]
        verb = f"handler {{}}: {'registered' if self._present else 'removed'}"
        return lines + [verb.format(handler(arch)) for arch in self._handlers]

    def result(self) -> dict[str, Any]:
        """Return the interpreter of each architecture."""
        return {"interpreters": dict(self._interpreters) if self._present else {}}

    def apply(self) -> None:
        """Write files first: a run that is killed is finished by the next, and by the next boot. Then see whether it works.

        Raises SiteError when programs of an architecture still don't run.
        """
        for arch, text in self._files.items():
            if text is None:
                os.unlink(self._path(arch))
            else:
                os.makedirs(self._directory, mode=0o755, exist_ok=True)
                write_file(self._path(arch), text)
        if self._mount:
            mend = "Load the module binfmt_misc; in a container, register handlers on its host"
            run_command(["mount", "-t", "binfmt_misc", "binfmt_misc", self._binfmt], limit=60, mend=mend)
        for arch in self._handlers:
            self._tell(arch)
        if self._present:
            raise_faults(fault for arch in self._interpreters for fault in emulation_faults(arch, self._binfmt))

    def _tell(self, arch: str) -> None:
        """Take the kernel's handler of that name away, and register ours; handlers of other names are not touched."""
        try:
            if read_handler(arch, self._binfmt) is not None:
                _write(os.path.join(self._binfmt, handler(arch)), "-1")
            if self._present:
                _write(os.path.join(self._binfmt, "register"), rule(arch, self._interpreters[arch]).strip())
        except OSError as error:
            what = f"the kernel does not take the handler ({error.strerror})"
            raise SiteError.of(f"architecture {arch}", what, "Run as root; in a container, register handlers on its host") from error


def _write(path: str, text: str) -> None:
    """Write in one call, as the kernel wants it."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def read_and_plan(params: Mapping[str, Any], _warn: Callable[[str], None], binfmt: str = BINFMT) -> BinfmtPlan:
    """Return the plan; raises SiteError with every architecture that is not known or has no emulator.

    This machine's own architecture needs none and is left out.
    """
    present = params["state"] == "present"
    faults: list[Fault] = []
    interpreters = {}
    for arch in dict.fromkeys(params["architectures"]):
        if arch not in MACHINES:
            faults.append(Fault(f"architecture {arch}", "no emulator is known for it", f"Use {', '.join(MACHINES)}"))
        elif arch == os.uname().machine:
            continue
        elif present:
            interpreters[arch], wrong = emulator(arch, params["emulators"])
            faults += wrong + _foreign(arch, os.path.join(params["directory"], f"{handler(arch)}.conf"))
        else:
            interpreters.update(_written(arch, os.path.join(params["directory"], f"{handler(arch)}.conf")))
    raise_faults(faults)
    return BinfmtPlan(params["directory"], interpreters, present, binfmt)


def _foreign(arch: str, path: str) -> list[Fault]:
    """Return the fault of a file that somebody else wrote."""
    if not os.path.lexists(path) or _written(arch, path):
        return []
    return [Fault(path, "it is somebody else's", f"Remove it, or leave {arch} out: binfmt_handler_info tells whether its programs run")]


def _written(arch: str, path: str) -> dict[str, str]:
    """Return the interpreter that a file of ours names; nothing where there is no file, or somebody else's."""
    content = read_bytes(path) if os.path.isfile(path) else None
    if content is None or not content.startswith(MARK.encode()):
        return {}
    return {arch: content.decode(errors="surrogateescape").strip().rsplit(":", 2)[-2]}


def read_emulation(params: Mapping[str, Any], _warn: Callable[[str], None]) -> dict[str, Any]:
    """Return for each architecture whether its programs run here, and why not."""
    told = []
    for arch in dict.fromkeys(params["architectures"]):
        faults = emulation_faults(arch)
        told.append({"architecture": arch, "runs": not faults, "faults": [str(fault) for fault in faults]})
    return {"architectures": told}
