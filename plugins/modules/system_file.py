#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep directories and small files of the site's services as they have to be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_file
short_description: Keep directories and small files of the site's services as they have to be
version_added: 0.1.0
description:
  - Makes directories, writes files and sets their modes and owners, many in one task, where a task for each costs half a second.
  - A file is replaced in one step. Symbolic links are followed. Nothing is removed.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  files:
    description:
      - What has to be there, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Where it is, an absolute path. Directories above it are made.
        type: path
        required: true
      kind:
        description:
          - Whether it is a file or a directory.
        type: str
        choices: [file, directory]
        default: file
      content:
        description:
          - The content of a file. Without it only the mode and the owners of a file are looked after, where there is one.
        type: str
      mode:
        description:
          - The mode, in octal; V(0644) for a file and V(0755) for a directory when it is not given.
        type: str
      owner:
        description:
          - The user it belongs to.
        type: str
        default: root
      group:
        description:
          - The group it belongs to.
        type: str
        default: root
extends_documentation_fragment:
  - diskless.statelite.attributes
"""

EXAMPLES = r"""
- name: What the service reads and writes
  diskless.statelite.system_file:
    files:
      - {path: /var/spool/statelite/reports, kind: directory, owner: statelite, group: statelite, mode: "0750"}
      - path: /etc/systemd/system/statelite-answer.service
        content: "{{ lookup('ansible.builtin.template', 'etc/systemd/system/statelite-answer.service.j2') }}"
"""

RETURN = r"""
changed_paths:
  description: The paths that were not as they have to be.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/statelite-answer.service]
paths:
  description: All of them.
  returned: success
  type: list
  elements: str
  sample: [/var/spool/statelite/reports, /etc/systemd/system/statelite-answer.service]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.systemfiles import SPEC, plan_files


def main() -> None:
    """Run the module."""
    run(SPEC, plan_files)


if __name__ == "__main__":
    main()
