# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read what nodes may write of an image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: litefile_info
short_description: Read what nodes may write of an image
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.litefile) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.litefile_info
seealso:
  - module: diskless.statelite.litefile
"""

EXAMPLES = r"""
- name: Read the rows of an image and those of every image
  diskless.statelite.litefile_info:
    image: [compute, ALL]
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out.
  returned: success
  type: list
  elements: dict
  sample: [{"image": "ALL", "file": "/etc/motd", "options": "con"}]
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import info_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import read_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import LITEFILE


def main() -> None:
    run_info(read=partial(read_rows, LITEFILE), **info_module(LITEFILE))


if __name__ == "__main__":
    main()
