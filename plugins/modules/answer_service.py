#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the answer service of a statelite site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: answer_service
short_description: Install the program that answers booting nodes
version_added: 0.1.0
description:
  - Writes the answer service as a plain Python package, which needs nothing but the Python standard library (3.9 or newer).
  - The service answers booting nodes over TLS from the published snapshot of the site; it never opens the database.
  - Only the program is written here. The role C(answer_service) makes its user, certificate and unit.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  dest:
    description: Directory that holds the program C(answer-service) and its package.
    type: path
    default: /usr/lib/statelite
attributes:
  check_mode:
    description: Says which files would be written or removed, and writes none.
    support: full
  diff_mode:
    description: Shows the same as one line a file.
    support: full
"""

EXAMPLES = r"""
- name: Install the answer service
  diskless.statelite.answer_service:
  notify: Restart the answer service
"""

RETURN = r"""
dest:
  description: The directory.
  returned: success
  type: str
  sample: /usr/lib/statelite
launcher:
  description: The program to start.
  returned: success
  type: str
  sample: /usr/lib/statelite/answer-service
files:
  description: How many files the service is made of.
  returned: success
  type: int
  sample: 34
digest:
  description: SHA-256 of all of them, which changes exactly when the program does.
  returned: success
  type: str
  sample: 0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8
"""

from ansible_collections.diskless.statelite.plugins.module_utils.answer.package import SPEC, plan_install
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, plan_install)


if __name__ == "__main__":
    main()
