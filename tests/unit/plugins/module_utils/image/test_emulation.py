# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers for other architectures, on the kernel's own table, which each user namespace has one of: nothing is seen outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.image import emulation
from ansible_collections.diskless.statelite.plugins.module_utils.image.binfmt import is_static

FOREIGN = sorted(set(emulation.MACHINES) - {os.uname().machine})
INSIDE = """
import json, os, sys
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image import emulation
from ansible_collections.diskless.statelite.plugins.module_utils.image.binfmt import read_and_plan, read_emulation

given = {"architectures": [], "emulators": None, "state": "present", "directory": sys.argv[1]}

def run(**options):
    plan = read_and_plan({**given, **options}, print)
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines

def faults(*architectures):
    return [fault for told in read_emulation({"architectures": architectures}, print)["architectures"] for fault in told["faults"]]

def handlers():
    return sorted(set(os.listdir(emulation.BINFMT)) - {"register", "status"})

told = {}
try:
    exec(sys.stdin.read())
except SiteError as error:
    told["refused"] = str(error)
print(json.dumps(told))
"""


def inside(directory: Path, script: str, *, mounted: bool = True) -> dict[str, Any]:
    """Run a script in a user namespace with a table of handlers of its own; return what it told.

    A namespace has its own table, in place of this machine's, from the first mount on: it is mounted once though it shall not be,
    and where this machine's is mounted something stands before it.
    """
    table = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && "
    table += "" if mounted else "umount /proc/sys/fs/binfmt_misc && mount -t tmpfs none /proc/sys/fs/binfmt_misc && "
    shell = f'{table}exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shell, "sh", sys.executable, "-c", INSIDE, str(directory)]
    done = subprocess.run(
        command, input=script, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("arch", FOREIGN)
def test_a_probe_of_every_architecture_runs_under_its_emulator(arch: str, tmp_path: Path) -> None:
    program = tmp_path / "probe"
    program.write_bytes(emulation.probe_program(arch))
    program.chmod(0o755)
    assert subprocess.run([f"/usr/bin/qemu-{arch}-static", str(program)], check=False).returncode == emulation.PROBE_STATUS


def test_this_machines_own_probe_runs() -> None:
    assert emulation.run_probe(os.uname().machine) is None
    assert emulation.emulation_faults(os.uname().machine) == []


def test_handlers_are_registered_once_work_in_a_chroot_and_go_again(tmp_path: Path) -> None:
    told = inside(
        tmp_path,
        f"""
told["first"] = run(architectures={FOREIGN})
told["again"] = run(architectures={FOREIGN})
told["faults"] = faults(*{FOREIGN})
top = sys.argv[1] + "/chroot"
os.mkdir(top)
with open(top + "/probe", "wb") as stream:
    stream.write(emulation.probe_program("aarch64"))
os.chmod(top + "/probe", 0o755)
pid = os.fork()
if pid == 0:
    os.chroot(top)
    os.execv("/probe", ["probe"])
told["chroot"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
with open(emulation.BINFMT + "/register", "w") as stream:
    stream.write(":of-others:E::others::/bin/true:")
told["files"] = sorted(os.listdir(sys.argv[1]))
told["absent"] = run(architectures={FOREIGN}, state="absent")
told["absent again"] = run(architectures={FOREIGN}, state="absent")
told["left"] = handlers()
told["files left"] = sorted(os.listdir(sys.argv[1]))
""",
    )
    assert len(told["first"]) == 2 * len(FOREIGN)
    assert told["again"] == told["faults"] == told["absent again"] == []
    assert told["chroot"] == emulation.PROBE_STATUS
    assert told["files"] == ["chroot", *(f"qemu-{arch}.conf" for arch in FOREIGN)]
    assert len(told["absent"]) == 2 * len(FOREIGN)
    assert told["left"] == ["of-others"]
    assert told["files left"] == ["chroot"]


def test_each_fault_is_named(tmp_path: Path) -> None:
    told = inside(
        tmp_path,
        """
def register(text):
    with open(emulation.BINFMT + "/register", "w") as stream:
        stream.write(text.strip())

def forget():
    for name in handlers():
        with open(emulation.BINFMT + "/" + name, "w") as stream:
            stream.write("-1")

told["none"] = faults("aarch64")
good = emulation.rule("aarch64", "/usr/bin/qemu-aarch64-static")
register(good.replace(":OF", ":O"))
told["no F"] = faults("aarch64")
forget()
register(good)
with open(emulation.BINFMT + "/qemu-aarch64", "w") as stream:
    stream.write("0")
told["disabled"] = faults("aarch64")
told["mended"] = run(architectures=["aarch64"])
told["after"] = faults("aarch64")
forget()
register(good.replace("/usr/bin/qemu-aarch64-static", sys.argv[1] + "/gone").replace(":OF", ":"))
told["missing"] = faults("aarch64")
forget()
register(good.replace("qemu-aarch64-static", "qemu-ppc64le-static"))
told["wrong"] = faults("aarch64")
asked = os.sysconf
os.sysconf = lambda name: 65536 if name == "SC_PAGE_SIZE" else asked(name)
told["pages"] = faults("aarch64")
os.sysconf = asked
forget()
register(good.replace(":OF", ":O").replace("qemu-aarch64:", "of-others:"))
told["other name"] = [str(fault) for fault in emulation.build_faults("aarch64", "the osimage")]
with open(emulation.BINFMT + "/of-others", "w") as stream:
    stream.write("-1")
register(good.replace("qemu-aarch64:", "of-others:"))
told["other name with F"] = [str(fault) for fault in emulation.build_faults("aarch64", "the osimage")]
told["unknown"] = faults("vax")
""",
    )
    assert "the kernel has no handler qemu-aarch64" in told["none"][0]
    assert "has no flag F" in told["no F"][0]
    assert "is disabled" in told["disabled"][0]
    assert len(told["mended"]) == 2
    assert told["after"] == []
    assert "gone does not exist" in told["missing"][0]
    assert "qemu-ppc64le-static can't run a program" in told["wrong"][0]
    assert "pages of this kernel have 65536 bytes" in told["pages"][0]
    assert "Build on a machine whose kernel has pages of 4096 bytes" in told["pages"][0]
    assert told["other name"][0].startswith("the osimage: architecture aarch64: its programs run here and not in a chroot")
    assert told["other name"][0].endswith("binfmt_qemu, or build the image on a machine of that architecture")
    assert told["other name with F"] == []
    assert "no emulator is known for it" in told["unknown"][0]


def test_a_table_that_is_not_mounted_is_named_and_then_mounted(tmp_path: Path) -> None:
    script = """
told["before"] = faults("aarch64")
told["lines"] = run(architectures=["aarch64"])
told["after"] = faults("aarch64")
"""
    told = inside(tmp_path, script, mounted=False)
    assert "is not mounted" in told["before"][0]
    assert told["lines"][0] == "/proc/sys/fs/binfmt_misc: mounted"
    assert told["after"] == []


def test_what_can_not_work_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    dynamic = tmp_path / "emulators"
    dynamic.mkdir()
    (dynamic / "qemu-aarch64").write_bytes(Path("/bin/cat").read_bytes())
    told = inside(tmp_path / "conf", f"run(architectures=['aarch64', 'riscv64', 'vax'], emulators={str(dynamic)!r})")
    assert "qemu-aarch64 is not linked statically" in told["refused"]
    assert "architecture riscv64: there is no emulator" in told["refused"]
    assert "architecture vax: no emulator is known" in told["refused"]
    assert not (tmp_path / "conf").exists()


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64.conf").write_text("of somebody else\n", encoding="utf-8")
    told = inside(tmp_path, "told['lines'] = run(architectures=['aarch64'], state='absent')")
    assert told["lines"] == []
    told = inside(tmp_path, "run(architectures=['aarch64'])")
    assert "it is somebody else's" in told["refused"]
    assert (tmp_path / "qemu-aarch64.conf").read_text(encoding="utf-8") == "of somebody else\n"


def test_static_programs_are_told_from_others() -> None:
    assert is_static("/usr/bin/qemu-aarch64-static")
    assert not is_static("/bin/cat")
    assert not is_static("/etc/passwd")
