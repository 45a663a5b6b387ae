"""Packaging of both Python packages, for pip and, as the ROS package `s4token_ros`, for colcon.

The metadata is here and not in pyproject.toml because the setuptools of ROS 2 Humble does not read it there.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
NAME = "s4token_ros"


def version() -> str:
    """The version, written once, in package.xml."""
    found = re.search(r"<version>([^<]+)</version>", (ROOT / "package.xml").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("package.xml has no <version>")
    return found.group(1).strip()


def requirements(kind: str = "") -> list[str]:
    """The requirements of one of the requirements*.txt files."""
    lines = (ROOT / f"requirements{kind}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def shared_files(folder: str) -> list[tuple[str, list[str]]]:
    """(target below the prefix, files) of every file below a folder, in the layout that ROS expects."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        relative = path.relative_to(ROOT)
        if path.is_file() and "__pycache__" not in relative.parts:
            files.setdefault(f"share/{NAME}/{relative.parent.as_posix()}", []).append(relative.as_posix())
    return sorted(files.items())


def package_files(package: str, folder: str) -> list[str]:
    """Paths, relative to the package, of all files below one of its folders."""
    base = ROOT / package
    return [p.relative_to(base).as_posix() for p in sorted((base / folder).rglob("*")) if p.is_file()]


setup(
    name=NAME,
    version=version(),
    description="Open-vocabulary labels for every point of a PointCloud2 stream, live, on CPU or GPU",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="s4token maintainers",
    maintainer="s4token maintainers",
    maintainer_email="s4token@users.noreply.github.com",
    python_requires=">=3.10",
    packages=find_packages(include=["s4token_ros", "s4token_ros.*", "s4token_model", "s4token_model.*"]),
    package_data={
        "s4token_model": package_files("s4token_model", "weights")
        + package_files("s4token_model", "samples")
        + ["procedural/*.txt"]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared_files("config"),
        *shared_files("launch"),
    ],
    install_requires=requirements(),
    extras_require={
        "ros": requirements("-ros"),
        "cut-pursuit": requirements("-cut-pursuit"),
        "train": requirements("-train"),
        "test": requirements("-test"),
        "bench": requirements("-bench"),
        "cluster": requirements("-cluster"),
        "lint": requirements("-lint"),
        "explore": requirements("-explore"),
        "rerun": requirements("-rerun"),
    },
    entry_points={
        "console_scripts": ["s4token = s4token_model.cli:main", "s4token_node = s4token_ros.start:main"],
        # Commands of `s4token` that live outside of s4token_model; s4token_model/cli.py finds them by this group.
        "s4token.commands": [
            "demo = s4token_ros.demo:main",
            "live-benchmark = s4token_ros.live_benchmark:main",
            "live-explore = s4token_ros.live_explore:main",
        ],
    },
    zip_safe=False,
)
