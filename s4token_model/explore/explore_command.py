"""The command `s4token explore`: read the clouds, load the model, encode, and serve the page."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from s4token_model import label_command
from s4token_model.explore import serving
from s4token_model.explore.address import Address
from s4token_model.explore.cloud_session import CloudSession
from s4token_model.io import bags, files, samples

MAX_CLOUDS = 100  # of a bag, held in memory


def explore(arguments: argparse.Namespace) -> None:
    """Run `s4token explore`. What may be wrong with files and address is checked before the model is loaded."""
    address = Address(arguments.host, arguments.port)
    serving.check(address, arguments.drawn)
    source = arguments.input or str(samples.ROOM)
    clouds = read(arguments, source)
    segmenter = label_command.load_segmenter(arguments)
    print(f"encoding {len(clouds[0].xyz):,} points of {source}", flush=True)
    session = CloudSession(segmenter, clouds, Path(source).name, arguments.drawn)
    serving.serve(session, address)


def read(arguments: argparse.Namespace, source: str) -> list[files.Cloud]:
    """Return the cloud of a file, or the first MAX_CLOUDS of a bag. ValueError says what is wrong."""
    if not bags.is_bag(source):
        if arguments.topic:
            raise ValueError(f"--topic {arguments.topic}: {source} is no bag; leave --topic out")
        return [files.read_cloud(source, arguments.mesh_points, arguments.bin_columns)]
    recorded = itertools.islice(bags.read_clouds(source, arguments.topic), MAX_CLOUDS)
    clouds = [bags.cloud_of(message)[1] for _, _, message in recorded]
    if not clouds:
        raise ValueError(f"{source} has no cloud on this topic; record it again, or choose another topic")
    if len(clouds) == MAX_CLOUDS:
        print(f"the first {MAX_CLOUDS} clouds of {source} are shown", flush=True)
    return clouds
