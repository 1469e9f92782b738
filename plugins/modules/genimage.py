#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a root image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: genimage
short_description: Build the root image, kernel and initramfs of an osimage
version_added: 0.1.0
description:
  - Builds a new generation of a diskless image from its rows in the tables osimage and linuximage, when anything
    that decides its content has changed since the newest generation was built.
  - What decides the content are the image's definition, the packages that its lists name, the node agent, the files put into
    every image, the site's certificate and keys, and the postinstall scripts. Comments in a list decide nothing.
  - A generation is a directory C(generations/N) below C(rootimgdir) with C(rootimg), C(kernel), C(initrd-statelite.gz)
    and C(record.json). It appears by one rename when it is complete.
  - Generations that exist are never touched, so nodes that run from one go on.
  - A build that fails or is killed leaves the generations as they were, no mounts and no processes.
  - A new generation is not published yet. M(diskless.statelite.liteimg) does that for an image whose C(provmethod) is C(statelite) when it
    has laid it out, M(diskless.statelite.packimage) for one for C(netboot) when it has packed it.
  - The tree of packages alone is kept in C(.packages) below C(rootimgdir), so that the next build starts from it. It is brought to the
    packages and versions that the repositories would give an empty tree, by the same package manager; the initramfs of the generation
    before stays when nothing changed that dracut takes in or decides by. RV(from_nothing) says why a build did not start from there.
  - Debian and Ubuntu images are built with mmdebstrap, Enterprise Linux 8 to 10, its clones and Fedora with dnf, SUSE Linux Enterprise 15
    and openSUSE with zypper; the program must be installed on the managed machine. RPM images also take rpm, and createrepo_c
    where packages of the site have no metadata; a Debian image takes dpkg-scanpackages there.
  - Signatures of packages are checked. An RPM source in C(pkgdir) or C(otherpkgdir) says by which key, as
    C([signed-by=/path/of/the/key] URL), and is trusted without a signature only where it says C([trusted=yes] URL). A Debian
    mirror is trusted without one only where C(pkgdir) says so, as C([trusted=yes] URL) or C(deb [trusted=yes] URL SUITE COMPONENT).
  - An RPM package whose own script fails, fails the build, unless the image's column C(scriptlets) is C(warn).
  - What the lists may say is in C(docs/package-lists.md) of the collection.
  - With O(dryrun=true) nothing is built or changed; how to build on another host is in C(docs/build-host.md).
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.image_data
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  refresh:
    description:
      - Also ask the repositories, and build when they would give other packages or versions than the newest generation has.
      - Takes some seconds, for the repositories' indexes are fetched.
    type: bool
    default: false
  force:
    description: Build even though nothing has changed.
    type: bool
    default: false
  dryrun:
    description:
      - Build nothing, and return the command that builds the image on another host, as C(genimage --dryrun) does.
      - This machine need not be able to build the image then; its lists and sources must be there all the same.
      - The command runs the program that M(diskless.statelite.image_builder) writes; the role C(diskless.statelite.build_host) does both.
      - Of the variables in C(osimage.environvar) the command has the names alone; their values are in the description, for root alone.
    type: bool
    default: false
  builder:
    description: Directory of that program on the host that builds, for O(dryrun=true).
    type: path
    default: /usr/lib/statelite/netboot
  other_release:
    description:
      - Build though the managed machine runs another major release of the image's own operating system, such as Enterprise Linux 8 for an
        image of 9. Without it that is refused. A machine of another distribution is never refused.
    type: bool
    default: false
  full:
    description: When a build is due, do it from nothing, though the packages of the last one are kept.
    type: bool
    default: false
  keep_packages:
    description:
      - Keep the tree of packages for the next build. It takes as much room as a root image, or what changes where the file system
        shares blocks between copies.
    type: bool
    default: true
  host_keys:
    description:
      - Directory on the managed machine with ssh host keys, C(ssh_host_*_key) and C(ssh_host_*_key.pub), that all nodes of the image share.
      - Whoever is root on one node, or reads the export, then can pass for every other one. Empty lets each node make its own keys,
        which C(/etc/ssh/) in litefile with C(bind,persistent) keeps.
    type: str
    default: ""
  limit:
    description: Seconds that one tool may take.
    type: int
    default: 7200
