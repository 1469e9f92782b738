#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, update or remove packages in a root image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_packages
short_description: Install, update or remove packages in a root image
version_added: 0.1.0
description:
  - Changes the packages of the root image of an osimage by the package manager of its system (apt, dnf or zypper of the managed
    machine), from the sources that its rows name in C(pkgdir) and C(otherpkgdir), with the same checks of signatures.
  - The work is done in a copy of the tree, as by M(diskless.statelite.image_exec); what is said there of the layout, of generations,
    of C(in_place) and of kills goes for this module too. Packages' scripts start no daemon.
  - Check mode and the diff list package by package what changes, with both versions, as the package manager foresees it.
  - Packages that the image has already are left alone, but with O(state=latest).
  - The next build by M(diskless.statelite.genimage) makes the image from its lists again, so what is to stay belongs into
    C(pkglist) or C(otherpkglist) too.
  - Changes that a generation has which the site went back from are not made in an older one, and a warning says so.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  packages:
    description:
      - Names of packages, C(name=version), or whole paths of package files on the managed machine, which need no signature.
      - Only C(*) with O(state=latest) means all packages of the image.
    type: list
    elements: str
    required: true
  state:
    description:
      - C(present) installs what is missing, C(latest) also brings what is there to the newest version of the sources.
      - C(absent) removes what is named, with its configuration; a package that another one needs is refused.
    type: str
    choices: [present, absent, latest]
    default: present
  share:
    description: Directory whose C(pkglist) holds the default package lists, for images that name none.
    type: path
    default: /usr/share/statelite
  in_place:
    description: Amend the tree that nodes run from instead of making a new generation.
    type: bool
    default: false
  keep_identity:
    description:
      - Keep what belongs to one machine alone, such as private host keys that the package of an ssh server makes; every node of the
        image then has the same.
    type: bool
    default: false
  limit:
    description: Seconds that one tool may take.
    type: int
    default: 7200
seealso:
  - module: diskless.statelite.image_exec
  - module: diskless.statelite.genimage
"""

EXAMPLES = r"""
- name: Have a debugger in the next generation of the image
  diskless.statelite.image_packages:
    image: debian12-compute
    packages: [gdb, strace]

- name: Install a package of the site into the tree that nodes run from
  diskless.statelite.image_packages:
    image: debian12-compute
    packages: [/srv/packages/site-agent_1.2_amd64.deb]
    in_place: true

- name: Take in every update
  diskless.statelite.image_packages:
    image: rocky9-compute
    packages: ["*"]
    state: latest
"""

RETURN = r"""
image:
  description: Name of the image.
  returned: success
  type: str
  sample: debian12-compute
generation:
  description: Number of the generation that holds the edit; none for a plain root tree.
  returned: success
  type: int
  sample: 4
id:
  description: The generation as it is called afterwards; one that was amended in place twice since it was published is C(4+2).
  returned: success
  type: str
  sample: "4"
rootimg:
  description: Its root tree.
  returned: success
  type: str
  sample: /install/netboot/debian12/x86_64/compute/generations/4/rootimg
in_place:
  description: Whether the tree that nodes run from is amended.
  returned: success
  type: bool
  sample: false
nodes_affected:
  description: Nodes that boot the image, when it is amended in place.
  returned: success
  type: list
  elements: str
  sample: [n1, n2]
packages:
  description: Packages that change, by name; C(old) is empty for one that comes, C(new) for one that goes.
  returned: success
  type: list
  elements: dict
  sample: [{name: strace, new: 6.1-0.1, old: ""}]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.edit.image_packages import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
