"""Ask free-text questions: which superpoints fit a text best?

python examples/04_query.py [CLOUD] [TEXT ...]      the default cloud is the sample room
"""

import sys
from pathlib import Path

import numpy as np

import s4token_model
from s4token_model import Segmenter
from s4token_model.io.files import read_cloud

ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
texts = sys.argv[2:] or ["a place to sit", "a floor", "a wall"]

cloud = read_cloud(sys.argv[1] if len(sys.argv) > 1 else ROOM)
segmenter = Segmenter.load("s4token-mini")
encoding = segmenter.encode(cloud.xyz, cloud.rgb)

# Cosine similarity of every point with every text, NaN where a point is not finite
similarity = segmenter.similarity(encoding, texts)

# Average per superpoint and rank
ids = encoding.superpoints[encoding.valid]
xyz = cloud.xyz[encoding.valid]
points = np.bincount(ids)
for column, text in enumerate(texts):
    score = np.bincount(ids, similarity[encoding.valid, column]) / points
    print(text)
    for superpoint in np.argsort(-score)[:3]:
        center = np.round(xyz[ids == superpoint].mean(axis=0), 2)
        print(f"  {score[superpoint]:.3f}  superpoint {superpoint}: {points[superpoint]} points around {center}")
