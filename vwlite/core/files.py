"""Atomic writing of files, for every file of the program.

a) A regular file is written under a temporary name in its folder and renamed when it is complete: after a crash there
   is either the old file or the complete new one, with the permissions of the old one.
b) Pipes, terminals and character devices are written directly, and never replaced. Other special files are refused.
c) A temporary file is locked while its writer lives, so that a later writer can delete the files of killed writers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator

from vwlite.core.paths import inherited

PREFIX, SUFFIX = ".vwlite-new-", ".tmp"

_swept: set[str] = set()  # folders that this process has swept


class Temporary:
    """Temporary file in a folder, under a unique name, locked until it is renamed or removed.

    Args:
        folder: The folder, which is created if it does not exist.
        old: The state of the file that will be replaced; the new one has its permissions from the start.
        mode: The permissions if there is no old file, minus those of the umask.

    Raises:
        OSError: If the file can't be made.
    """

    def __init__(self, folder: str, old: os.stat_result | None = None, mode: int = 0o666) -> None:  # noqa: DOC503
        os.makedirs(folder, exist_ok=True)
        if folder not in _swept:
            _swept.add(folder)
            sweep(folder)
        mode = mode if old is None else old.st_mode & 0o777
        while True:
            self.path = os.path.join(folder, f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}")
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            try:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(self.fd, fcntl.LOCK_EX)
                if os.fstat(self.fd).st_nlink == 0:  # removed before it was locked
                    os.close(self.fd)
                    continue
                if old is not None:
                    if os.geteuid() == 0:
                        os.fchown(self.fd, old.st_uid, old.st_gid)
                    os.fchmod(self.fd, mode)
                return
            except BaseException:
                self.remove()
                raise

    def place(self, target: str) -> None:
        """Renames the file to `target`, which is replaced; `fd` stays open."""
        os.replace(self.path, target)
        self.path = ""

    def remove(self) -> None:
        """Closes the file, and deletes it unless it was renamed."""
        if self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        with contextlib.suppress(OSError):
            os.close(self.fd)


class NewFile:
    """Output file; a regular one appears under its name on commit().

    Args:
        path: The file. Missing folders are created; a symbolic link stays, and its target is replaced.
        through: Whether a file that is not regular may be written to; refused otherwise.
        wait: Whether to wait for a reader of a named pipe; otherwise a pipe without one is refused.

    Attributes:
        fd: The file descriptor, which is also readable if the file is regular.

    Raises:
        OSError: If the file can't be opened.
        PermissionError: If it is there and may not be written.
    """

    def __init__(self, path: str, through: bool = True, wait: bool = True) -> None:
        self.temporary: Temporary | None = None
        descriptor = inherited(path)
        old = None if descriptor is not None else state(path)
        if descriptor is not None or (old is not None and not stat.S_ISREG(old.st_mode)):
            if not through:
                raise OSError(errno.EINVAL, "is no regular file, and would have to be read again; name another file")
            if descriptor is not None:
                if sys.stdout is not None:
                    sys.stdout.flush()
                self.fd = os.dup(descriptor)
                return
            require_stream(old)
            try:
                self.fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | (0 if wait else os.O_NONBLOCK))
            except OSError as error:
                if error.errno == errno.ENXIO:
                    raise OSError(
                        errno.ENXIO, "is a pipe without a reader; start that first, or name a file"
                    ) from error
                raise
            return
        # Renaming over it would succeed, but the file is read-only on purpose.
        if old is not None and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.target = os.path.realpath(path)
        self.temporary = Temporary(os.path.dirname(self.target), old)
        self.fd = self.temporary.fd

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Writes all of the data."""
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(self.fd, view) :]

    def commit(self, sync: bool = False) -> None:
        """Renames the finished file to its path, with `sync` after an fsync."""
        if self.temporary is not None:
            try:
                if sync:
                    os.fsync(self.fd)
                self.temporary.place(self.target)
            except BaseException:
                self.discard()
                raise
            self.temporary = None
            if sync:
                sync_folder(os.path.dirname(self.target))
        self._close()

    def discard(self) -> None:
        """Deletes the new file, and leaves an old one as it is; does nothing after commit()."""
        if self.temporary is not None:
            self.temporary.remove()
            self.temporary = None
            self.fd = -1
        self._close()

    def _close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


@contextlib.contextmanager
def writing(path: str, sync: bool = False, wait: bool = True) -> Iterator[NewFile]:
    """Context manager: commits the file if the body succeeds, discards it if the body raises. Raises OSError."""
    file = NewFile(path, wait=wait)
    try:
        yield file
    except BaseException:
        file.discard()
        raise
    file.commit(sync)


def state(path: str) -> os.stat_result | None:
    """Returns the stat result of a path, None if nothing is there. Raises OSError if it can't be read."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def require_stream(found: os.stat_result | None) -> None:
    """Raises OSError for a special file that must not be written to."""
    mode = 0 if found is None else found.st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    for test, name in ((stat.S_ISBLK, "block device"), (stat.S_ISSOCK, "socket")):
        if test(mode):
            raise OSError(errno.EINVAL, f"is a {name}, which is never written to; name another file")


def sweep(folder: str, prefix: str = PREFIX) -> None:
    """Deletes temporary files whose writers were killed."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(prefix) and name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    _remove_deserted(os.path.join(folder, name))


def _remove_deserted(path: str) -> None:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.lstat(path)):
            os.unlink(path)
    finally:
        os.close(fd)


def sync_folder(folder: str) -> None:
    """Flushes a folder to the disk (fsync).

    The file in it is already complete and renamed. If the file system can't flush a folder, or the folder may be
    written but not listed, the only effect is that the old file may be back after a power failure.
    """
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
