# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of other architectures: how the kernel is told to run them by qemu (binfmt_misc), and whether it does.

Source of the rules: the kernel's Documentation/admin-guide/binfmt-misc.rst, binfmt.d(5), elf(5).
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from ..apply.commands import ENVIRONMENT, last_lines
from ..apply.scratch import scratch
from ..errors import Fault

BINFMT = "/proc/sys/fs/binfmt_misc"
PROBE_STATUS = 42
PROBE_LIMIT = 30.0
"""Seconds that a program of three instructions may take."""
LITTLE, BIG = "<", ">"
ROLE = "Run the role diskless.statelite.binfmt_qemu"


@dataclass(frozen=True)
class Machine:
    """An architecture as ELF headers have it: e_machine, byte order, e_flags, and the instructions of exit(42)."""

    number: int
    order: str
    flags: int
    leave: bytes


MACHINES: Mapping[str, Machine] = {
    "aarch64": Machine(183, LITTLE, 0, struct.pack("<III", 0xD2800540, 0xD2800BA8, 0xD4000001)),
    "ppc64le": Machine(21, LITTLE, 2, struct.pack("<III", 0x3860002A, 0x38000001, 0x44000002)),
    "ppc64": Machine(21, BIG, 2, struct.pack(">III", 0x3860002A, 0x38000001, 0x44000002)),
    "s390x": Machine(22, BIG, 0, bytes.fromhex("a729002a0a01")),
    "riscv64": Machine(243, LITTLE, 4, struct.pack("<III", 0x02A00513, 0x05D00893, 0x00000073)),
    "x86_64": Machine(62, LITTLE, 0, bytes.fromhex("b83c000000bf2a0000000f05")),
}
"""The architectures that images are built for; 64 bits all of them."""


def _identity(machine: Machine) -> bytes:
    """Return e_ident, e_type (an executable) and e_machine."""
    return b"\x7fELF" + bytes((2, 1 if machine.order == LITTLE else 2, 1)) + bytes(9) + struct.pack(f"{machine.order}HH", 2, machine.number)


def pattern(arch: str) -> tuple[bytes, bytes]:
    """Return (magic, mask): the first 20 bytes of its programs. The mask lets the ABIs 0 to 3 through (System V, GNU),
    and position-independent programs (ET_DYN) beside others (ET_EXEC).
    """
    kind = struct.pack(f"{MACHINES[arch].order}H", 0xFFFE)
    return _identity(MACHINES[arch]), b"\xff" * 7 + b"\xfc" + b"\xff" * 8 + kind + b"\xff\xff"


def probe_program(arch: str) -> bytes:
    """Return the smallest program of an architecture: it leaves with status 42 and needs no library."""
    machine = MACHINES[arch]
    base, size = 0x10000000, 120 + len(machine.leave)
    words = (1, base + 120, 64, 0, machine.flags, 64, 56, 1, 0, 0, 0)
    header = _identity(machine) + struct.pack(f"{machine.order}IQQQIHHHHHH", *words)
    segment = struct.pack(f"{machine.order}IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x10000)
    return header + segment + machine.leave


def rule(arch: str, interpreter: str) -> str:
    """Return the line that registers qemu for an architecture, as binfmt.d(5) and the kernel take it.

    F opens the interpreter now, so that it is there in every chroot; O hands the program over open. Debian's emulators called
    ARCH-binfmt-P understand P, which keeps the name that the program was called by.
    """
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in each) for each in pattern(arch))
    return f":{handler(arch)}:M::{magic}:{mask}:{interpreter}:{flags_of(interpreter)}\n"


def flags_of(interpreter: str) -> str:
    """Return the flags that an interpreter is registered with."""
    return "OPF" if interpreter.endswith("-binfmt-P") else "OF"


def handler(arch: str) -> str:
    """Return the name of the handler, which is the one that distributions use."""
    return f"qemu-{arch}"


@dataclass(frozen=True)
class Handler:
    """A handler as the kernel has it."""

    enabled: bool
    interpreter: str
    flags: frozenset[str]
    magic: str
    mask: str

    def is_rule(self, arch: str, interpreter: str) -> bool:
        """Tell whether it does what `rule` says."""
        magic, mask = pattern(arch)
        same = (self.magic, self.mask) == (magic.hex(), mask.hex())
        return self.enabled and same and self.interpreter == interpreter and self.flags == frozenset(flags_of(interpreter))


