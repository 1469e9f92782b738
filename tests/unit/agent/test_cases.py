# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded boots of the original, carried out by our liteimg, service and agent (shared/cases, README.md there)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from .node import Node

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "module_utils"))
