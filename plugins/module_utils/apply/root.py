# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that nobody can escape from: every path is opened below one descriptor, never joined to a root as text.

A path here is written `/etc/hosts` and means that name inside the root. All methods but `resolve` refuse to pass a
symbolic link or a mount on the way (openat2(2): RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV; on kernels
without it one O_NOFOLLOW open a component), so a hostile link in an image can at worst make an operation fail.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from ..errors import SiteError

SYS_OPENAT2 = 437
"""The system call's number, the same on every architecture that Linux gained since 5.6 but alpha."""

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
CONFINED = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
RENAME_NOREPLACE = 1
ATTEMPTS = 1000
MAX_LINKS = 40
"""Symbolic links followed in one path, as path_resolution(7) has it."""

HELD = 128
"""Directories kept open below a root: neighbours in a plan lie in the same ones."""

DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_OpenHow)
_HOWS: dict[tuple[int, int], Any] = {}
"""The kernel only reads the structure, so one of each kind is enough."""
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)


def _openat2(descriptor: int, name: str, flags: int, resolve: int) -> int:
    """Open; again when the kernel could not tell, because of a rename elsewhere, that a `..` stays inside (openat2(2), EAGAIN)."""
    how = _HOWS.get((flags, resolve))
    if how is None:
        how = _HOWS[flags, resolve] = ctypes.pointer(_OpenHow(flags, 0, resolve))
    number = errno.EAGAIN
    for _attempt in range(ATTEMPTS):
        opened = _libc.syscall(SYS_OPENAT2, descriptor, os.fsencode(name), how, _SIZE)
        if opened >= 0:
            return int(opened)
        number = ctypes.get_errno()
        if number != errno.EAGAIN:
            break
    raise OSError(number, os.strerror(number), name)


def openat2_works(descriptor: int) -> bool:
    """Tell whether the kernel (and any seccomp filter) lets this process use openat2."""
    try:
        os.close(_openat2(descriptor, ".", os.O_PATH | os.O_CLOEXEC, CONFINED))
    except OSError:
        return False
    return True


