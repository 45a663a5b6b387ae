"""Label every point of a cloud file.

python examples/01_label_file.py [CLOUD] [OUT.ply]      the default cloud is the sample room
"""

import sys
from pathlib import Path

import numpy as np

import s4token_model
from s4token_model import Segmenter
from s4token_model.io.files import read_cloud, write_cloud

ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
path, out = (sys.argv[1:] + [ROOM, "labeled.ply"][len(sys.argv) - 1 :])[:2]

# Read any supported format; z must point up, units do not matter
cloud = read_cloud(path)

# Load the built-in model and label every point
segmenter = Segmenter.load("s4token-mini")
result = segmenter.segment(cloud.xyz, cloud.rgb)

# labels index result.vocabulary.names; 65535 marks unlabeled points (for example NaN)
names = result.vocabulary.names
counts = np.array([np.count_nonzero(result.labels == index) for index in range(len(names))])
for index in np.argsort(-counts):
    if counts[index]:
        print(f"{names[index]:<20}{counts[index]:>8} points {100 * counts[index] / len(result.labels):5.1f} %")
print(f"{result.superpoint_count} superpoints, {result.tokens} tokens, {sum(result.stages_ms.values()):.0f} ms")

# Write the input's fields plus ours
fields = {"label": result.labels, "confidence": result.confidence, "superpoint": result.superpoints}
write_cloud(out, cloud, fields)
print(f"wrote {out}")
