# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on one thing: flock(2), given back by the kernel when the holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import SiteError

BUILDS = ".genimage.lock"
"""The lock of an image directory: whoever makes or publishes a generation of it holds this."""


@contextmanager
def only_run(path: str, what: str) -> Iterator[None]:
    """Hold the lock file `path` while the body runs; its directory is made when missing.

    Raises SiteError that names `what` and the process that holds it when another run does.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "unknown"
            raise SiteError.of(what, f"another run is at work on it (process {holder})", "Wait until that run has ended") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def only_run_of_image(directory: str, image: str) -> AbstractContextManager[None]:
    """Hold the lock of the image directory while the body runs; raises SiteError as `only_run` does."""
    return only_run(os.path.join(directory, BUILDS), f"image {image}, {directory}")
