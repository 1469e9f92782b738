# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's smaller parts by themselves: kernel words, clock, stop points, the kept address, dracut's own words."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from .node import AGENT

PREPARE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/statelite
TAB=$(printf '\\t') RUN=/run/statelite CONSOLE=$WORK/console NEWROOT=$WORK/root
. "$AGENT/words.sh"
"""
INTERFACE = f"slt{os.getpid()}"


def run(work: Path, script: str, *unshared: str) -> str:
    """Run a script that has sourced words.sh in namespaces of its own; return what it prints."""
    environment = {"PATH": f"{work}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "WORK": str(work), "AGENT": str(AGENT)}
    command = ["unshare", "--mount", *unshared, "sh", "-c", PREPARE + textwrap.dedent(script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("XCAT=10.1.0.1:3001 NODE=n1 ro", "10.1.0.1 3001 n1"),
        ("XCAT=10.1.0.1 NODE=n1", "10.1.0.1 3001 n1"),
        ("XCAT=[fd00::1]:3002 NODE=n1", "fd00::1 3002 n1"),
        ("XCAT=mn1:3001 NODE=* XCATHTTPPORT=80", "mn1 3001 *"),
        ("NODENAME=x quiet", " 3001 "),
    ],
)
def test_kernel_words_are_read_as_they_are_written(words: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text(words + "\n")
    script = 'mount --bind "$WORK/cmdline" /proc/cmdline; read_words; printf "%s" "$HOST $PORT $NODE"'
    assert run(tmp_path, script) == found


@pytest.mark.parametrize(("built", "told"), [("4102444800", "@4102444800"), ("1000", "")])
def test_the_clock_is_only_ever_set_forward(built: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/date").write_text(f'#!/bin/sh\n[ "$1" != -s ] || {{ echo "$2" > {tmp_path}/set; exit 0; }}\nexec /bin/date "$@"\n')
    (tmp_path / "bin/date").chmod(0o755)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/build-time").write_text(built + "\n")
    moved = (AGENT / "words.sh").read_text().replace("/etc/statelite/build-time", str(tmp_path / "etc/build-time"))
    (tmp_path / "moved.sh").write_text(moved)
    run(tmp_path, '. "$WORK/moved.sh"; set_clock')
    assert ((tmp_path / "set").read_text().strip() if (tmp_path / "set").exists() else "") == told


@pytest.mark.parametrize(("stops", "entered"), [("yes", True), ("", False)])
def test_a_shell_is_opened_only_when_the_word_is_given(stops: str, entered: bool, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/setsid").write_text(f"#!/bin/sh\ntouch {tmp_path}/entered\n")
    (tmp_path / "bin/setsid").chmod(0o755)
    run(tmp_path, f"STOPS={stops}; stop_point entries")
    assert (tmp_path / "entered").exists() is entered
    assert "stopped at 'entries'" in (tmp_path / "console").read_text() if entered else not (tmp_path / "console").exists()


@pytest.fixture()
def lease() -> Iterator[Path]:
    """Leave a lease where dracut's DHCP client does."""
    path = Path(f"/tmp/dhclient.{INTERFACE}.lease")
    path.write_text("lease { }\n")
    yield path
    path.unlink()


def test_the_address_outlives_the_lease_and_a_unit_renews_it(lease: Path, tmp_path: Path) -> None:
    assert lease.exists()
    (tmp_path / "root/sbin").mkdir(parents=True)
    (tmp_path / "root/sbin/dhclient").write_text("#!/bin/sh\n")
    (tmp_path / "root/sbin/dhclient").chmod(0o755)
    script = f"""
        ip link add {INTERFACE} type bridge
        ip link set {INTERFACE} up
        ip addr add 10.5.5.5/24 dev {INTERFACE} valid_lft 120 preferred_lft 120
        . "$AGENT/lease.sh"
        keep_address
        ip -4 addr show dev {INTERFACE}
        cp -r /run/systemd /run/statelite "$WORK"
    """
    said = run(tmp_path, script, "--net")
    assert "10.5.5.5/24" in said
    assert "valid_lft forever preferred_lft forever" in said
    unit = (tmp_path / "systemd/system/statelite-lease@.service").read_text()
    assert "ExecStart=-/sbin/dhclient -4 -d -q -cf /dev/null -sf /run/statelite/lease-script -pf /run/statelite/dhclient.%i.pid" in unit
    wanted = tmp_path / f"systemd/system/multi-user.target.wants/statelite-lease@{INTERFACE}.service"
    assert os.readlink(wanted) == "../statelite-lease@.service"
    assert (tmp_path / f"statelite/dhclient.{INTERFACE}.lease").read_text() == "lease { }\n"


def test_the_client_of_dracut_can_not_give_the_address_a_lifetime_again(lease: Path, tmp_path: Path) -> None:
    """It renews while the agent works on, as it does where a boot takes longer than half a lease (seen in the lab)."""
    script = f"""
        ip link add {INTERFACE} type bridge
        ip addr add 10.5.5.5/24 dev {INTERFACE} valid_lft 120 preferred_lft 120
        (trap 'touch "$WORK/released"' TERM; sleep 1; ip addr change 10.5.5.5/24 dev {INTERFACE} valid_lft 120 preferred_lft 120) &
        echo $! > /tmp/dhclient.{INTERFACE}.pid
        . "$AGENT/lease.sh"
        keep_address
        wait
        rm /tmp/dhclient.{INTERFACE}.pid
        ip -4 addr show dev {INTERFACE}
    """
    assert lease.exists()
    assert "valid_lft forever" in run(tmp_path, script, "--net")
    assert not (tmp_path / "released").exists()


