# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny RPM distribution: some ten packages and a group that the real dnf and zypper install in a second.

    fabricate_rpm.py DIRECTORY [VERSION [ARCH]]    make DIRECTORY/archive (rpm-md, signed by DIRECTORY/key.asc) and the files an image needs

Real: RPM packages, their signatures, dependencies, scripts, the metadata; busybox and this machine's rpm inside the image.
Made up: a kernel of a few bytes with its modules.dep, and the dracut of fabricate.py.
`vim` is in VERSION; DIRECTORY/others holds packages without metadata, one of them in a directory of its own.
For another ARCH busybox is that of Debian's package for it, and there is no rpm in the image.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from fabricate import DRACUT, TAKEN, site_files, write_files
from foreign import foreign_busybox

KERNEL = "5.14.0-1.el9.tiny"
KEY_NAME = "Tiny <tiny@localhost>"
MACROS = {
    "_buildshell": "/bin/bash",
    "__os_install_post": "%{nil}",
    "debug_package": "%{nil}",
    "_build_id_links": "none",
    "_binary_payload": "w1.gzdio",
}
BASE = "openssl\nopenssh-server\n@core\nkernel\ndracut-network\n"


class Package(NamedTuple):
    """One package: lines of its spec, its files (texts, `-> target`, `/` for a directory, files of this machine), its scripts."""

    lines: tuple[str, ...] = ()
    files: Mapping[str, str | Path] = MappingProxyType({})
    scripts: Mapping[str, str] = MappingProxyType({})
    version: str = "1"


def libraries(*programs: str) -> dict[str, str | Path]:
    """Return programs of this machine with every library they need, at the places of this machine."""
    files: dict[str, str | Path] = {}
    for program in programs:
        files[f"usr/bin/{Path(program).name}"] = Path(program)
        listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"(/lib\S+)", listed):
            files[f"usr{library}"] = Path(library)
    return files


def base(busybox: Path) -> dict[str, str | Path]:
    """Return what every package stands on: directories, busybox, accounts."""
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    files: dict[str, str | Path] = {f"usr/bin/{applet}": "-> busybox" for applet in applets if applet not in ("rpm", "busybox")}
    files.update({name: f"-> usr/{name}" for name in ("bin", "lib", "lib64")})
    files.update({"usr/sbin": "-> bin", "sbin": "-> bin", "usr/bin/busybox": busybox, "usr/bin/bash": "-> busybox"})
    files.update({"proc/": "/", "boot/": "/", "sys/": "/", "dev/": "/", "tmp/": "/", "run/": "/", "root/": "/"})
    files.update(
        {
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": "root:x:0:\n",
            "etc/shadow": "root:*:19000:0:99999:7:::\n",
            "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
        }
    )
    return files


def rpm_of_target(place: str) -> dict[str, str | Path]:
    """Return this machine's rpm as the image's own, with a database at a place of its own."""
    files = libraries("/usr/bin/rpm", "/usr/bin/rpmdb")
    macros = f"%_dbpath {place}\n%_db_backend sqlite\n"
    files.update({"usr/lib/rpm/macros": Path("/usr/lib/rpm/macros"), "usr/lib/rpm/rpmrc": Path("/usr/lib/rpm/rpmrc")})
    files["usr/lib/rpm/macros.d/macros.tiny"] = macros
    return files


