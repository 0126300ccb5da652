"""The wheel, in an environment that has nothing else: an editable install hides what is missing from it."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.services.need import need

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

# Runs in the clean environment. Only what an extra brings may be missing, and only from inside a module;
# what Alembic executes by itself is no module to import.
IMPORT_ALL = """
import importlib, pkgutil, sys
extras = set(sys.argv[1].split(","))
for package in sys.argv[2:]:
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, package + "."):
        if found.name.endswith(".migrations.env"):
            continue
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as why:
            if (why.name or "").split(".")[0] not in extras:
                raise
        print(found.name)
"""
EXTRAS = "neurokit2,sleepecg,ecgdetectors,matplotlib,pandas,sklearn,fast_qrs_detector,biosppy"


def run(*command: str | Path, cwd: Path, timeout: float = 550) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LEADWIRE_", "VIRTUAL_ENV"))}
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    made = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    if made.returncode != 0:
        need("package registry", f"the wheel could not be built: {made.stderr.strip()[-500:]}")
    return next(folder.glob("leadwire-*.whl"))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    pip = folder / "env" / "bin" / "pip"
    alone = run(pip, "install", "-q", "--no-deps", wheel, cwd=folder)
    assert alone.returncode == 0, alone.stderr
    complete = run(pip, "install", "-q", wheel, cwd=folder)
    if complete.returncode != 0:
        need("package registry", f"the dependencies could not be had: {complete.stderr.strip()[-500:]}")
    return folder / "env" / "bin"


def test_every_tracked_file_of_a_package_is_in_the_wheel(wheel):
    listing = run("git", "ls-files", "-z", "--", *PACKAGES, cwd=ROOT)
    if listing.returncode != 0:
        pytest.skip("git: this is no checkout")
    tracked = {name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()}
    assert tracked <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_brings_the_packages_and_nothing_else_to_the_top(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


@pytest.mark.timeout(600)
def test_every_module_can_be_imported_from_the_wheel_alone(clean, tmp_path):
    done = run(clean / "python", "-c", IMPORT_ALL, EXTRAS, *PACKAGES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "leadwire.codec" in done.stdout.split()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["settings"], ["bench", "--list"]], ids=" ".join
)
def test_the_command_runs_from_the_wheel_alone(clean, tmp_path, arguments):
    done = run(clean / "leadwire", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