def parts_of(path: str) -> list[str]:
    """Return the components of a path inside a root; raises SiteError on `..` and NUL, which no lawful path has."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise SiteError.of(path, "the path would leave the image", "Write the full path without '..'")
    return parts


def _rename_new(source: int, old: str, target: int, new: str) -> None:
    """rename(2) that never replaces what is there (renameat2 where the C library has it)."""
    call = getattr(_libc, "renameat2", None)
    if call is not None:
        if call(source, os.fsencode(old), target, os.fsencode(new), RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number), old, None, new)
    try:
        os.lstat(new, dir_fd=target)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _links_in(directory: int, prefix: str, device: int, passed: list[str]) -> Iterator[tuple[str, str]]:
    with os.scandir(directory) as names:
        found = sorted((entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in names)
    for name, is_link, is_directory in found:
        if is_link:
            yield prefix + name, os.readlink(name, dir_fd=directory)
        elif is_directory:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                if os.fstat(below).st_dev == device:
                    passed.append(prefix + name)
                    yield from _links_in(below, f"{prefix}{name}/", device, passed)
            finally:
                os.close(below)


class Root:
    """One open directory; a context manager. `kernel_confined` is None to probe for openat2."""

    def __init__(self, path: str, kernel_confined: bool | None = None) -> None:
        self.path = path
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SiteError.of(
                path, f"cannot be opened as a directory ({error.strerror})", "Build the image, or name its directory"
            ) from error
        self.kernel_confined = openat2_works(self.descriptor) if kernel_confined is None else kernel_confined
        self._held: dict[str, int] = {}
        self._ways: set[str] = set()

    def __enter__(self) -> Root:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        self._let_go()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _let_go(self) -> None:
        for held in self._held.values():
            os.close(held)
        self._held.clear()
        self._ways.clear()

    def _gone(self, path: str) -> None:
        """Forget the directories kept open at or below a name that is about to be moved or removed."""
        if path.rstrip("/") in self._ways:
            self._let_go()

    def _walk(self, parts: list[str]) -> int:
        """Open a directory one component at a time; the fallback for kernels without openat2."""
        here = os.dup(self.descriptor)
        device = os.fstat(here).st_dev
        try:
            for part in parts:
                below = os.open(part, DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
                if os.fstat(here).st_dev != device:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), part)
        except BaseException:
            os.close(here)
            raise
        return here

    def _at(self, path: str) -> tuple[int, str]:
        """Return the descriptor of the directory that holds `path`, and the last name.

        The descriptor stays this object's; it is good at least until two more directories were asked for.
        """
        above, _slash, name = path.rpartition("/")
        held = self._held.get(above)
        if held is not None and name not in ("", ".", "..") and "\0" not in name:
            return held, name
        parts = parts_of(path)
        if len(parts) < 2:
            return self.descriptor, parts[0] if parts else "."
        way = "/" + "/".join(parts[:-1])
        held = self._held.get(way)
        if held is None:
            held = _openat2(self.descriptor, way[1:], DIRECTORY, CONFINED) if self.kernel_confined else self._walk(parts[:-1])
            if len(self._held) >= HELD:
                os.close(self._held.pop(next(iter(self._held))))
            self._held[way] = held
            while way and way not in self._ways:
                self._ways.add(way)
                way = way.rpartition("/")[0]
        return held, parts[-1]

    @contextmanager
    def _open(self, path: str, flags: int, mode: int = 0o600) -> Iterator[int]:
        directory, name = self._at(path)
        opened = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)
        try:
            yield opened
        finally:
            os.close(opened)

    def lstat(self, path: str) -> os.stat_result | None:
        """Return what stands at `path` itself, or None when nothing does (also below a file or a link)."""
        try:
            directory, name = self._at(path)
            return os.lstat(name, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise

    def readlink(self, path: str) -> str:
        """Return the text of the symbolic link at `path`."""
        directory, name = self._at(path)
        return os.readlink(name, dir_fd=directory)

    def listdir(self, path: str) -> list[str]:
        """Return the names in the directory `path`, sorted."""
        with self._open(path, os.O_RDONLY | os.O_DIRECTORY) as opened:
            return sorted(os.listdir(opened))

    def scan(self, path: str) -> Iterator[tuple[str, os.stat_result, str]]:
        """Give (name, what stands there, text of a symbolic link) for every name in the directory `path`, sorted."""
        with self._open(path, os.O_RDONLY | os.O_DIRECTORY) as opened:
            for name in sorted(os.listdir(opened)):
                here = os.lstat(name, dir_fd=opened)
                yield name, here, os.readlink(name, dir_fd=opened) if stat.S_ISLNK(here.st_mode) else ""

    def pieces(self, path: str, size: int) -> Iterator[bytes]:
        """Give the content of the regular file `path`, `size` bytes at a time; nothing when there is none."""
        found = self.lstat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return
        with self._open(path, os.O_RDONLY | os.O_NONBLOCK) as opened:
            while True:
                piece = os.read(opened, size)
                if not piece:
                    return
                yield piece

    def links_below(self, path: str, passed: list[str] | None = None) -> Iterator[tuple[str, str]]:
        """Give (path relative to `path`, text) of every symbolic link below the directory `path`, on its file system.

        The directories below it are added to `passed`, relative to it too.
        """
        with self._open(path, os.O_RDONLY | os.O_DIRECTORY) as opened:
            yield from _links_in(opened, "", os.fstat(opened).st_dev, [] if passed is None else passed)

    def mkdir(self, path: str, mode: int) -> None:
        """Make one directory with exactly this mode."""
        directory, name = self._at(path)
        os.mkdir(name, 0o700, dir_fd=directory)
        self.chmod(path, mode)

    def make_directory(self, path: str, mode: int, owner: int, group: int) -> None:
        """Have a directory with exactly this mode and owner; one that stands there is kept."""
        directory, name = self._at(path)
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=directory)
        found = os.lstat(name, dir_fd=directory)
        if not stat.S_ISDIR(found.st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        same = (found.st_uid, found.st_gid) == (owner, group)
        if not same:
            os.chown(name, owner, group, dir_fd=directory, follow_symlinks=False)
        if not same or stat.S_IMODE(found.st_mode) != mode:
            self.chmod(path, mode)

    def make_file(self, path: str, mode: int) -> None:
        """Make an empty file with exactly this mode; one that stands there must be a regular file and is kept."""
        with self._open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK) as opened:
            os.fchmod(opened, mode)

    def symlink(self, path: str, text: str) -> None:
        """Make a symbolic link at `path`."""
        directory, name = self._at(path)
        os.symlink(text, name, dir_fd=directory)

    def unlink(self, path: str) -> None:
        """Remove one name that is not a directory."""
        directory, name = self._at(path)
        os.unlink(name, dir_fd=directory)

    def rmdir(self, path: str) -> None:
        """Remove one empty directory."""
        self._gone(path)
        directory, name = self._at(path)
        os.rmdir(name, dir_fd=directory)

    def rename(self, source: str, target: str) -> None:
        """Move `source` to `target`, where nothing may stand."""
        self._gone(source)
        old, name = self._at(source)
        new, newname = self._at(target)
        _rename_new(old, name, new, newname)

    def rename_into(self, source: str, other: Root, target: str) -> None:
        """Move `source` out of this root to `target` of another one on the same file system."""
        self._gone(source)
        old, name = self._at(source)
        new, newname = other._at(target)
        _rename_new(old, name, new, newname)

    def chmod(self, path: str, mode: int) -> None:
        """Set the mode of a directory or regular file, never through a link."""
        with self._open(path, os.O_RDONLY | os.O_NONBLOCK) as opened:
            os.fchmod(opened, mode)

    def chown(self, path: str, owner: int, group: int) -> None:
        """Set the owner of `path` itself."""
        directory, name = self._at(path)
        os.chown(name, owner, group, dir_fd=directory, follow_symlinks=False)

    def utimes(self, path: str, accessed: int, modified: int) -> None:
        """Set the times of `path` itself, in nanoseconds."""
        directory, name = self._at(path)
        os.utime(name, ns=(accessed, modified), dir_fd=directory, follow_symlinks=False)

    def read(self, path: str) -> bytes | None:
        """Return the content of the regular file `path`; None when there is none."""
        found = self.lstat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        with self._open(path, os.O_RDONLY | os.O_NONBLOCK) as opened, os.fdopen(os.dup(opened), "rb") as stream:
            return stream.read()

    def replace(self, path: str, content: bytes, mode: int) -> None:
        """Write a whole file: a temporary one beside it, fsync, rename. A leftover of a killed run is written over."""
        directory, name = self._at(path)
        temporary = f".{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)

    def sync(self) -> None:
        """Make everything done so far on this file system durable (syncfs(2))."""
        if getattr(_libc, "syncfs", None) is None or _libc.syncfs(self.descriptor) != 0:
            os.sync()

    def resolve(self, path: str) -> str:
        """Return where `path` really lies inside the root when every link is followed as a chroot would.

        `/var/run/x` with `/var/run -> /run` gives `/run/x`; what is missing keeps its written names.
        Raises SiteError when more than MAX_LINKS links follow each other.
        """
        if self.kernel_confined:
            try:
                opened = _openat2(self.descriptor, "/".join(parts_of(path)) or ".", os.O_PATH | os.O_CLOEXEC, RESOLVE_IN_ROOT)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
                    raise
            else:
                try:
                    base, real = (os.readlink(f"/proc/self/fd/{number}") for number in (self.descriptor, opened))
                finally:
                    os.close(opened)
                base = base.rstrip("/")
                if real == base or real.startswith(base + "/"):
                    return real[len(base) :] or "/"
        return self._resolve_by_walk(path)

    def _resolve_by_walk(self, path: str) -> str:
        """Follow links in text, asking only `lstat` and `readlink` below the descriptor."""
        left = parts_of(path)[::-1]
        here: list[str] = []
        followed = 0
        while left:
            part = left.pop()
            if part == "..":
                del here[-1:]
                continue
            place = "/" + "/".join([*here, part])
            found = self.lstat(place)
            if found is None or not stat.S_ISLNK(found.st_mode):
                here.append(part)
                continue
            followed += 1
            if followed > MAX_LINKS:
                raise SiteError.of(path, "its symbolic links lead in a circle", "Mend the links in the image")
            text = self.readlink(place)
            if text.startswith("/"):
                here = []
            left.extend(piece for piece in reversed(text.split("/")) if piece not in ("", "."))
        return "/" + "/".join(here)
