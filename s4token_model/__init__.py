"""S4Token: open-vocabulary labels for every point of a point cloud.

>>> from s4token_model import Segmenter
>>> result = Segmenter.load().segment(xyz)  # xyz (H, 3); see result.labels and result.vocabulary.names
"""

from __future__ import annotations

import os
import tempfile
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from s4token_model.config import Config
    from s4token_model.pipeline.superpoints import partition
    from s4token_model.segmenter import Segmenter

# Read when torch and numpy are loaded: their threads that wait must not spin on the cores of our kernels' threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2^4 cycles; 2^26 if it is not set
# Its compiler, which is not used here, makes a folder for temporary files; where it cannot, any that exists will do.
if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
    try:
        os.rmdir(tempfile.mkdtemp())
    except OSError:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(__file__).parent)
__all__ = ["Config", "Segmenter", "partition"]
_MODULES = {"Config": "config", "Segmenter": "segmenter", "partition": "pipeline.superpoints"}


def __getattr__(name: str) -> Any:
    """Import what users need at its first use, so that `import s4token_model` loads neither torch nor numba."""
    if name == "__version__":
        return _version()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def _version() -> str:
    """The version in the package.xml of a source checkout, else the installed one."""
    manifest = Path(__file__).parents[1] / "package.xml"
    if manifest.is_file():
        return str(ElementTree.parse(manifest).getroot().findtext("version"))
    return metadata.version("s4token_ros")
