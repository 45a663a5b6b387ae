"""Split a cloud into superpoints: connected pieces of similar shape. No model is loaded.

python examples/03_superpoints.py [CLOUD] [OUT.ply]      the default cloud is the sample room
"""

import sys
from pathlib import Path

import numpy as np

import s4token_model
from s4token_model import partition
from s4token_model.config import SuperpointConfig
from s4token_model.io.files import read_cloud, write_cloud

ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
path, out = (sys.argv[1:] + [ROOM, "superpoints.ply"][len(sys.argv) - 1 :])[:2]

# partition() takes finite points only
cloud = read_cloud(path)
finite = np.isfinite(cloud.xyz).all(axis=1)
xyz = cloud.xyz[finite]

# A larger regularization gives fewer, larger superpoints
for regularization in (0.1, 0.3, 1.0):
    ids = partition(xyz, config=SuperpointConfig(regularization=regularization))
    sizes = np.bincount(ids)
    print(f"regularization {regularization}: {len(sizes)} superpoints, median {np.median(sizes):.0f} points")

# Write the last partition; 4294967295 marks points that are not finite
superpoint = np.full(len(cloud.xyz), np.iinfo(np.uint32).max, np.uint32)
superpoint[finite] = ids
write_cloud(out, cloud, {"superpoint": superpoint})
print(f"wrote {out}")
