# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a machine keeps what belongs to a site besides its database."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_directory
short_description: Name the directory of the files of a site
version_added: 0.1.0
description:
  - Gives the directory in which a machine keeps the files of a site besides its tables, namely the published snapshot, keys and records.
  - It is the directory of the database when that is a file, and what the URL of a PostgreSQL database says as C(directory),
    C(/etc/statelite) when it says nothing.
author: diskless.statelite contributors (@diskless)
positional: _input
options:
  _input:
    description: The site, as the option C(site) of the modules takes it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See what is published
  ansible.builtin.stat:
    path: "{{ 'postgresql://db/site' | diskless.statelite.site_directory }}/published/site.json"
"""

RETURN = r"""
_value:
  description: The path of the directory.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.address import site_directory as directory_of


def site_directory(site: str) -> str:
    """Return the directory; raises AnsibleFilterError for what names no site."""
    try:
        return directory_of(site)
    except SiteError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"site_directory": site_directory}
