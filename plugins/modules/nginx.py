#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give packed images and boot files out by nginx."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx
short_description: Give packed images and boot files out by nginx
version_added: 0.1.0
description:
  - Writes one drop-in of nginx from the tables, a server that answers under the addresses by which nodes know this machine, on the port
    C(httpport) of the table C(site). It gives out the directories of images and of boot files under their own paths, to read and without
    listings, and the TFTP directory also at C(/tftpboot), which boot files name. Root trees are not given out, nor names that begin with a
    dot.
  - Files of others are never written. Their servers go on answering under their own names, and under all names that are nobody's.
  - A port that another program listens on, such as the web server of a live xCAT, is refused with the program, its process and its address,
    in check mode too. nginx itself is told so only when it starts or is reloaded.
  - The whole configuration as it would be is tested by nginx itself before the file is put in place. Reloading the daemon is the
    caller's.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  names:
    description:
      - The addresses and names that are answered to. By default those addresses of this server that the tables name to nodes, and those
        that are in a declared network.
    type: list
    elements: str
    default: []
  path:
    description:
      - Our drop-in.
    type: path
    default: /etc/nginx/conf.d/statelite.conf
  main_file:
    description:
      - The main configuration file, which is only read.
    type: path
    default: /etc/nginx/nginx.conf
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
"""

EXAMPLES = r"""
- name: Give packed images out over HTTP
  diskless.statelite.nginx:
  notify: Reload nginx
"""

RETURN = r"""
path:
  description: The drop-in.
  returned: success
  type: str
  sample: /etc/nginx/conf.d/statelite.conf
names:
  description: The addresses and names that are answered to.
  returned: success
  type: list
  elements: str
  sample: [10.77.0.1]
directories:
  description: The directories that are given out.
  returned: success
  type: list
  elements: str
  sample: [/install, /tftpboot]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.nginx import SPEC, read_and_plan


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
