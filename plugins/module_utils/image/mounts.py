# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts that cannot be left behind.

Every tool of a build runs in a mount and process namespace of its own, whose first process ends with this
one whatever kills it (apply/commands.py): the kernel then drops the mounts and kills every process. So nothing of /dev, /proc
or /sys is ever mounted where the management node, or the next run, could see it.
"""

from __future__ import annotations

ALONE = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Own mounts and own processes: when the first of them dies the kernel kills the others and drops the mounts."""

PREPARE = """
set -e
root=$1
shift
for place in dev:755 proc:555 sys:555 run:755 tmp:1777; do
    name=${place%:*}
    [ -L "$root/$name" ] && { echo "$root/$name is a symbolic link" >&2; exit 1; }
    [ -d "$root/$name" ] || mkdir -m "${place#*:}" "$root/$name"
done
mount --rbind /dev "$root/dev"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
"""
"""/run and /tmp are volatile, so that nothing a tool leaves there gets into the image. Their mount points in an empty root
get the modes that they have in a whole one: a package that owns them is unpacked over the mounts."""


READ_ONLY = """
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
"""
"""Before PREPARE: nothing that runs in the image can write to it, but on the volatile mounts."""


def alone(*command: str) -> list[str]:
    """Return `command` as it runs with mounts and processes of its own, by apply/commands.py or apply/pipelines.py."""
    return [*ALONE, *command]


def in_chroot(rootimg: str, *command: str) -> list[str]:
    """Return `command` as it runs inside `rootimg` with /dev, /proc and /sys there."""
    return alone("sh", "-c", PREPARE + 'exec chroot "$root" "$@"', "statelite", rootimg, *command)


def beside_chroot(rootimg: str, *command: str) -> list[str]:
    """Return `command` as it runs outside `rootimg`, with /dev, /proc and /sys inside it for a chroot of its own."""
    return alone("sh", "-c", PREPARE + 'exec "$@"', "statelite", rootimg, *command)


def reading_chroot(rootimg: str, *command: str) -> list[str]:
    """Return `command` as it runs inside `rootimg` and can change nothing there."""
    return alone("sh", "-c", READ_ONLY + PREPARE + 'exec chroot "$root" "$@"', "statelite", rootimg, *command)
