# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a table written as text, for a playbook that joins them with others."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rows
short_description: Read the rows of a table from CSV or JSON lines
version_added: 0.1.0
description:
  - Gives the rows of a text in the form that the modules take as C(content), each with its set cells.
author: diskless.statelite contributors (@diskless)
positional: _input, table
options:
  _input:
    description: The text.
    type: str
    required: true
  table:
    description: The table, whose columns may stand in the header.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The default table of Debian 12 and one row more
  diskless.statelite.litefile:
    rows: "{{ lookup('ansible.builtin.file', 'debian12.csv') | diskless.statelite.rows('litefile') + [{'file': '/srv/'}] }}"
"""

RETURN = r"""
_value:
  description: The rows in their order.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.forms import parse
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES


def rows(text: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of `text`, blank cells left out; raises AnsibleFilterError for what cannot be read."""
    if table not in TABLES:
        raise AnsibleFilterError(f"there is no table {table}; the tables are {', '.join(TABLES)}")
    try:
        parsed = parse(text, TABLES[table].names, f"the text for {table}")
    except SiteError as error:
        raise AnsibleFilterError(str(error)) from error
    return [{name: cell for name, cell in row.items() if cell != ""} for row in parsed.rows]


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"rows": rows}
