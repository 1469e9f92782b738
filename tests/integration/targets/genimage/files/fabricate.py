# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny distribution: an apt archive of some ten packages that the real mmdebstrap installs in seconds.

    fabricate.py DIRECTORY         make DIRECTORY/archive (dists/bookworm/main, unsigned) and the files an image needs

Real: dpkg, tar, busybox and their libraries, copied from this machine, maintainer scripts, dependencies, configuration.
Made up: a kernel of a few bytes with its modules.dep, and a dracut that packs the named modules into a cpio archive.
There is no /proc: where busybox finds itself in it, its env runs the dpkg of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

KERNEL = "6.1.0-1-tiny"
PROGRAMS = ("/usr/bin/dpkg", "/usr/bin/dpkg-deb", "/usr/bin/dpkg-query", "/usr/bin/dpkg-split", "/bin/tar", "/sbin/ldconfig")
TAKEN = "usr/lib/dracut/modules.d/95nfs/whole.sh"
"""What the package `whole` has dracut take into the initramfs."""

DRACUT = r"""#!/bin/sh
# A dracut for the tiny distribution: packs its modules' files as the real one's options say.
set -e
while [ $# -gt 0 ]; do
    case $1 in
    --kver) kver=$2; shift ;;
    --modules) modules=$2; shift ;;
    --drivers) drivers=$2; shift ;;
    --tmpdir) tmp=$2; shift ;;
    --*) ;;
    *) output=$1 ;;
    esac
    shift
done
work=$tmp/dracut.work
rm -rf "$work"
mkdir -p "$work/lib/modules/$kver"
echo "$drivers" > "$work/lib/modules/$kver/drivers"
for module in $modules; do
    for directory in /usr/lib/dracut/modules.d/[0-9][0-9]"$module"; do
        [ -d "$directory" ] || continue
        cp -a "$directory" "$work/"
        echo "dracut: *** Including module: $module ***"
    done
done
sleep "$(cat /etc/dracut.sleep)"
(cd "$work" && find . | cpio -o -H newc | gzip -n) > "$output"
"""


def stanza(name: str, *lines: str, version: str = "1") -> str:
    return "\n".join(
        [
            f"Package: {name}",
            f"Version: {version}",
            "Architecture: amd64",
            "Maintainer: nobody <nobody@localhost>",
            *lines,
            "Description: tiny",
            "",
        ]
    )


def write_files(tree: Path, files: Mapping[str, str | Path]) -> None:
    """Write texts, `-> target` for links, `/` for directories, and copies of files of this machine below `tree`."""
    for path, content in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copy(content, target)
        elif content == "/":
            target.mkdir(exist_ok=True)
        elif content.startswith("-> "):
            target.symlink_to(content[3:])
        else:
            target.write_text(content)
            target.chmod(0o755 if content.startswith("#!") else 0o644)


def package(work: Path, control: str, files: dict[str, str | Path], into: str = "archive/pool", **scripts: str) -> None:
    """Build one .deb from texts, and from files of this machine that are copied, in the directory `into` below `work`."""
    name = re.search(r"^Package: (.*)$", control, re.MULTILINE).group(1)
    tree = work / "trees" / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(control)
    for script, text in scripts.items():
        (tree / "DEBIAN" / script).write_text(text)
        (tree / "DEBIAN" / script).chmod(0o755)
    write_files(tree, files)
    pool = work / into
    pool.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", "-Znone", str(tree), str(pool)], check=True, capture_output=True)


def programs() -> dict[str, str | Path]:
    """Return dpkg, tar, busybox and every library they need, at the places of this machine."""
    files: dict[str, str | Path] = {"usr/bin/busybox": Path("/bin/busybox")}
    for program in PROGRAMS:
        files[f"usr/bin/{Path(program).name}" if "ldconfig" not in program else "usr/sbin/ldconfig"] = Path(program)
        listed = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
        for library in re.findall(r"(/lib\S+)", listed):
            files[f"usr{library}"] = Path(library)
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    files.update({f"usr/bin/{applet}": "-> busybox" for applet in applets if f"usr/bin/{applet}" not in files})
    files.update({name: f"-> usr/{name}" for name in ("bin", "sbin", "lib", "lib64")})
    return files


