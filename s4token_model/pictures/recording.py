"""A labeled cloud with its objects as a recording for the Rerun viewer (https://rerun.io), by rerun-sdk."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model.constants import NO_SUPERPOINT, UNLABELED, UNLABELED_COLOR
from s4token_model.objects import Objects
from s4token_model.palette import index_colors


class LabeledPoints(NamedTuple):
    """A labeled cloud of H points and C class names."""

    xyz: np.ndarray  # (H, 3)
    labels: np.ndarray  # (H,) uint32, 65535 = unlabeled, which is the last id of a class in Rerun, too
    superpoints: np.ndarray  # (H,) uint32
    names: tuple[str, ...]  # (C,)
    colors: np.ndarray  # (C, 3) uint8
    up: np.ndarray  # (3,) unit vector


def save_recording(path: str | Path, cloud: LabeledPoints, objects: Objects) -> None:
    """Write the points by class (`labels`) and by superpoint (`superpoints`), and the boxes (`objects`), to a file."""
    import rerun as rr

    recording = rr.RecordingStream("s4token")
    recording.save(path)
    # The class names with their colors, and what is up
    rows = zip(cloud.names, np.asarray(cloud.colors).tolist(), strict=True)
    classes = [rr.AnnotationInfo(id=k, label=name, color=color) for k, (name, color) in enumerate(rows)]
    classes.append(rr.AnnotationInfo(id=UNLABELED, label="unlabeled", color=UNLABELED_COLOR))
    recording.log("/", rr.AnnotationContext(classes), static=True)
    axis = int(np.abs(cloud.up).argmax())
    views = ("RIGHT_HAND_{}_UP", "RIGHT_HAND_{}_DOWN")
    view = getattr(rr.ViewCoordinates, views[int(cloud.up[axis] < 0)].format("XYZ"[axis]))
    recording.log("/", view, static=True)
    # Points and boxes
    finite = np.isfinite(cloud.xyz).all(axis=1)
    xyz, labels, superpoints = cloud.xyz[finite], cloud.labels[finite].astype(np.uint16), cloud.superpoints[finite]
    recording.log("labels", rr.Points3D(xyz, class_ids=labels), static=True)
    colors = index_colors(superpoints)
    colors[superpoints == NO_SUPERPOINT] = UNLABELED_COLOR
    recording.log("superpoints", rr.Points3D(xyz, colors=colors), static=True)
    turns = [rr.Quaternion(xyzw=quaternion) for quaternion in objects.rotation.tolist()]
    words = [cloud.names[label] for label in objects.label.tolist()]
    kinds = objects.label.astype(np.uint16)
    boxes = rr.Boxes3D(
        centers=objects.center, half_sizes=objects.size / 2, quaternions=turns, labels=words, class_ids=kinds
    )
    recording.log("objects", boxes, static=True)
    recording.flush()
