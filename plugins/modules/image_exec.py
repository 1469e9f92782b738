#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a root image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_exec
short_description: Run a command or a script in a root image
version_added: 0.1.0
description:
  - Runs a command inside the root image of an osimage, with C(/proc), C(/sys), C(/dev) and an empty C(/run) and C(/tmp) there, the
    network's names resolved, and no daemon started by packages' scripts.
  - It runs in a copy of the tree, on which the layout of M(diskless.statelite.liteimg) is taken back, so that every file stands at
    its own path; then the copy is laid out again. A command that fails, or that is killed, leaves the image as it was, no mounts and
    no processes.
  - The copy becomes a new generation, which is published when the one it was made of is; one of stateless nodes is published by
    M(diskless.statelite.packimage). Nodes that run go on with theirs, and M(diskless.statelite.nodeset) gives them the new one.
  - With O(in_place=true) what the command changed is carried into the tree that nodes run from, each file by one rename, and the
    result names the nodes. Programs on nodes read on in the files that they have open.
  - Kernel, initramfs and record of a generation are never changed by this; a command that takes away the modules of the kernel that
    nodes boot is refused.
  - A command without O(creates), O(removes) and O(unless) is run once in an image, which keeps notes of it in
    C(/.statelite-edits.json); a generation that genimage builds from packages has none, so there it is run again.
  - A command that was run in a generation that the site went back from is not run in an older one, and a warning says so, unless O(again).
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  command:
    description: Program and arguments, split into words as a shell does; no shell runs. One of this, O(argv) and O(script) is needed.
    type: str
  argv:
    description: Program and arguments, word by word.
    type: list
    elements: str
  script:
    description:
      - Text of a script that is run in the image. Its first line may say by what, as C(#!/bin/bash); else it is run by C(/bin/sh), and
        the first line of it that fails ends it.
    type: str
  chdir:
    description: Directory of the image in which it runs.
    type: str
    default: /
  environment:
    description: Variables that it sees beside PATH, HOME and LC_ALL.
    type: dict
    default: {}
  creates:
    description: Path in the image; where something stands there, nothing is run.
    type: str
  removes:
    description: Path in the image; where nothing stands there, nothing is run.
    type: str
  unless:
    description:
      - A line for the image's shell; where it ends well, nothing is run.
      - It is run in check mode too, on the tree mounted read-only, without names of the network.
    type: str
  again:
    description: Run it though the image's notes say that it was run in it.
    type: bool
    default: false
  read_only:
    description:
      - The command only looks. It is run on the tree as it stands, mounted read-only, in check mode too, without names of the network;
        nothing changes.
    type: bool
    default: false
  in_place:
    description: Amend the tree that nodes run from instead of making a new generation.
    type: bool
    default: false
  keep_identity:
    description:
      - Keep what belongs to one machine alone, such as private host keys that the command makes; every node of the image then has the
        same.
    type: bool
    default: false
  limit:
    description: Seconds that the command may take.
    type: int
    default: 600
seealso:
  - module: diskless.statelite.image_packages
  - module: diskless.statelite.genimage
  - module: diskless.statelite.liteimg
"""

EXAMPLES = r"""
- name: Have the locale of the site in the image
  diskless.statelite.image_exec:
    image: debian12-compute
    argv: [localedef, -i, de_DE, -f, UTF-8, de_DE.UTF-8]
    unless: localedef --list-archive | grep -q de_DE

- name: Change the tree that nodes run from
  diskless.statelite.image_exec:
    image: debian12-compute
    in_place: true
    script: |
      useradd --system --no-create-home munge
      install -d -m 0755 /etc/site
    creates: /etc/site

- name: Ask the image's own rpm
  diskless.statelite.image_exec:
    image: rocky9-compute
    command: rpm -qa
    read_only: true
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
  description: Whether the tree that nodes run from was amended.
  returned: success
  type: bool
  sample: false
nodes_affected:
  description: Nodes that boot the image, when it is amended in place.
  returned: success
  type: list
  elements: str
  sample: [n1, n2]
skipped_because:
  description: Why the command need not run; empty when it is run.
  returned: success
  type: str
  sample: /etc/site exists
stdout:
  description: What it wrote to its standard output.
  returned: when it was run
  type: str
  sample: bash-5.1.8-9.el9.x86_64
stdout_lines:
  description: The same, line by line.
  returned: when it was run
  type: list
  elements: str
  sample: [bash-5.1.8-9.el9.x86_64]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.edit.image_exec import ONE_OF, SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan, mutually_exclusive=[ONE_OF], required_one_of=[ONE_OF])


if __name__ == "__main__":
    main()
