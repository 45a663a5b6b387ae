"""Change the class names without running the network again.

python examples/02_change_words.py [CLOUD]      the default cloud is the sample room
"""

import sys
import time
from pathlib import Path

import numpy as np

import s4token_model
from s4token_model import Segmenter
from s4token_model.io.files import read_cloud

ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
VOCABULARIES = (["floor", "wall", "door", "chair", "sofa"], ["floor", "something else"], ["couch", "seat", "ground"])

cloud = read_cloud(sys.argv[1] if len(sys.argv) > 1 else ROOM)
segmenter = Segmenter.load("s4token-mini")

# Encode once: superpoints, tokens and the network
encoding = segmenter.encode(cloud.xyz, cloud.rgb)

# Label as often as you like: a vocabulary is one matrix product away
for names in VOCABULARIES:
    start = time.perf_counter()
    vocabulary = segmenter.make_vocabulary(names)
    result = segmenter.label(encoding, vocabulary)
    milliseconds = 1000 * (time.perf_counter() - start)
    counts = [np.count_nonzero(result.labels == index) for index in range(len(names))]
    print(f"{milliseconds:5.0f} ms  " + ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True)))