def read_handler(arch: str, binfmt: str = BINFMT) -> Handler | None:
    """Return the handler that the kernel has for an architecture, None when it has none."""
    try:
        with open(os.path.join(binfmt, handler(arch)), encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read()
    except OSError:
        return None
    cells = dict(re.findall(r"^(interpreter|flags:|magic|mask) ?(.*)$", text, re.MULTILINE))
    flags = frozenset(cells.get("flags:", "").strip())
    return Handler(text.startswith("enabled"), cells.get("interpreter", ""), flags, cells.get("magic", ""), cells.get("mask", ""))


def mounted(binfmt: str = BINFMT) -> bool:
    """Tell whether the kernel's table of handlers is there."""
    return os.path.exists(os.path.join(binfmt, "register"))


def run_probe(arch: str, chrooted: bool = False) -> str | None:
    """Run a program of an architecture; return None when it does what it says, else what happened instead.

    `chrooted` runs it with an empty directory as its root, as everything of an image runs; that takes root.
    """
    with scratch("probe") as directory:
        path = os.path.join(directory, f"probe-{arch}")
        with open(path, "wb") as stream:
            stream.write(probe_program(arch))
        os.chmod(path, 0o755)
        command = ["chroot", directory, f"/probe-{arch}"] if chrooted else [path]
        try:
            done = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return f"it did not end within {PROBE_LIMIT:g} s"
        except OSError as error:
            return error.strerror or str(error)
    if done.returncode == PROBE_STATUS:
        return None
    said = last_lines(done.stderr.decode(errors="replace"), 2).replace("\n", "; ")
    return f"it ended with status {done.returncode}" + (f": {said}" if said else "")


def emulation_faults(arch: str, binfmt: str = BINFMT) -> list[Fault]:
    """Return why programs of an architecture can't be run here, in every chroot, now and after the next boot; none when they can."""
    where = f"architecture {arch}"
    if arch == os.uname().machine:
        return []
    if arch not in MACHINES:
        return [Fault(where, "no emulator is known for it", f"Use {', '.join(MACHINES)}")]
    found = read_handler(arch, binfmt)
    happened = run_probe(arch)
    if happened is not None:
        return [_cause(arch, found, happened, binfmt)]
    if found is None:
        return _unknown(arch)
    faults = []
    if "F" not in found.flags:
        what = f"the handler {handler(arch)} has no flag F: in a chroot {found.interpreter} is not found"
        faults.append(Fault(where, what, ROLE))
    if not os.path.exists(found.interpreter):
        what = f"{found.interpreter} is gone: the handler {handler(arch)} works until this machine boots again"
        faults.append(Fault(where, what, ROLE))
    return faults


def _unknown(arch: str) -> list[Fault]:
    """Return the fault of programs that run by a handler of another name, or one that this container does not see."""
    happened = run_probe(arch, chrooted=True) if os.geteuid() == 0 else None
    if happened is None:
        return []
    what = f"its programs run here and not in a chroot ({happened}): whatever runs them is registered without flag F"
    return [Fault(f"architecture {arch}", what, ROLE)]


def build_faults(osarch: str, where: str) -> list[Fault]:
    """Return why this machine can't build an image of the architecture that the place `where` declares; none for its own."""
    mend = "{0}, or build the image on a machine of that architecture"
    return [Fault(where, f"{fault.where}: {fault.what}", mend.format(fault.mend)) for fault in emulation_faults(osarch)]


def _cause(arch: str, found: Handler | None, happened: str, binfmt: str) -> Fault:
    """Return the fault of an architecture whose programs don't run."""
    where = f"architecture {arch}"
    if not mounted(binfmt):
        return Fault(where, f"{binfmt} is not mounted, the kernel knows no handlers ({happened})", f"{ROLE}; in a container, on its host")
    if found is None:
        return Fault(where, f"the kernel has no handler {handler(arch)} ({happened})", ROLE)
    if not found.enabled:
        return Fault(where, f"the handler {handler(arch)} is disabled", f"echo 1 > {binfmt}/{handler(arch)}, or run the role binfmt_qemu")
    if not os.path.exists(found.interpreter) and "F" not in found.flags:
        return Fault(where, f"the handler's interpreter {found.interpreter} does not exist", ROLE)
    if os.sysconf("SC_PAGE_SIZE") > 4096:
        what = f"{found.interpreter} can't run a program here ({happened}); pages of this kernel have {os.sysconf('SC_PAGE_SIZE')} bytes"
        return Fault(where, what, "Build on a machine whose kernel has pages of 4096 bytes, or of that architecture")
    return Fault(where, f"{found.interpreter} can't run a program ({happened})", "Install another version of qemu-user-static")
