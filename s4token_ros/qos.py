"""Quality of service: what to request from publishers of clouds, what to offer, and why nothing may arrive.

The input does not use BEST_AVAILABLE: without a publisher it becomes RELIABLE for good, which never matches a
best-effort sensor that starts later. `input_qos` is evaluated again as publishers come and go.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
SHARED_MEMORY = "/dev/shm"
SEGMENT_MB = 64  # of each participant, by config/fastdds_large_clouds.xml
PROFILE_HINT = "Best-effort clouds over 0.4 MB need config/fastdds_large_clouds.xml in both processes"
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # of Fast DDS 3, of 2
FROM_PROFILE = "RMW_FASTRTPS_USE_QOS_FROM_XML"
HISTORIES = b'profile_name="s4token_data_writer"'  # in our profile, since it says how histories keep messages
INPUT_DEPTH = 5  # clouds that arrive while Python is busy are then counted as stale instead of lost silently


def cloud_qos(reliability: str, depth: int = 2, latched: bool = False) -> QoSProfile:
    """Return keep-last QoS, which is rclpy's default; `reliability` is "reliable" or "best_effort"."""
    policy = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=depth, reliability=policy, durability=durability)


SERVICES = cloud_qos("reliable", depth=100)  # requests at once; DDS drops more without an answer, from 10 by default
LATCHED = cloud_qos("reliable", depth=1, latched=True)


def use_histories_of_profile() -> None:
    """Let Fast DDS free the buffer of a message with the message, if the profile in use is ours; before rclpy.init.

    ROS 2 keeps every buffer at the size of the largest message that it has held. Another profile need not say how
    histories keep messages, and the default of Fast DDS loses those that outgrow their buffer.
    """
    for path in filter(None, map(os.environ.get, PROFILE_VARIABLES)):
        with contextlib.suppress(OSError):
            if HISTORIES in Path(path).read_bytes():
                os.environ.setdefault(FROM_PROFILE, "1")


def input_qos(publishers: Sequence[Any], reliability: str = "auto") -> QoSProfile:
    """Return the strictest QoS that every publisher (rclpy TopicEndpointInfo) can satisfy.

    It is reliable if all publishers are (large clouds need that without shared memory), and latched if all are (a map
    that is published once). A `reliability` other than "auto" is requested as is.
    """
    offers = [p.qos_profile for p in publishers if p.topic_type == CLOUD_TYPE]
    if reliability == "auto":
        reliable = bool(offers) and all(o.reliability == ReliabilityPolicy.RELIABLE for o in offers)
        reliability = "reliable" if reliable else "best_effort"
    latched = bool(offers) and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
    return cloud_qos(reliability, INPUT_DEPTH, latched)


def silence_hint(topic: str, publishers: Sequence[Any], requested: QoSProfile, ended: bool = False) -> str:
    """Say why no cloud may be arriving on `topic`, and what to do; `ended`: there have been clouds."""
    if not publishers:
        fix = "its publisher is gone: start it again" if ended else "remap points or set input.topics"
        return f"no publisher on {topic}; {fix}"
    other_types = sorted({p.topic_type for p in publishers if p.topic_type != CLOUD_TYPE})
    if other_types:
        return f"{topic} is published as {', '.join(other_types)}, not {CLOUD_TYPE}"
    checks = [qos_check_compatible(p.qos_profile, requested) for p in publishers]
    reasons = [reason.strip().rstrip(";") for level, reason in checks if level == QoSCompatibility.ERROR]
    if reasons:
        found = f"{len(reasons)} of {len(publishers)} publishers of {topic} offer incompatible QoS"
        return f"{found} ({reasons[0]}); set input.reliability to auto"
    return (
        f"{len(publishers)} publisher(s) of {topic} with compatible QoS, but nothing arrives: is it publishing? "
        f"{shared_memory_hint() or PROFILE_HINT}"
    )


def shared_memory_hint() -> str:
    """Return what to do if the shared memory is too small for two participants, else an empty text."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:  # no such folder on other systems than Linux
        return ""
    total_mb, needed_mb = found.f_blocks * found.f_frsize / 2**20, 2 * SEGMENT_MB
    if total_mb > needed_mb:
        return ""
    return (
        f"{SHARED_MEMORY} has {total_mb:.0f} MB, and each participant takes {SEGMENT_MB} MB of it for large clouds: "
        "start the container with --shm-size=512m or --ipc=host"
    )
