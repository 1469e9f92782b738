# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: osimage
short_description: Declare images
version_added: 0.1.0
description:
  - Writes rows of the tables C(osimage) and C(linuximage), that is what an image is, what it is made of and how nodes run it.
  - Removing an image here removes its rows; the directory of the image stays.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.osimage
seealso:
  - module: diskless.statelite.osimage_info
"""

EXAMPLES = r"""
- name: An image of Debian 12
  diskless.statelite.osimage:
    rows:
      - imagename: debian12-compute
        imagetype: linux
        osvers: debian12
        osarch: x86_64
        profile: compute
        provmethod: statelite
        groups: [site, compute]
        linux:
          pkglist: /usr/share/statelite/pkglist/compute.debian12.x86_64.pkglist
          pkgdir: http://mirror.example/debian
"""

RETURN = r"""
counts:
  description: Rows added, changed and removed, those of joined tables included.
  returned: success
  type: dict
  sample: {"added": 2, "changed": 1, "removed": 0}
faults:
  description: Every fault of the rows, each with C(where), C(what) and C(mend).
  returned: failure
  type: list
  elements: dict
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import rows_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import plan_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import OSIMAGE


def main() -> None:
    run(read_and_plan=partial(plan_rows, OSIMAGE), **rows_module(OSIMAGE))


if __name__ == "__main__":
    main()
