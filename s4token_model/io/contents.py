"""What a reader of files returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

VIEWPOINT = "VIEWPOINT"  # begins the comment that holds the line of a PCD file: x y z of the sensor, qw qx qy qz


class Contents(NamedTuple):
    """The columns of a file and what stands around them; `files.read_cloud` makes a Cloud of it."""

    fields: dict[str, np.ndarray]  # (H,) or (H, n)
    width: int = 0  # width * height = H; 0 if the cloud is not organized
    height: int = 1
    frame_id: str = ""
    notes: tuple[str, ...] = ()  # what the user should know about how it was read
    comments: tuple[str, ...] = ()  # of the header
    triangles: np.ndarray | None = None  # (T, 3) int64
