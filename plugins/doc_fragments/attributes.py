# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what every module supports."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Reports what would change, and writes nothing.
    support: full
  diff_mode:
    description: Shows each change as a line of text.
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Reads the same as without check mode.
    support: full
  diff_mode:
    description: Has nothing to show, as nothing changes.
    support: N/A
"""
