"""Error messages for files, for the user who named the path."""

import errno
import os
import re

LINKS = 40  # longest chain of symbolic links, as in the kernel
STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
DESCRIPTOR = re.compile(r"/(dev|proc/(?:self|thread-self|\d+))/fd/(\d{1,9})", re.ASCII)


def explain(error: OSError | ValueError, path: str) -> str:
    """Explain in one line why ``path`` could not be opened; suggest a similar name if there is one.

    >>> explain(FileNotFoundError(errno.ENOENT, "No such file or directory"), "/nowhere/at/all")
    'no such file: the folder /nowhere/at does not exist'
    """
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        return _missing(path)
    if code == errno.EISDIR:
        return "is a folder, not a file; name a file in it"
    if code == errno.ENOTDIR:
        return "a part of its path is a file, not a folder"
    if code in (errno.EACCES, errno.EPERM):
        return "permission denied; change its rights or choose another file"
    if code == errno.ENOSPC:
        return "no space left on the disk; delete files or choose another folder"
    return (getattr(error, "strerror", None) or str(error)).lower()


def inherited(path: str) -> int | None:
    """Return the inherited file descriptor of a path such as /dev/stdout or /dev/fd/3, None for ordinary paths.

    Such a file belongs to the process that opened it: vwlite writes to it as it is, without truncating or replacing it.
    """
    for _ in range(LINKS):
        if path in STREAMS:
            return STREAMS[path]
        match = DESCRIPTOR.fullmatch(os.path.normpath(path))
        if match and (not match[1][-1].isdigit() or match[1] == f"proc/{os.getpid()}"):
            return int(match[2])
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except (OSError, ValueError):
            return None
    return None


def _missing(path: str) -> str:
    from pathlib import Path  # imported here to keep start-up fast

    folder, name = Path(path).parent, Path(path).name
    try:
        present = sorted(other.name for other in folder.iterdir())
    except FileNotFoundError:
        return f"no such file: the folder {folder} does not exist"
    except OSError:
        return "no such file"

    # Imported here, as only a mistyped name needs it.
    from difflib import get_close_matches

    # "data" for "data.gz" is more likely than a typing error, and too short a match for difflib.
    longer = [other for other in present if name and other.startswith(f"{name}.")]
    similar = longer[:1] or get_close_matches(name, present, n=1)
    return f"no such file; did you mean {folder / similar[0]}?" if similar else "no such file"
