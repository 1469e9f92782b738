# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of images: osimage and linuximage."""

from __future__ import annotations

from . import rules
from .columns import Column, Table

OSIMAGE = Table(
    "osimage",
    (
        Column("imagename", "Name of the image.", required=True, rule=rules.name),
        Column("groups", "Image groups, separated by commas; litefile and litetree rows may name a group.", rule=rules.names),
        Column("profile", "Purpose of the image, such as C(compute); part of its directory."),
        Column("imagetype", "Kind of operating system, such as C(linux)."),
        Column("description", "What the image is for, in words."),
        Column("provmethod", "How nodes run the image: C(statelite), or a method of other tools."),
        Column("rootfstype", "Root of a statelite node: C(nfs) (the default) or C(ramdisk).", choices=("nfs", "ramdisk")),
        Column(
            "nfsrootopts",
            "Further NFS mount options of the root, separated by commas; never one that makes it writable.",
            rule=rules.root_options,
        ),
        Column("osdistroname", "Name of the distribution's row in the table osdistro."),
        Column("osupdatename", "Names of operating system updates, separated by commas."),
        Column("cfmdir", "Directory of files managed by configuration file management."),
        Column("osname", "Name of the operating system, such as C(Linux)."),
        Column("osvers", "Distribution and version, such as C(debian12); part of the image's directory."),
        Column("osarch", "Architecture, such as C(x86_64); part of the image's directory."),
        Column("synclists", "File that lists files to copy into the image."),
        Column("postscripts", "Scripts to run on nodes with this image, separated by commas."),
        Column("postbootscripts", "Scripts to run after the boot of nodes with this image, separated by commas."),
        Column("serverrole", "Role of nodes with this image, such as C(servicenode)."),
        Column("isdeletable", "Whether removing the image may remove its files."),
        Column("kitcomponents", "Kit components in the image, separated by commas."),
        Column("environvar", "Environment variables for postscripts, separated by commas."),
        Column(
            "liteattach",
            "Attachment of litefile options that name none; overrides the site's setting.",
            ours=True,
            choices=("link", "bind"),
        ),
    ),
    ("imagename",),
    "What an image is: operating system, purpose, and how nodes run it.",
)

LINUXIMAGE = Table(
    "linuximage",
    (
        Column("imagename", "Name of the image.", required=True, rule=rules.name),
        Column("template", "Template of an unattended installation."),
        Column("boottarget", "Row of the table boottarget with the kernel arguments to use instead."),
        Column("addkcmdline", "Words to add to the kernel command line."),
        Column("pkglist", "Files that list the packages of the image, separated by commas; an item without C(/) in front is a package."),
        Column(
            "pkgdir",
            "Directories or mirror URLs that hold the distribution's packages, separated by commas; an RPM source begins with"
            " C([signed-by=KEY]) or C([trusted=yes]).",
        ),
        Column("otherpkglist", "Files that list further packages, separated by commas."),
        Column("otherpkgdir", "Directories or URLs that hold the further packages, separated by commas and written as in C(pkgdir)."),
        Column("exlist", "Files that list what to leave out of a packed image, separated by commas."),
        Column("postinstall", "Scripts that genimage runs on the finished root image, separated by commas."),
        Column("rootimgdir", "Directory of the image; by default C(installdir/netboot/osvers/osarch/profile).", rule=rules.absolute_path),
        Column("kerneldir", "Directory of a kernel that is no package of the distribution."),
        Column("nodebootif", "Network interface that nodes boot from."),
        Column("otherifce", "Further network interfaces to set up, separated by commas."),
        Column("netdrivers", "Network driver modules of the initramfs, separated by commas."),
        Column("kernelver", "Version of the kernel to boot, when the image has several."),
        Column("krpmver", "Version of the kernel package, when it differs from the kernel's."),
        Column("permission", "Octal mode of C(/.statelite) on nodes, by default C(755).", rule=rules.mode),
        Column("dump", "Where kernel dumps go, as a URL."),
        Column("crashkernelsize", "Memory to set aside for the dump kernel."),
        Column("partitionfile", "How local disks are partitioned."),
        Column("driverupdatesrc", "Driver updates for the initramfs."),
        Column(
            "scriptlets",
            "What genimage does when an RPM package's own script fails: C(fail) (the default) or C(warn).",
            ours=True,
            choices=("fail", "warn"),
        ),
    ),
    ("imagename",),
    "How an image of Linux is made and booted.",
)
