"""Packages: what is in them, and what `pip install .` makes with a C compiler and without one.

The clean virtual environments here see the libraries that culvert needs through a path file, so
that nothing is fetched; culvert itself they have from nowhere but the installation under test.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("setuptools", "77")
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
SOURCES = Path("src/culvert/esp")
NEEDED = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
NO_COMPILER = "culvert: no compiled data path, pure Python will serve"

TRY = """
from culvert.driver.engine import choose
from culvert.rng import SeededRandom
from datapath.orders import CLIENT, LEASED, SERVER, SUITES, both_ends, udp

chosen = choose("user")
for suite in SUITES:
    ends = [chosen.make(SeededRandom(n)) for n in (1, 2)]
    for end, order in zip(ends, both_ends(suite=suite), strict=True):
        end.install(order)
        end.activate(1, 1)
    packet = udp(LEASED, SERVER, b"through")
    (burst,) = ends[1].from_tunnel([packet], 0.0).bursts
    arrived = [(one, CLIENT) for one in burst.datagrams]
    assert ends[0].from_network(arrived, 0.0).inside == [packet], suite
print(chosen.name, "|", chosen.reason)
"""


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no C compiler here")
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The sources and nothing that an earlier build left among them."""
    place = tmp_path / "tree"
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", place / "src", ignore=ignored)
    for name in NEEDED:
        shutil.copy(ROOT / name, place / name)
    return place


def c_sources(tree: Path) -> set[str]:
    return {str(one.relative_to(tree)) for one in (tree / SOURCES).rglob("*.[ch]")}


# --- what is in the packages -------------------------------------------------------------------


def test_every_c_source_is_in_the_sdist_and_in_the_wheel_made_from_it(
    tree: Path, tmp_path: Path, compiler: str
) -> None:
    """A header that is new today too: they are taken by pattern."""
    pytest.importorskip("build")
    (tree / SOURCES / "batch" / "of_today.h").write_text("/* new */\n")
    dist = tmp_path / "dist"
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(tree)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = c_sources(tree)
    assert len(wanted) >= 16
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert wanted <= packed
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {one.removeprefix("src/") for one in wanted} <= names
    assert "culvert/esp/_batch.so" in names
    assert {"culvert/py.typed"} <= names or not (tree / "src/culvert/py.typed").exists()
    tables = {str(one.relative_to(tree / "src")) for one in (tree / "src").rglob("*.toml")}
    assert tables <= names
    assert "-py3-none-linux_" in wheel.name


def test_the_compiled_engine_needs_no_headers_but_those_of_c(compiler: str) -> None:
    """Neither Python's nor OpenSSL's: what the compiler reads, file by file."""
    sources = [str(one) for one in (ROOT / SOURCES).glob("*.c")]
    done = subprocess.run([compiler, "-M", *sources], capture_output=True, text=True, check=True)
    read = {one for one in done.stdout.replace("\\\n", " ").split() if one.endswith(".h")}
    foreign = {one for one in read if not one.startswith(str(ROOT))}
    assert foreign
    assert not [one for one in foreign if "python" in one.lower() or "openssl" in one.lower()]
    assert not [one for one in foreign if not one.startswith(("/usr/include/", "/usr/lib/gcc"))]


# --- installed into a clean virtual environment ------------------------------------------------


@dataclass(frozen=True)
class Installed:
    python: Path
    said: str

    def run(self, *words: str, status: int | None = 0) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        environment = {key: value for key, value in environment.items() if "CULVERT" not in key}
        done = subprocess.run(
            [str(self.python), *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=self.python.parent,
        )
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done.stdout


def installed(tree: Path, place: Path, path: str) -> Installed:
    """`pip install .`, programs found by ``path`` only."""
    venv.create(place, with_pip=False, symlinks=True)
    (own,) = place.glob("lib/python3*/site-packages")
    (own / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    words = [*pip, "install", "-v", "--no-index", "--no-build-isolation", "--no-cache-dir", "."]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        words,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (own / "culvert" / "cli").is_dir()
    return Installed(python, done.stdout + done.stderr)


def test_with_a_compiler_pip_builds_the_compiled_engine(
    tree: Path, tmp_path: Path, compiler: str
) -> None:
    made = installed(tree, tmp_path / "with", os.environ["PATH"])
    assert NO_COMPILER not in made.said
    told = made.run("-c", TRY)
    assert told.startswith("kernel | compiled kernel with "), told
    assert str(tmp_path) in made.run("-c", "import culvert; print(culvert.__file__)")


def test_without_a_compiler_pip_installs_pure_python_and_both_say_so(
    tree: Path, tmp_path: Path
) -> None:
    nothing = tmp_path / "no-programs"
    nothing.mkdir()
    made = installed(tree, tmp_path / "without", str(nothing))
    assert made.said.count(NO_COMPILER) == 1
    told = made.run("-c", TRY)
    assert told.startswith("python | pure Python, for the compiled engine cannot be used"), told
    assert "it was not built (no C compiler)" in told
    checked = made.run("-m", "culvert", "check", status=None)  # the machine may lack other things
    assert "engine: pure Python" in checked
    assert "it was not built (no C compiler)" in checked


def test_what_an_earlier_build_left_is_neither_packed_nor_loaded(
    tree: Path, tmp_path: Path, compiler: str
) -> None:
    """Built, sources changed, the compiler gone: none is better than an old one."""
    made = installed(tree, tmp_path / "first", os.environ["PATH"])
    assert list((tree / "build").rglob("_batch.so"))
    header = SOURCES / "batch" / "numbers.h"
    with (tree / header).open("a") as file:
        file.write("/* changed */\n")
    nothing = tmp_path / "no-programs"
    nothing.mkdir()
    later = installed(tree, tmp_path / "second", str(nothing))
    assert not list((tmp_path / "second").rglob("_batch.so"))
    assert "it was not built (no C compiler)" in later.run("-c", TRY)

    (library,) = (tmp_path / "first").rglob("_batch.so")
    with (library.parent / "batch" / "numbers.h").open("a") as file:
        file.write("/* changed */\n")
    checked = made.run("-m", "culvert", "check", status=None)
    assert "is of other sources than those beside it" in checked
    assert "For speed, install culvert anew." in checked

    library.write_bytes(library.read_bytes()[:20000])
    checked = made.run("-m", "culvert", "check", status=None)
    assert f"{library} is damaged" in checked
