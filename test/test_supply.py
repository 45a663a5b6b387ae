"""Supply: the lock follows the requirements, and README's install lines work where pip refuses the system's Python."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = [
    {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
    }
    for version in ("3.10", "3.11", "3.12", "3.13", "3.14")
    for machine in ("x86_64", "aarch64")
]


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.rstrip("\\ ")) for line in lines if line and line[0] not in "# "]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def locked() -> list[Requirement]:
    return requirements("requirements-lock.txt")


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: f"{p['python_version']}-{p['platform_machine']}")
def test_the_lock_pins_one_allowed_version_of_each_requirement(locked, platform):
    for wanted in requirements("requirements.txt"):
        pins = [pin for pin in locked if canonical(pin.name) == canonical(wanted.name)]
        here = [pin for pin in pins if not pin.marker or pin.marker.evaluate(platform)]
        assert len(here) == 1, f"{wanted.name}: run `make lock`"
        (version,) = here[0].specifier
        assert version.operator == "==" and version.version in wanted.specifier, f"{wanted}: run `make lock`"


def test_everything_in_the_lock_has_a_hash_and_a_reason():
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements-lock.txt").read_text(encoding="utf-8"))
    header, *entries = entries
    assert "make lock" in header and len(entries) > 40
    direct = {canonical(r.name) for r in requirements("requirements.txt")}
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
        name = canonical(re.match(r"[a-z0-9-]+", entry).group())
        assert ("via -r requirements.txt" in entry or "#   -r requirements.txt" in entry) == (name in direct), name


def test_torch_is_new_enough_to_load_weights_safely():
    (torch,) = [r for r in requirements("requirements.txt") if r.name == "torch"]
    assert "2.5.1" not in torch.specifier and "2.6.0" in torch.specifier


@pytest.mark.parametrize("target", ["test-floors", "lock", "platforms"])
def test_make_knows_the_targets_of_supply(target):
    if not shutil.which("make"):
        pytest.skip("no make")
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert planned.returncode == 0 and "scripts/supply.sh" in planned.stdout


def managed_python(folder: Path) -> Path:
    """A copy of this Python whose prefix is externally managed, as on Ubuntu 24.04."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = Path(sys.base_prefix) / "lib" / version
    copy = folder / "usr" / "lib" / version
    (folder / "usr" / "bin").mkdir(parents=True)
    (copy / "site-packages").mkdir(parents=True)
    shutil.copy(Path(sys.base_prefix) / "bin" / version, folder / "usr" / "bin" / "python3")
    for path in library.iterdir():
        if path.name != "site-packages":
            (copy / path.name).symlink_to(path)
    for path in (library / "site-packages").glob("pip*"):
        (copy / "site-packages" / path.name).symlink_to(path)
    marker = copy / "EXTERNALLY-MANAGED"
    marker.unlink(missing_ok=True)
    marker.write_text("[externally-managed]\nError=To install Python packages, make a virtual environment.\n")
    return folder / "usr" / "bin" / "python3"


def test_readmes_install_lines_work_in_an_externally_managed_python(tmp_path):
    pytest.importorskip("ensurepip")
    if not (Path(sys.base_prefix) / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "pip").is_dir():
        pytest.skip("the base Python has no pip of its own")
    python = managed_python(tmp_path)
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    refused = subprocess.run([python, "-m", "pip", "install", "six"], env=environment, capture_output=True, text=True)
    assert "externally-managed-environment" in refused.stderr, refused.stderr
    # The lines of README from the virtual environment to pip, with a package that needs no network
    package = tmp_path / "ws" / "src" / "s4token" / "empty_package-1.0-py3-none-any.whl"
    package.parent.mkdir(parents=True)
    shutil.make_archive(str(package), "zip", _empty_wheel(tmp_path / "wheel"))
    Path(f"{package}.zip").rename(package)
    (package.parent / "requirements.txt").write_text(f"{package}\n")
    rosdep = python.parent / "rosdep"
    rosdep.write_text("#!/bin/sh\n")  # installs from apt
    rosdep.chmod(0o755)
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("cd ~/ws && git clone")[1].split("```")[0]
    script = "\n".join(block.splitlines()[1:]).split("colcon build")[0]
    assert "pip install -r src/s4token/requirements.txt" in script
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path / "ws", env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Successfully installed empty" in done.stdout, done.stdout + done.stderr


def _empty_wheel(folder: Path) -> Path:
    """The files of a wheel that holds nothing."""
    info = folder / "empty_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: empty-package\nVersion: 1.0\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text("")
    return folder