def packages(work: Path, extra_version: str) -> None:
    """Build the ten packages; `vim` is the one that lists add and repositories renew."""
    essential = ("Essential: yes", "Priority: required")
    accounts = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n_apt:x:42:65534::/nonexistent:/bin/false\n",
        "etc/group": "root:x:0:\nshadow:x:42:\nmail:x:8:\nutmp:x:43:\n",
        "etc/shadow": "root:*:19000:0:99999:7:::\n",
        "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
        "root/.profile": "",
    }
    package(work, stanza("base-files", *essential), accounts)
    package(work, stanza("tiny-programs", *essential, "Provides: dpkg, tar"), programs())
    package(work, stanza("apt", "Priority: required"), {"usr/share/doc/apt/copyright": "GPL-2+\n"})
    package(work, stanza("openssl"), {"usr/bin/openssl": "#!/bin/sh\nexit 0\n"})
    package(
        work,
        stanza("openssh-server", "Depends: openssl"),
        {"etc/ssh/sshd_config": "UsePAM yes\n"},
        postinst="#!/bin/sh\necho key > /etc/ssh/ssh_host_ed25519_key\n",
    )
    package(
        work,
        stanza("dracut"),
        {"usr/bin/dracut": DRACUT, "etc/dracut.sleep": "0.3\n", "usr/lib/dracut/modules.d/99base/module-setup.sh": "#!/bin/bash\n"},
    )
    package(
        work,
        stanza("dracut-network", "Depends: dracut"),
        {f"usr/lib/dracut/modules.d/{name}/module-setup.sh": "#!/bin/bash\n" for name in ("35network-legacy", "95nfs")},
    )
    modules = f"usr/lib/modules/{KERNEL}/modules"
    kernel = {
        f"boot/vmlinuz-{KERNEL}": "a kernel\n",
        f"{modules}.dep": "kernel/fs/nfs/nfs.ko:\nkernel/drivers/net/virtio_net.ko:\n",
        f"{modules}.builtin": "kernel/af_packet.ko\n",
    }
    package(work, stanza(f"linux-image-{KERNEL}"), kernel)
    package(work, stanza("linux-image-tiny", f"Depends: linux-image-{KERNEL}"), {"usr/share/doc/linux-image-tiny/copyright": "GPL-2\n"})
    package(work, stanza("vim", version=extra_version), {"usr/bin/vim": "#!/bin/sh\nexit 0\n"})
    whole = "#!/bin/sh\ntest -c /dev/null && echo $SITE $PASS > /etc/whole\n"
    package(work, stanza("whole"), {"usr/share/doc/whole/copyright": "GPL-2\n", TAKEN: "#!/bin/sh\n"}, postinst=whole)
    package(work, stanza("nano"), {"usr/share/doc/nano/copyright": "GPL-2\n"})
    package(
        work,
        stanza("broken"),
        {"usr/share/doc/broken/copyright": "GPL-2\n"},
        postinst="#!/bin/sh\necho 'the broken package says why' >&2\nexit 7\n",
    )


def others(work: Path) -> None:
    """Build a site's own packages, in directories without an index."""
    package(work, stanza("site-tool", "Depends: tiny-programs"), {"usr/bin/site-tool": "#!/bin/sh\nexit 0\n"}, "others")
    package(work, stanza("deep-tool", "Depends: site-tool"), {"usr/bin/deep-tool": "#!/bin/sh\nexit 0\n"}, "others/deep")


def index(archive: Path) -> None:
    """Write Packages and Release of the archive."""
    directory = archive / "dists/bookworm/main/binary-amd64"
    directory.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["dpkg-scanpackages", "--multiversion", "pool"], cwd=archive, check=True, capture_output=True).stdout
    contents = {"main/binary-amd64/Packages": listed, "main/binary-amd64/Packages.gz": gzip.compress(listed, mtime=0)}
    for name, content in contents.items():
        (archive / "dists/bookworm" / name).write_bytes(content)
    sums = "".join(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n" for name, content in contents.items())
    head = (
        "Origin: tiny\nSuite: bookworm\nCodename: bookworm\nArchitectures: amd64\nComponents: main\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n"
    )
    (archive / "dists/bookworm/Release").write_text(f"{head}SHA256:\n{sums}")


def site_files(work: Path) -> None:
    """Write what genimage puts into an image: a dracut module, root files, a certificate, a public key."""
    texts = {
        "dracut/module-setup.sh": "#!/bin/bash\ncheck() { return 0; }\n",
        "dracut/agent.sh": "#!/bin/sh\nexit 0\n",
        "rootfs/etc/systemd/system/ssh.service.d/hostkeys.conf": "[Service]\n",
        "pki/ca.pem": "-----BEGIN CERTIFICATE-----\ntiny\n-----END CERTIFICATE-----\n",
        "ssh/id.pub": "ssh-ed25519 AAAA site\n",
        "lists/base.pkglist": "# what every image has\nopenssl\nopenssh-server\ndracut\ndracut-network\nlinux-image-tiny\n",
        "lists/compute.pkglist": "#INCLUDE:base.pkglist#\n",
    }
    for name, text in texts.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)


def fabricate(work: Path, extra_version: str = "1") -> None:
    """Make the archive anew, with `vim` in the version given; the other files only where they are missing."""
    shutil.rmtree(work / "trees", ignore_errors=True)
    shutil.rmtree(work / "archive", ignore_errors=True)
    packages(work, extra_version)
    if not (work / "others").exists():
        others(work)
    index(work / "archive")
    if not (work / "lists").exists():
        site_files(work)


if __name__ == "__main__":
    fabricate(Path(sys.argv[1]), *sys.argv[2:])
