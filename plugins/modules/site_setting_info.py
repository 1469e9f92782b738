# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read settings of the whole site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_setting_info
short_description: Read settings of the whole site
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.site_setting) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.site_setting_info
seealso:
  - module: diskless.statelite.site_setting
"""

EXAMPLES = r"""
- name: Read one setting
  diskless.statelite.site_setting_info:
    key: [installdir]
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out.
  returned: success
  type: list
  elements: dict
  sample: [{"key": "installdir", "value": "/install"}]
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import info_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import read_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import SITE_SETTING


def main() -> None:
    run_info(read=partial(read_rows, SITE_SETTING), **info_module(SITE_SETTING))


if __name__ == "__main__":
    main()
