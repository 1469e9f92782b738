# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: osimage_info
short_description: Read images
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.osimage) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.osimage_info
seealso:
  - module: diskless.statelite.osimage
"""

EXAMPLES = r"""
- name: Read one image
  diskless.statelite.osimage_info:
    imagename: [debian12-compute]
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out.
  returned: success
  type: list
  elements: dict
  sample: [{"imagename": "debian12-compute", "osvers": "debian12", "linux": {"permission": "755"}}]
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import info_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import read_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import OSIMAGE


def main() -> None:
    run_info(read=partial(read_rows, OSIMAGE), **info_module(OSIMAGE))


if __name__ == "__main__":
    main()
