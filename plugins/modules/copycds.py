#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: copy a distribution's medium and define sample osimages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: copycds
short_description: Copy a distribution's medium and define sample osimages
version_added: 0.1.0
description:
  - Copies an ISO image, or a directory that holds what such a medium holds, to C(INSTALLDIR/OS/ARCH), where genimage looks for packages.
  - The medium is recognised by its own files, C(.treeinfo), C(.discinfo), C(.disk/info), C(media.1/media), C(media.1/products)
    and C(content). Debian, Ubuntu, the distributions made from Red Hat Enterprise Linux, Fedora, SLES, openSUSE
    Leap and Tumbleweed are known.
  - An ISO image is read by xorriso, without a mount. The directory appears by one rename when it is complete.
  - Defines the osimages C(OS-ARCH-install-PROFILE), C(OS-ARCH-netboot-PROFILE) and C(OS-ARCH-statelite-PROFILE) where they are not
    there yet. Rows that are there are never changed. Nothing in this collection installs disks; the first is for other tools.
  - Tells of the distribution and the directories of its packages in the table osdistro.
  - Packages of an RPM distribution must be signed by the keys that the medium has at its top; C(pkgdir) of the osimages says so.
    The index of Debian's own media is not signed. Where you have verified the medium, put C([trusted=yes]) before the directory in
    C(pkgdir); else genimage refuses its packages.
  - A medium that was copied is not copied again. It is told by the names, sizes and places of its files, not by reading them.
  - A further disc of a set goes to C(INSTALLDIR/OS/ARCH-discN).
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
requirements:
  - xorriso, for ISO images
options:
  src:
    description: Path on the managed machine of an ISO image, or of a directory such as a mounted medium.
    type: path
    required: true
  os:
    description: Distribution and version, such as V(debian12) or V(rocky9.4), in place of what the medium says.
    type: str
  arch:
    description: Architecture, such as V(x86_64), in place of what the medium says.
    type: str
  dest:
    description: Directory to copy to, in place of the one below the setting installdir.
    type: path
  profiles:
    description: Profiles to define osimages for.
    type: list
    elements: str
    default: [compute]
  osimages:
    description: Whether osimages are defined.
    type: bool
    default: true
  replace:
    description:
      - Whether a directory that holds another medium is replaced. What is in it is removed.
      - A directory that is no copy of a medium is never replaced.
    type: bool
    default: false
seealso:
  - module: diskless.statelite.genimage
  - module: diskless.statelite.osimage
"""

EXAMPLES = r"""
- name: Have the packages of the Debian DVD, and osimages to start from
  diskless.statelite.copycds:
    src: /iso/debian-12.5.0-amd64-DVD-1.iso

- name: Say what a medium is without copying it
  diskless.statelite.copycds:
    src: /iso/unknown.iso
  check_mode: true
  register: medium
"""

RETURN = r"""
os:
  description: Distribution and version of the medium.
  returned: success
  type: str
  sample: debian12
arch:
  description: Architecture of the medium.
  returned: success
  type: str
  sample: x86_64
disc:
  description: Number of the disc in its set.
  returned: success
  type: int
  sample: 1
path:
  description: The directory of its packages.
  returned: success
  type: str
  sample: /install/debian12/x86_64
osimages:
  description: The osimages of the medium, those that were there among them.
  returned: success
  type: list
  elements: str
  sample: [debian12-x86_64-install-compute, debian12-x86_64-netboot-compute, debian12-x86_64-statelite-compute]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.copycds import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
