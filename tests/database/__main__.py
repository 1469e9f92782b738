# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the run of a site whose tables are on PostgreSQL, with the lab's modules at hand: `build/venv/bin/python tests/database`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(HERE.parent / "lab")
    os.execv(sys.executable, [sys.executable, str(HERE / "play.py"), *sys.argv[1:]])