def packages(version: str, busybox: Path) -> dict[str, Package]:
    """Return the distribution. `whole` sees whether scripts have a whole system; `broken`, `stopped`, `speaker` (in Lua)
    and `late` have scripts that fail.
    """
    modules = f"usr/lib/modules/{KERNEL}"
    kernel = {
        f"{modules}/vmlinuz": "a kernel\n",
        f"{modules}/modules.dep": "kernel/fs/nfs/nfs.ko:\nkernel/drivers/net/virtio_net.ko:\n",
        f"{modules}/modules.builtin": "kernel/af_packet.ko\n",
        f"{modules}/config": "# CONFIG_RD_ZSTD is not set\n",
    }
    key = {"post": "echo key > /etc/ssh/ssh_host_ed25519_key"}
    dracut = {"usr/bin/dracut": DRACUT, "etc/dracut.sleep": "0.3\n", "usr/lib/dracut/modules.d/99base/module-setup.sh": "#!/bin/bash\n"}
    network = {f"usr/lib/dracut/modules.d/{name}/module-setup.sh": "#!/bin/bash\n" for name in ("35network-legacy", "95nfs")}
    managed = {f"usr/lib/dracut/modules.d/{name}/module-setup.sh": "#!/bin/bash\n" for name in ("35network-manager", "95nfs")}
    managed["usr/bin/NetworkManager"] = "#!/bin/sh\nexit 0\n"
    whole = "test -e /proc/self/status && test -c /dev/null && test -d /sys/kernel && echo $SITE $PASS > /etc/whole"
    vim: dict[str, str | Path] = {"usr/bin/vim": "#!/bin/sh\nexit 0\n"}
    plain = {"usr/share/doc/%s/copyright": "GPL-2\n"}

    def doc(name: str) -> dict[str, str | Path]:
        return {path % name: text for path, text in plain.items()}

    return {
        "tiny-base": Package(("Provides: system-release bash /bin/sh /bin/bash",), base(busybox)),
        "rpm": Package(("Requires: tiny-base",), rpm_of_target("/usr/lib/sysimage/rpm")),
        "openssl": Package(("Requires: tiny-base",), {"usr/bin/openssl": "#!/bin/sh\nexit 0\n"}),
        "openssh-server": Package(("Requires: openssl", "Requires(post): tiny-base"), {"etc/ssh/sshd_config": "UsePAM yes\n"}, key),
        "dracut": Package(("Requires: tiny-base",), dracut),
        "dracut-network": Package(("Requires: dracut",), network),
        "NetworkManager": Package(("Requires: dracut",), managed),
        "kernel-core": Package(("Requires: tiny-base", "Provides: installonlypkg(kernel)"), kernel, version="5.14.0"),
        "kernel": Package(("Requires: kernel-core",), doc("kernel"), version="5.14.0"),
        "patterns-core": Package(
            ("Requires: tiny-base dracut", "Provides: pattern() = core", "Provides: pattern-visible()"), doc("patterns")
        ),
        "whole": Package(("Requires(post): tiny-base",), {**doc("whole"), TAKEN: "#!/bin/sh\n"}, {"post": whole}),
        "machine": Package(("Requires(post): tiny-base",), doc("machine"), {"post": "uname -m > /etc/machine-of-script"}),
        "nano": Package(("Requires: tiny-base",), doc("nano")),
        "editor": Package(("Requires: vim",), doc("editor")),
        "broken": Package(("Requires(post): tiny-base",), doc("broken"), {"post": "echo 'the broken package says why' >&2; exit 7"}),
        "stopped": Package(("Requires(pre): tiny-base",), doc("stopped"), {"pre": "echo 'the stopped package says why' >&2; exit 8"}),
        "speaker": Package(("Requires: tiny-base",), doc("speaker"), {"post -p <lua>": "error('the speaker package says why')"}),
        "late": Package(("Requires: tiny-base",), doc("late"), {"posttrans": "echo 'the late package says why'; exit 3"}),
        "vim": Package(("Requires: tiny-base",), vim, version=version),
    }


def spec(found: dict[str, Package]) -> str:
    """Return one spec file for all packages."""
    lines = ["Name: tiny", "Version: 1", "Release: 1", "Summary: tiny", "License: GPL-2.0", "%description", "tiny"]
    for name, package in found.items():
        lines += [f"%package -n {name}", f"Version: {package.version}", "Release: 1", "Summary: tiny", "AutoReqProv: no", *package.lines]
        lines += [f"%description -n {name}", "tiny"]
        for script, text in package.scripts.items():
            kind, words, program = script.partition(" -p ")
            lines += [f"%{kind} -n {name} -p {program if words else '/bin/sh'}", text]
        lines += [f"%files -n {name}"]
        for path in package.files:
            lines.append(f"%dir /{path.rstrip('/')}" if path.endswith("/") else f"/{path}")
    return "\n".join([*lines, "%install", "cp -a %{trees}/. %{buildroot}/", ""])


