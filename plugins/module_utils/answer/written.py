# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the answer service, written whole: a reader sees the old content or the new."""

from __future__ import annotations

import contextlib
import os
import threading

TEMPORARY = ".new"
"""How the name of a file ends that has not been renamed to its place yet."""


def write_whole(path: str, content: bytes, mode: int = 0o640) -> None:
    """Replace `path` by `content`: a file of its own beside it, then one rename."""
    temporary = f"{path}.{os.getpid()}-{threading.get_ident()}{TEMPORARY}"
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        # What a full disk took of it is needed for others.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
