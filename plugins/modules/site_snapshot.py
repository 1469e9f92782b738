# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: publish the tables of a site on this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_snapshot
short_description: Publish the tables of a site on this machine
version_added: 0.1.0
description:
  - Publishes what the site database says now as C(published/site.json) in the directory of the site, which the answer service reads.
  - Every module that writes a table does this by itself, on the machine where it runs. This one is for machines where no table is
    written, such as a service node that reads the PostgreSQL database of the site or a replica of it.
  - A replica that lags behind what is published here already publishes nothing older.
author:
  - diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.site
"""

EXAMPLES = r"""
- name: Publish on a service node what the replica beside it has
  diskless.statelite.site_snapshot:
    site: postgresql://looker@replica.example,database.example/site?target_session_attrs=any
"""

RETURN = r"""
snapshot:
  description: Path of the published file.
  returned: success
  type: str
  sample: /etc/statelite/published/site.json
version:
  description: The number of writes that the tables have seen.
  returned: success
  type: int
  sample: 12
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.tables.publishing import SPEC, plan_snapshot


def main() -> None:
    run(SPEC, plan_snapshot)


if __name__ == "__main__":
    main()