def build(work: Path, target: Path, found: dict[str, Package], arch: str) -> None:
    """Build packages of an architecture into `target` with the real rpmbuild."""
    shutil.rmtree(work / "trees", ignore_errors=True)
    (work / "trees").mkdir(parents=True)
    for package in found.values():
        write_files(work / "trees", package.files)
    (work / "tiny.spec").write_text(spec(found))
    defined = {
        **MACROS,
        "_topdir": f"{work}/rpmbuild",
        "trees": f"{work}/trees",
        "_rpmdir": str(target),
        "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    }
    words = [word for name, value in defined.items() for word in ("--define", f"{name} {value}")]
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--nodeps", "--target", arch, *words, str(work / "tiny.spec")], check=True)


@contextmanager
def gnupg(work: Path) -> Iterator[dict[str, str]]:
    """Give the environment of gpg. Its agent's socket needs a short path, so its directory is reached through a link."""
    (work / "gnupg").mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpg-") as short:
        (Path(short) / "home").symlink_to(work / "gnupg")
        home = {"GNUPGHOME": f"{short}/home", "PATH": os.environ["PATH"], "HOME": str(work)}
        try:
            yield home
        finally:
            subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=home, check=False, capture_output=True)


def sign(work: Path, directory: Path) -> None:
    """Sign every package of `directory` with a key that is made once."""
    with gnupg(work) as home:
        if not (work / "key.asc").exists():
            made = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY_NAME, "rsa2048", "sign", "never"]
            subprocess.run(made, env=home, check=True, capture_output=True)
            public = subprocess.run(["gpg", "--armor", "--export"], env=home, check=True, capture_output=True).stdout
            (work / "key.asc").write_bytes(public)
        paths = sorted(str(path) for path in directory.glob("*.rpm"))
        words = ["--define", f"_gpg_name {KEY_NAME}", "--define", "__gpg /usr/bin/gpg"]
        subprocess.run(["rpmsign", *words, "--addsign", *paths], env=home, check=True, capture_output=True)


COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>core</id><name>Core</name><description/><default>true</default><uservisible>true</uservisible>
<packagelist><packagereq type="mandatory">tiny-base</packagereq><packagereq type="mandatory">dracut</packagereq>
<packagereq type="optional">nano</packagereq></packagelist></group>
<group><id>hollow</id><name>Hollow</name><description/><default>false</default><uservisible>true</uservisible>
<packagelist><packagereq type="mandatory">nano</packagereq><packagereq type="mandatory">nowhere</packagereq></packagelist></group></comps>
"""


def fabricate(work: Path, version: str = "1", arch: str = os.uname().machine) -> None:
    """Make the archive anew, with `vim` in the version given; the other files only where they are missing."""
    native = arch == os.uname().machine
    found = packages(version, Path("/bin/busybox") if native else foreign_busybox(arch))
    if not native:
        del found["rpm"]
    for name in ("archive", "rpmbuild"):
        shutil.rmtree(work / name, ignore_errors=True)
    build(work, work / "archive", found, arch)
    sign(work, work / "archive")
    (work / "comps.xml").write_text(COMPS)
    subprocess.run(["createrepo_c", "--quiet", "-g", str(work / "comps.xml"), str(work / "archive")], check=True)
    if not (work / "others").exists():
        site = {"site-tool": Package(("Requires: tiny-base",), {"usr/bin/site-tool": "#!/bin/sh\nexit 0\n"})}
        build(work, work / "others", site, arch)
        sign(work, work / "others")
        deep = {"deep-tool": Package(("Requires: site-tool",), {"usr/bin/deep-tool": "#!/bin/sh\nexit 0\n"})}
        build(work, work / "others/deep", deep, arch)
    if not (work / "lists").exists():
        site_files(work)
    (work / "lists/base.pkglist").write_text(BASE)


if __name__ == "__main__":
    fabricate(Path(sys.argv[1]).resolve(), *sys.argv[2:])
