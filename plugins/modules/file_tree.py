#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a directory equal to an archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_tree
short_description: Keep a directory of data equal to one of the controller
version_added: 0.1.0
description:
  - Makes a directory hold exactly the files of an archive, which the lookup file_tree packs from a directory of the controller.
  - Files that the archive does not have are removed, so the directory must be of no other use.
  - One task carries the whole directory, where copying it file by file costs half a second a file.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
options:
  dest:
    description: Directory on the managed machine; made when it is missing.
    type: path
    required: true
  content:
    description: The value of the lookup file_tree.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Bring the image data
  diskless.statelite.file_tree:
    dest: /usr/share/statelite
    content: "{{ lookup('diskless.statelite.file_tree', role_path ~ '/files') }}"
"""

RETURN = r"""
dest:
  description: The directory.
  returned: success
  type: str
  sample: /usr/share/statelite
files:
  description: How many files it holds.
  returned: success
  type: int
  sample: 46
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.file_tree import SPEC, plan_file_tree
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, plan_file_tree)


if __name__ == "__main__":
    main()
