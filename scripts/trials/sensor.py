"""A sensor for the trials: a process that publishes clouds of varying numbers of points and layouts at a fixed rate."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_model.io import samples
from s4token_ros import cloud_messages
from s4token_ros.replay import play

NOISE = 0.005  # standard deviation [m] added to the sample room, so that no two clouds are equal
LAYOUTS = {  # fields beside x, y, z, and the type of the coordinates
    "xyz": ("<f4", []),
    "lidar": ("<f4", [("intensity", "<f4"), ("ring", "<u2"), ("time", "<u4")]),
    "color": ("<f4", [("rgb", "<f4")]),
    "double": ("<f8", [("intensity", "<f8")]),
    "big-endian": (">f4", [("intensity", ">f4")]),
}


def clouds(low: int, high: int, seed: int = 0, largest: int = 0) -> Iterator[PointCloud2]:
    """Yield clouds of the sample room with `low` to `high` points, in all layouts; many are organized.

    The first ones, so many as `largest`, have `high` points.
    """
    rng, room = np.random.default_rng(seed), samples.load().xyz
    for number in itertools.count():
        count = high if number < largest else round(np.exp(rng.uniform(np.log(low), np.log(high))))
        xyz = room[rng.integers(0, len(room), count)] + rng.normal(0, NOISE, (count, 3))
        height = 4 if count % 4 == 0 else 1
        if height > 1:
            xyz[rng.random(count) < 0.1] = np.nan  # missing returns
        yield cloud_messages.encode(
            structured(xyz, list(LAYOUTS)[rng.integers(len(LAYOUTS))]), Header(frame_id="map"), height
        )


def with_rests(clouds: Iterator[PointCloud2], seconds: Sequence[float], last: PointCloud2) -> Iterator[PointCloud2]:
    """Yield clouds for `seconds`[0], then the cloud `last` and none for `seconds`[1], and so on."""
    work, rest = seconds
    begin = time.monotonic()
    for cloud in clouds:
        yield cloud
        if time.monotonic() - begin >= work:
            yield last
            time.sleep(rest)
            begin = time.monotonic()


def structured(xyz: np.ndarray, layout: str) -> np.ndarray:
    """Return points xyz (H, 3) [m] as a structured array (H,) of a layout, other fields zero."""
    kind, others = LAYOUTS[layout]
    points = np.zeros(len(xyz), [*((axis, kind) for axis in "xyz"), *others])
    for i, axis in enumerate("xyz"):
        points[axis] = xyz[:, i]
    return points


def main(arguments: list[str] | None = None) -> int:
    """Publish until the parent process ends, or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m scripts.trials.sensor", description=__doc__)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--rate", type=float, required=True, help="Hz")
    parser.add_argument("--points", type=int, nargs=2, required=True, metavar=("LOW", "HIGH"))
    parser.add_argument("--largest", type=int, default=0, metavar="N", help="the first N clouds have HIGH points")
    rests = "seconds of clouds and without any, in turn, the last cloud of a turn always the same"
    parser.add_argument("--rests", type=float, nargs=2, metavar=("WORK", "REST"), help=rests)
    options = parser.parse_args(arguments)
    stream, low = clouds(*options.points, largest=options.largest), options.points[0]
    if options.rests:
        stream = with_rests(stream, options.rests, next(clouds(low, low)))
    play("trial_sensor", stream, options.topic, options.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
