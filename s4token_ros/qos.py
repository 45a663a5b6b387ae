"""Quality of service: what to ask of the publishers of clouds, what to offer, and what to say when nothing arrives.

The input does not use BEST_AVAILABLE: that is resolved once, when the subscription is made, and without a publisher it
becomes RELIABLE, which never matches a best-effort sensor that starts later. `input_qos` is asked again as publishers
come and go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
INPUT_DEPTH = 5  # so that clouds that came while Python was busy are seen, and counted as stale, not lost unseen

LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def cloud_qos(reliability: str, depth: int = 2, latched: bool = False) -> QoSProfile:
    """Return keep-last QoS; reliability is "reliable" or "best_effort"."""
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def input_qos(publishers: Sequence[Any], reliability: str = "auto") -> QoSProfile:
    """Return the most that all publishers offer, so that every one of them matches.

    `publishers` are rclpy TopicEndpointInfo. Reliable if all are (large clouds need it without shared memory), latched
    if all are (a map that is published once). `reliability` other than "auto" is asked for as it is.
    """
    offers = [p.qos_profile for p in publishers if p.topic_type == CLOUD_TYPE]
    if reliability == "auto":
        reliable = bool(offers) and all(o.reliability == ReliabilityPolicy.RELIABLE for o in offers)
        reliability = "reliable" if reliable else "best_effort"
    latched = bool(offers) and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
    return cloud_qos(reliability, INPUT_DEPTH, latched)


def same(a: QoSProfile, b: QoSProfile) -> bool:
    """Whether two input profiles ask for the same."""
    return a.reliability == b.reliability and a.durability == b.durability


def silence_hint(topic: str, publishers: Sequence[Any], asked: QoSProfile) -> str:
    """Say why no cloud may be arriving on `topic`, and what to do."""
    if not publishers:
        return f"nobody publishes {topic}; remap points or set input.topics"
    wrong = sorted({p.topic_type for p in publishers if p.topic_type != CLOUD_TYPE})
    if wrong:
        return f"{topic} is published as {', '.join(wrong)}, not {CLOUD_TYPE}"
    reasons = [reason for p in publishers for reason in [_mismatch(p.qos_profile, asked)] if reason]
    if reasons:
        return (
            f"{len(reasons)} of {len(publishers)} publishers of {topic} offer incompatible QoS ({reasons[0]}); "
            "set input.reliability to auto"
        )
    return (
        f"{len(publishers)} publisher(s) of {topic}, QoS fits, nothing arrives: is it publishing? Best-effort clouds "
        "over 0.4 MB need config/fastdds_large_clouds.xml in both processes"
    )


def _mismatch(offered: QoSProfile, asked: QoSProfile) -> str:
    compatible, reason = qos_check_compatible(offered, asked)
    return reason.strip().rstrip(";") if compatible == QoSCompatibility.ERROR else ""
