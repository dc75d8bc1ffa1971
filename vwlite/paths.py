"""What went wrong with a file, in words for the person who named it."""

import errno


def explain(error: OSError | ValueError, path: str) -> str:
    """Say in one line why ``path`` could not be opened and, where it can be guessed, what was meant.

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
        return "no space left on the disk; make room or choose another folder"
    return (getattr(error, "strerror", None) or str(error)).lower()


def inherited(path: str) -> int | None:
    """Return the file descriptor that a path such as /dev/stdout or /dev/fd/3 stands for, None for ordinary paths.

    Such a file belongs to whoever opened it: it is written to as it stands, neither truncated nor replaced.
    """
    name = path.removeprefix("/dev/")
    if name in ("stdout", "stderr"):
        return 1 if name == "stdout" else 2
    number = name.removeprefix("fd/")
    return int(number) if path.startswith("/dev/fd/") and number.isdecimal() else None


def _missing(path: str) -> str:
    from pathlib import Path  # here, because start-up pays for it otherwise

    folder, name = Path(path).parent, Path(path).name
    try:
        present = sorted(other.name for other in folder.iterdir())
    except FileNotFoundError:
        return f"no such file: the folder {folder} does not exist"
    except OSError:
        return "no such file"

    # Imported here: only a mistyped name pays for it.
    from difflib import get_close_matches

    # "data" for "data.gz" is a likelier slip than a typing error, and too short a match for difflib.
    longer = [other for other in present if name and other.startswith(f"{name}.")]
    similar = longer[:1] or get_close_matches(name, present, n=1)
    return f"no such file; did you mean {folder / similar[0]}?" if similar else "no such file"
