"""Sources of examples: files, pipes and compressed files, each as a file descriptor that the parser reads.

A thread decompresses a file into a pipe, so that the parser, in C and without the GIL, reads plain bytes, and
decompression runs in parallel to parsing and learning. A reader must therefore release the GIL while it waits.
"""

import contextlib
import errno
import io
import os
import select
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from typing import Any

from vwlite.core.paths import explain
from vwlite.errors import VwliteError

CHUNK_SIZE = 1 << 18
PIPE_SIZE = 1 << 20  # Linux's limit for all users; with the default of 64 kB, thread and parser wait for each other

_Unpack = Callable[[io.BufferedReader], Iterator[bytes]]


class Source:
    """An open input.

    Args:
        name: The path as it was given, or "stdin".
        fd: The descriptor to read uncompressed bytes from; the source closes it.
        size: Bytes on disk, compressed if the file is; None if there is no size, as of a pipe.
    """

    def __init__(self, name: str, fd: int, size: int | None) -> None:
        self.name = name
        self.fd = fd
        self.size = size
        self._open = True

    def position(self) -> int | None:
        """The number of bytes read so far, on the scale of `size`; None if it is unknown."""
        if not self._open or self.size is None:
            return None
        try:
            return os.lseek(self.fd, 0, os.SEEK_CUR)
        except OSError:
            return None  # the parsing thread has just closed it

    def close(self) -> None:  # noqa: DOC502
        """Closes the input; a second call has no effect.

        Raises:
            VwliteError: If a compressed file was read to its end and is damaged.
        """
        was_open, self._open = self._open, False
        # Standard input belongs to the process.
        if was_open and self.fd > 0:
            os.close(self.fd)


class _Unpacked(Source):
    def __init__(self, name: str, fd: int, size: int | None, unpack: _Unpack) -> None:
        read_end, write_end = os.pipe()
        super().__init__(name, read_end, size)
        _enlarge(write_end)
        self._input = _Input(fd, write_end)
        self._failure = ""
        self._thread = threading.Thread(target=self._run, args=(unpack, write_end), name=f"unpack {name}", daemon=True)
        self._thread.start()

    def position(self) -> int | None:
        return self._input.consumed

    def close(self) -> None:
        if not self._open:
            return
        # Damage after the bytes that were read is no error, and must not depend on how far the thread has read ahead.
        pipe = select.poll()
        pipe.register(self.fd, select.POLLIN)
        left_early = any(events & select.POLLIN for _, events in pipe.poll(0))
        super().close()
        self._thread.join()
        if self._failure and not left_early:
            raise VwliteError(
                f"{self.name}: damaged or cut short near byte {self._input.consumed} ({self._failure}); "
                "make or fetch the file again"
            )

    def _run(self, unpack: _Unpack, write_end: int) -> None:
        # SIGPIPE may end the program when its output is closed, but not when it stops reading an input.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        try:
            for chunk in unpack(io.BufferedReader(self._input, CHUNK_SIZE)):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(write_end, rest) :]
        except BrokenPipeError:
            pass  # the reader has closed the pipe
        except Exception as error:  # each library has other exceptions for damaged data
            self._failure = str(error) or type(error).__name__
        finally:
            self._input.close()
            os.close(write_end)


class _Input(io.RawIOBase):
    """Counts the compressed bytes; raises BrokenPipeError when the reader of the pipe closes it."""

    def __init__(self, fd: int, pipe: int) -> None:
        self.consumed = 0
        self._fd = fd
        self._pipe = pipe
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(pipe, 0)  # POLLERR, for a pipe without a reader, is always reported

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if any(fd == self._pipe for fd, _ in self._poll.poll()):
            raise BrokenPipeError
        count = os.readv(self._fd, [buffer])
        self.consumed += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


def open_source(path: str | None) -> Source:  # noqa: DOC503
    """Opens a file for reading, and decompresses it if it ends in .gz, .bz2, .xz, .lzma or .zst.

    Args:
        path: The file; ``-`` or None is standard input.

    Returns:
        The open input.

    Raises:
        VwliteError: If the file doesn't exist, can't be read, or no library that decompresses it is installed.
    """
    if path is None or path == "-":
        try:
            _enlarge(0)
            return Source("stdin", 0, _measure(0))
        except OSError as error:
            raise VwliteError("stdin: is closed or a folder; name a file with -d") from error
    unpack = _unpacker(path)
    fd = -1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        size = _measure(fd)
        if unpack is None:
            return Source(path, fd, size)
        if size == 0:
            raise ValueError("is empty, which no compressed file is; make or fetch it again")
        return _Unpacked(path, fd, size, unpack)
    except (OSError, ValueError) as error:
        if fd >= 0:
            os.close(fd)
        raise VwliteError(f"{path}: {explain(error, path)}") from error


def _enlarge(fd: int) -> None:
    """Enlarges the buffer of a pipe to PIPE_SIZE, if it is a pipe and the system permits it."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def _measure(fd: int) -> int | None:
    state = os.fstat(fd)
    # A folder can be opened, but not read.
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def _unpacker(path: str) -> _Unpack | None:
    """The function that decompresses a file of this name; None if it is not compressed."""
    suffix = os.path.splitext(path)[1].lower()
    try:
        match suffix:
            case ".gz":
                import gzip

                return lambda file: _chunks(gzip.GzipFile(fileobj=file, mode="rb"))
            case ".bz2":
                import bz2

                return lambda file: _chunks(bz2.BZ2File(file))
            case ".xz" | ".lzma":
                import lzma

                return lambda file: _chunks(lzma.LZMAFile(file))
            case ".zst":
                return _zstd_unpacker()
    except ImportError as error:
        remedy = "pip install 'vwlite[zstd]'" if suffix == ".zst" else "unpack the file first"
        raise VwliteError(f"{path}: this Python cannot unpack {suffix} ({error}); {remedy}") from error
    return None


def _zstd_unpacker() -> _Unpack:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14 on
    except ImportError:
        import zstandard

        return lambda file: _zstandard_chunks(zstandard.ZstdDecompressor(), file)
    return lambda file: _chunks(zstd.ZstdFile(file))


def _chunks(stream: Any) -> Iterator[bytes]:
    return iter(lambda: stream.read1(CHUNK_SIZE), b"")


def _zstandard_chunks(decompressor: Any, file: io.BufferedReader) -> Iterator[bytes]:
    # Frame by frame, because the package's streams don't detect a truncated file.
    frame = None
    # Small chunks, because all of their decompressed data is in memory at once.
    while packed := file.read(1 << 13):
        while packed:
            frame = frame or decompressor.decompressobj()
            yield frame.decompress(packed)
            packed = frame.unused_data
            if frame.eof:
                frame = None
    if frame is not None:
        raise EOFError("the file ends in the middle of a frame")
