# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the option that names the site database."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  site:
    description:
      - Path of the site database on the managed machine, or its URL (C(sqlite:///PATH) or C(file:///PATH)).
        The first module that writes makes it, and publishes a snapshot beside it.
      - Or the URL of a database on a PostgreSQL server, as libpq takes it, such as C(postgresql://USER@HOST,HOST2/DATABASE?sslmode=verify-full).
        The managed machine's Python needs psycopg2 or psycopg for it. A URL with a password is refused; it comes from C(PGPASSFILE), a file
        named by C(passfile=PATH), or a service file. Its parameter C(directory=PATH), by default C(/etc/statelite), says where this machine
        keeps the snapshot, keys and records of the site.
      - A path that ends in C(.json) is such a snapshot, brought to a server without a database. Rows are only read from it.
    type: str
    default: /etc/statelite/site.db
"""
