"""Builds culvert/esp/_batch.so, the compiled engine: a plain shared object loaded by ctypes.

It needs a C compiler and the C library's headers, neither Python.h nor OpenSSL's. Without a
compiler the package installs all the same and runs its pure-Python engine.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

SOURCES = Path("src/culvert/esp")
LOOKED_AT = runpy.run_path("src/culvert/driver/shared_object.py")
FLAGS = ["-O3", "-std=gnu11", "-Wall", "-Wextra", "-fvisibility=hidden", "-fstack-protector-strong"]


class PlainLibrary(build_ext):
    """A shared object that no interpreter imports: no tag in its name, no PyInit, no Python.h."""

    def get_ext_filename(self, fullname: str) -> str:
        return fullname.replace(".", "/") + ".so"

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return []

    def build_extension(self, ext: Extension) -> None:
        """What an earlier build left goes first: nothing old is packed when compiling fails."""
        Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
        self.compiler.include_dirs, self.compiler.library_dirs = [], []
        try:
            super().build_extension(ext)
        except Exception as error:  # whatever a missing or broken compiler raises
            self.warn(f"culvert: no compiled data path, pure Python will serve ({error})")

    def copy_extensions_to_source(self) -> None:
        """An editable install: into the tree; what an earlier build left there goes."""
        for one in self.extensions:
            name = self.get_ext_filename(one.name)
            Path("src", name).unlink(missing_ok=True)
            if Path(self.build_lib, name).exists():
                super().copy_extensions_to_source()


class AnyPython(bdist_wheel):
    """One wheel for every CPython 3 of a platform; without the library, of any platform."""

    def get_tag(self) -> tuple[str, str, str]:
        built = any(Path(self.bdist_dir).rglob("_batch.so")) if self.bdist_dir else False
        return "py3", "none", super().get_tag()[2] if built else "any"


setup(
    ext_modules=[
        Extension(
            "culvert.esp._batch",
            sorted(map(str, SOURCES.glob("*.c"))),
            depends=sorted(map(str, SOURCES.rglob("*.h"))),
            define_macros=[("BATCH_SOURCES", f'"{LOOKED_AT["fingerprint"](SOURCES)}"')],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread"],
            libraries=["dl"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": PlainLibrary, "bdist_wheel": AnyPython},
)
