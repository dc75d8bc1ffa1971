"""Checks at the driver: Java, Python, and the versions of packages, before the first job, each in one line."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vwlite.errors import VwliteError

INSTALL = "pip install 'vwlite[spark]'"
WANTED: Mapping[str, tuple[int, int | None]] = {"pyspark": (4, 5), "pyarrow": (17, None), "pandas": (2, 3)}
LEAST_JAVA = 17  # the classes of Spark 4 are of its version
JAVA_HINT = "on Debian and Ubuntu: apt-get install openjdk-17-jre-headless"


def wrong_version(package: str, found: str | None) -> str:
    """The message that a package is missing or of an unusable version; "" if it can be used.

    >>> wrong_version("pandas", "3.0.1")
    "vwlite.spark needs pandas of at least 2 and below 3, and 3.0.1 is installed: pip install 'vwlite[spark]'"
    """
    least, below = WANTED[package]
    wanted = f"of at least {least}" + (f" and below {below}" if below is not None else "")
    if found is None:
        return f"vwlite.spark needs {package} {wanted}, which is not installed: {INSTALL}"
    first = re.match(r"\d+", found)
    number = int(first[0]) if first else -1
    if number < least or (below is not None and number >= below):
        return f"vwlite.spark needs {package} {wanted}, and {found} is installed: {INSTALL}"
    return ""


def require_packages() -> None:
    """Checks that pyspark, pyarrow and pandas are there, in versions that work together.

    Raises:
        VwliteError: If one is missing or of another version.
    """
    for package in WANTED:
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found = None
        message = wrong_version(package, found)
        if message:
            raise VwliteError(message)


def java_command() -> str | None:
    """The path of the java command that Spark would start; None without one."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java")


def require_java() -> None:
    """Checks that there is a Java which Spark can run on; needed only where this process starts Spark.

    Raises:
        VwliteError: If there is none, or an older one.
    """
    command = java_command()
    if command is None:
        where = f"under JAVA_HOME={os.environ['JAVA_HOME']}" if os.environ.get("JAVA_HOME") else "on the PATH"
        raise VwliteError(f"Spark needs Java {LEAST_JAVA} or later, and there is none {where}: {JAVA_HINT}")
    done = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)(?:\.(\d+))?', done.stderr + done.stdout)
    if version is None:
        raise VwliteError(f"{command} -version reports no version, and Spark needs Java {LEAST_JAVA} or later")
    number = int(version[2] or 0) if version[1] == "1" else int(version[1])  # 1.8 is Java 8
    if number < LEAST_JAVA:
        raise VwliteError(f"Spark needs Java {LEAST_JAVA} or later, and {command} is Java {number}: {JAVA_HINT}")


def session(master: str = "local[*]", **settings: str) -> Any:  # noqa: DOC502
    """A Spark session on this machine whose workers run this Python; an existing session is returned as it is.

    Args:
        master: Where Spark runs.
        **settings: Settings of Spark, with `__` for each dot: ``spark__driver__memory="2g"``.

    Returns:
        The SparkSession.

    Raises:
        VwliteError: Without Java, or with packages of other versions.
    """
    require_packages()
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    require_java()
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master)
    defaults = {
        "spark.ui.showConsoleProgress": "false",
        "spark.ui.enabled": "false",
        # the most there can be, which spares Spark a look at the size of the batch before each row
        "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
    }
    if master.startswith("local"):
        defaults |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
        # short pauses cost CPU time, and nobody waits for an answer here
        defaults["spark.driver.extraJavaOptions"] = "-XX:+UseParallelGC"
    for name, value in (defaults | {name.replace("__", "."): value for name, value in settings.items()}).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


_checked: set[tuple[str, str]] = set()


def require_session(spark: Any) -> None:  # noqa: DOC502
    """Checks a session once: packages at the driver, and the Python that its workers run.

    Without PYSPARK_PYTHON, workers run the first python3 of the PATH, and fail there 40 lines deep. Workers on other
    machines can't be asked without a job: what they lack is reported when the first job fails.

    Args:
        spark: The SparkSession.

    Raises:
        VwliteError: If a package is of another version, or workers would run a Python without vwlite.
    """
    context = getattr(spark, "_sc", None)  # a session of Spark Connect has none
    python = str(getattr(context, "pythonExec", "") or "")
    known = (str(getattr(context, "applicationId", id(spark))), python)
    if known in _checked:
        return
    require_packages()
    if context is not None and str(context.master).startswith("local"):
        require_python(python)
    _checked.add(known)


def require_python(python: str) -> None:
    """Checks that a Python of workers on this machine has what tasks need.

    Args:
        python: The command.

    Raises:
        VwliteError: If it has not, or is of another version than this one.
    """
    if shutil.which(python) == sys.executable:
        return
    hint = "set PYSPARK_PYTHON to sys.executable before the session starts, or start it by vwlite.spark.session()"
    program = "import sys, pyarrow, vwlite; print(*sys.version_info[:2], vwlite.__version__)"
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    except OSError as error:
        raise VwliteError(
            f"Spark's workers would run {python}, which can't be started ({error.strerror}): {hint}"
        ) from None
    from vwlite import __version__

    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VwliteError(f"Spark's workers would run {python}, which lacks what tasks need ({why}): {hint}")
    mine = f"{sys.version_info[0]} {sys.version_info[1]} {__version__}"
    if done.stdout.strip() != mine:
        theirs = done.stdout.split()
        raise VwliteError(
            f"Spark's workers would run {python}, of Python {'.'.join(theirs[:2])} with vwlite {theirs[-1]}, and this "
            f"is Python {'.'.join(mine.split()[:2])} with vwlite {__version__}: {hint}"
        )
