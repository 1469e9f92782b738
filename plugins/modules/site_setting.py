# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare settings of the whole site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_setting
short_description: Declare settings of the whole site
version_added: 0.1.0
description:
  - Writes rows of the table C(site), such as C(installdir), C(tftpdir), C(master), C(domain), C(nameservers) and C(liteattach).
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.site_setting
seealso:
  - module: diskless.statelite.site_setting_info
"""

EXAMPLES = r"""
- name: Where images and boot files are, and who serves them
  diskless.statelite.site_setting:
    rows:
      - {key: installdir, value: /install}
      - {key: tftpdir, value: /tftpboot}
      - {key: master, value: 10.77.0.1}
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import SITE_SETTING


def main() -> None:
    run(read_and_plan=partial(plan_rows, SITE_SETTING), **rows_module(SITE_SETTING))


if __name__ == "__main__":
    main()