def test_networkmanager_of_the_initramfs_leaves_its_address_and_that_of_the_root_lets_it_alone(tmp_path: Path) -> None:
    managed, net = tmp_path / "managed", tmp_path / "net"
    for index, name in (("7", INTERFACE), ("8", "other0")):
        (net / name).mkdir(parents=True)
        (net / name / "ifindex").write_text(f"{index}\n")
    (managed / "devices").mkdir(parents=True)
    (managed / "system-connections").mkdir()
    (managed / "system-connections/default_connection.nmconnection").write_text("[connection]\n")
    (managed / "devices/7").write_text("[device]\nmanaged=true\nconnection-uuid=1-2-3\n")
    (managed / "devices/8").write_text("[device]\nmanaged=unknown\n")
    (managed / "no-stub-resolv.conf").write_text("# Generated by NetworkManager\nnameserver 10.5.5.1\n")
    (tmp_path / "resolver").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text('#!/bin/sh\necho "$*" >> "$WORK/asked"\n')
    (tmp_path / "bin/systemctl").chmod(0o755)
    script = f"""
        export WORK STATELITE_MANAGED="$WORK/managed" STATELITE_NET="$WORK/net"
        ip link add {INTERFACE} type bridge
        ip addr add 10.5.5.5/24 dev {INTERFACE} valid_lft 120 preferred_lft 120
        . "$AGENT/lease.sh"
        . "$AGENT/identity.sh"
        mount --bind "$WORK/resolver" "$(realpath /etc/resolv.conf)"
        dhcp_resolver
        keep_address
        ip -4 addr show dev {INTERFACE}
    """
    said = run(tmp_path, script, "--net")
    assert said.startswith("nameserver 10.5.5.1\n")
    assert "valid_lft forever" in said
    assert (tmp_path / "asked").read_text() == "stop nm-initrd.service\nstop NetworkManager-initrd.service\n"
    assert "managed=0" in (managed / f"conf.d/95-statelite-{INTERFACE}.conf").read_text()
    assert [path.name for path in (managed / "conf.d").iterdir()] == [f"95-statelite-{INTERFACE}.conf"]
    assert [path.name for path in (managed / "devices").iterdir()] == ["8"]
    assert list((managed / "system-connections").iterdir()) == []


def test_an_image_without_a_client_keeps_the_address_alone(lease: Path, tmp_path: Path) -> None:
    script = f"""
        ip link add {INTERFACE} type bridge
        ip addr add 10.5.5.5/24 dev {INTERFACE} valid_lft 120 preferred_lft 120
        . "$AGENT/lease.sh"
        keep_address
        ip -4 addr show dev {INTERFACE}
        ls /run/systemd 2>/dev/null || :
    """
    assert "valid_lft forever" in run(tmp_path, script, "--net")
    assert lease.exists()


CMDLINE = """
getarg() {
    for word in $WORDS; do
        case $word in "$1"*) printf '%s' "${word#*=}"; return 0 ;; esac
    done
    return 1
}
getargbool() { case " $WORDS " in *" $2 "*) return 0 ;; esac; return 1; }
die() { echo "die: $*"; exit 1; }
root=$(getarg root=) || :
. "$AGENT/statelite-cmdline.sh"
echo "$root"
"""


@pytest.mark.parametrize(
    ("words", "root"),
    [
        ("NFSROOT=10.1.0.1:/install/img", "nfs:10.1.0.1:/install/img/rootimg:ro"),
        ("NFSROOT=10.1.0.1:/install/img/", "nfs:10.1.0.1:/install/img/rootimg:ro"),
        ("root=nfs:10.1.0.1:/img/rootimg:ro,vers=4.2", "nfs:10.1.0.1:/img/rootimg:ro,vers=4.2"),
        ("root=nfs:10.1.0.1:/img/rootimg:ro,vers=4.2 NFSROOT=10.1.0.1:/img", "nfs:10.1.0.1:/img/rootimg:ro,vers=4.2"),
        ("root=nfs4:10.1.0.1:/img/rootimg:ro NFSROOT=10.1.0.1:/img", "nfs4:10.1.0.1:/img/rootimg:ro"),
        ("root=nfs:10.1.0.1:/other/rootimg:ro NFSROOT=10.1.0.1:/img", "die: "),
        ("root=nfs:10.1.0.1:/img/rootimg2:ro NFSROOT=10.1.0.1:/img", "die: "),
    ],
)
def test_the_documents_nfsroot_becomes_dracuts_root_and_a_contradiction_is_refused(words: str, root: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "WORDS": words, "AGENT": str(AGENT)}
    said = subprocess.run(["sh", "-c", CMDLINE], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert said.stdout.startswith(root) if root == "die: " else said.stdout.strip() == root