seealso:
  - module: diskless.statelite.osimage
  - module: diskless.statelite.liteimg
"""

EXAMPLES = r"""
- name: Build the compute image when its definition, lists or files have changed
  diskless.statelite.genimage:
    image: debian12-compute

- name: Build from nothing once more
  diskless.statelite.genimage:
    image: debian12-compute
    force: true
    full: true

- name: Take in what the mirrors have new
  diskless.statelite.genimage:
    image: debian12-compute
    refresh: true

- name: Say how the image is built on a machine of its architecture
  diskless.statelite.genimage:
    image: rocky9.4-ppc64le-compute
    dryrun: true
  register: dryrun

- name: Show the command
  ansible.builtin.debug:
    msg: "{{ dryrun.text }}"
"""

RETURN = r"""
image:
  description: Name of the image.
  returned: success
  type: str
  sample: debian12-compute
provmethod:
  description: How nodes run the image; one for C(statelite) is laid out and published by liteimg.
  returned: success
  type: str
  sample: statelite
generation:
  description: Number of the newest generation; in check mode of the one before the build, none when there is none yet.
  returned: success
  type: int
  sample: 3
rootimg:
  description: Directory of the root image of that generation.
  returned: success
  type: str
  sample: /install/netboot/debian12/x86_64/compute/generations/3/rootimg
kernel_version:
  description: Version of the kernel of that generation.
  returned: success
  type: str
  sample: 6.1.0-31-cloud-amd64
packages:
  description: How many packages the root image holds.
  returned: success
  type: int
  sample: 228
packages_read:
  description: When the repositories were last read for that generation, in UTC.
  returned: success
  type: str
  sample: "2026-11-22T03:46:51Z"
changed_inputs:
  description: Why a generation is built, one line a reason; empty when nothing changed.
  returned: success
  type: list
  elements: str
  sample: ["pkglist changed: +vim"]
from_nothing:
  description: Why that generation was built from nothing; empty when it started from the packages of the build before it.
  returned: success
  type: str
  sample: the sources changed
held:
  description: The withdrawn generation that a build would come to again, and why it is withdrawn; empty when there is none.
  returned: success
  type: str
  sample: "generation 5 is withdrawn since 2026-11-22T03:46:51Z: it does not boot"
seconds:
  description: How long the build took.
  returned: success
  type: float
  sample: 48.2
command:
  description: The command to run on the host that builds, every value filled in.
  returned: dryrun
  type: str
  sample: cd /usr/lib/statelite/netboot; ./genimage -a ppc64le -o rocky9.4 -p compute -m statelite --permission 755 ... compute
argv:
  description: The same as words; the first is to be run in RV(chdir).
  returned: dryrun
  type: list
  elements: str
  sample: [./genimage, -a, ppc64le, -o, rocky9.4]
chdir:
  description: Directory of the program.
  returned: dryrun
  type: str
  sample: /usr/lib/statelite/netboot
text:
  description: The same as C(genimage --dryrun) prints it.
  returned: dryrun
  type: str
  sample: "Generating image:\ncd /usr/lib/statelite/netboot;\n./genimage -a ppc64le -o rocky9.4 ...\n"
due:
  description: Whether the newest generation here is not what a build would give.
  returned: dryrun
  type: bool
  sample: true
rootimgdir:
  description: The image directory.
  returned: dryrun
  type: str
  sample: /install/netboot/rocky9.4/ppc64le/compute
osarch:
  description: Architecture that the host must have, or emulate.
  returned: dryrun
  type: str
  sample: ppc64le
release:
  description: The image's operating system; a host of another release of it is refused. Empty when any will do.
  returned: dryrun
  type: str
  sample: Enterprise Linux 9
directories:
  description: Directories of packages that must be at the same place there.
  returned: dryrun
  type: list
  elements: str
  sample: [/install/rocky9.4/ppc64le]
files:
  description: Lists, scripts and keys that decide the image; the description brings them.
  returned: dryrun
  type: list
  elements: str
  sample: [/install/custom/netboot/rh/compute.rocky9.pkglist]
programs:
  description: Programs that the host needs, and the packages that bring them.
  returned: dryrun
  type: list
  elements: dict
  sample: [{"program": "dnf", "package": "dnf"}]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.asked import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
