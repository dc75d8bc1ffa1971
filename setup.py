"""Compiles the Cython modules; every setting that is not about that is in pyproject.toml."""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

# The folders parsers/ and reductions/ are installed inside vwlite, never as top-level `parsers` and `reductions`.
PACKAGE_OF = {"vwlite": "vwlite", "parsers": "vwlite.parsers", "reductions": "vwlite.reductions"}

# VWLITE_CHECKED=1 makes the slow build that the tests also run in: every index of a Python object or memoryview is
# checked, and the assertions of Cython and of C are compiled in. Overflow is not checked: hashes wrap on purpose.
# It takes the code of processors without AVX2, so that one of the builds tests it.
# VWLITE_SANITIZED=1 is that, but with AVX2, and with the address and the undefined behaviour sanitizer of gcc or clang,
# which end the process at the first access outside of what was allocated and at the first undefined operation.
SANITIZED = bool(os.environ.get("VWLITE_SANITIZED"))
CHECKED = SANITIZED or bool(os.environ.get("VWLITE_CHECKED"))
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": CHECKED,
    "initializedcheck": CHECKED,
    "cdivision": not CHECKED,
    # Off in both builds, so that an index means the same in both and the checked one catches negative ones.
    "wraparound": False,
    "embedsignature": True,
}
if CHECKED:
    COMPILE = ["-O1", "-g", "-UNDEBUG", "-DVWLITE_CHECKED=1"]
else:
    COMPILE = ["-O3", "-g0", "-DNDEBUG", "-DCYTHON_WITHOUT_ASSERTIONS=1"]
# Neither -march=native: a wheel must run on every machine of its kind; nor -ffast-math: it reorders sums and assumes
# that there is no infinity and no NaN, while vwlite promises the same bits everywhere and stops NaN at the door; and
# -ffp-contract=off, because fused multiply-adds, the default where the processor has them, round differently too.
# -fno-math-errno lets square roots go side by side; it changes no result.
COMPILE += ["-ffp-contract=off", "-fno-math-errno", "-pthread"]
LINK = ["-pthread"]
if CHECKED and not SANITIZED:
    COMPILE += ["-DVWLITE_PLAIN=1"]  # the code of processors without AVX2
if SANITIZED:
    # float-divide-by-zero and float-cast-overflow are not in "undefined" for C; infinity is refused where it matters.
    # Copying no bytes from nowhere, memcpy(to, NULL, 0), is defined from C2y on, and harmless before.
    SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize=nonnull-attribute", "-fno-sanitize-recover=undefined"]
    SANITIZE += ["-fno-omit-frame-pointer"]
    COMPILE += SANITIZE
    LINK += SANITIZE

# One folder for each kind of build: no object of the other kind is ever reused.
BUILD = Path("build", "sanitized" if SANITIZED else "checked" if CHECKED else "normal")

NO_COMPILER = (
    "vwlite needs a C compiler and the header files of Python: `apt-get install gcc libc6-dev python3-dev` on Debian "
    "and Ubuntu, `dnf install gcc python3-devel` on Fedora, `xcode-select --install` on macOS"
)


def require_compiler() -> None:
    """Stops with one sentence, before anything is built, where no file that includes Python.h can be compiled."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <math.h>\n#include <Python.h>\n")
        command += ["-I", sysconfig.get_path("include"), "-c", str(source), "-o", str(source.with_suffix(".o"))]
        try:
            probe = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise SystemExit(f"{NO_COMPILER} ({command[0]}: {error.strerror})") from None
        if probe.returncode:
            reason = (probe.stderr.strip() or f"exit status {probe.returncode}").splitlines()[0]
            raise SystemExit(f"{NO_COMPILER} ({command[0]}: {reason})")


class BuildExt(build_ext):
    """Translates and compiles on every core, and only what has changed."""

    def finalize_options(self) -> None:
        """Sets one job a core where no other number was given."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Translates all modules together, then compiles the C files."""
        # Imported here: making an sdist, or failing for want of a compiler, needs no Cython.
        from Cython.Build import cythonize

        # The extensions are changed, not replaced: setuptools has already written on them where they go.
        translated = cythonize(
            self.extensions,
            include_path=["."],
            build_dir=str(BUILD / "cython"),
            compiler_directives=DIRECTIVES,
            nthreads=self.parallel,
            force=self.force,
        )
        for extension, c_extension in zip(self.extensions, translated, strict=True):
            extension.sources = c_extension.sources
        super().build_extensions()

    def copy_extensions_to_source(self) -> None:
        """Copies even over newer modules: they may be of the other kind of build."""
        self.force = True
        super().copy_extensions_to_source()


def main() -> None:
    """Runs setuptools."""
    # Asked for before setuptools starts, so that the sentence is not the last of many lines.
    if {"build", "build_ext", "bdist_wheel", "editable_wheel"}.intersection(sys.argv):
        require_compiler()
    headers = [str(path) for folder in PACKAGE_OF for path in sorted(Path(folder).rglob("*.h"))]
    setup(
        packages=[*find_packages(include=["vwlite", "vwlite.*"]), "vwlite.parsers", "vwlite.reductions"],
        package_dir={package: folder for folder, package in PACKAGE_OF.items()},
        ext_modules=[
            Extension(
                ".".join([package, *source.relative_to(folder).with_suffix("").parts]),
                [source.as_posix()],
                depends=headers,
                include_dirs=["."],  # headers are named as from the root: vwlite/core/number.h
                extra_compile_args=COMPILE,
                extra_link_args=LINK,
                libraries=["m"],
            )
            for folder, package in PACKAGE_OF.items()
            for source in sorted(Path(folder).rglob("*.pyx"))
        ],
        cmdclass={"build_ext": BuildExt},
        options={"build": {"build_base": str(BUILD)}},
    )


# Worker processes of cythonize import this file where they are not forked: they must not run setup() again.
if __name__ == "__main__":
    main()
