"""Constants shared by results, messages, files and ground truth."""

UNLABELED = 65535  # label of a point without one; in ground truth, a point that is not scored
UNLABELED_COLOR = (96, 96, 96)  # sRGB
NO_SUPERPOINT = 2**32 - 1  # superpoint of a point that is not finite

MAX_NAME_LETTERS = 1000  # of a class name or a query text; text towers read some 400
# The largest vocabularies and queries of a live node, whose peers wait for it; a cloud is compared with every name
MAX_LIVE_NAMES = 2000
MAX_LIVE_TEMPLATES = 200
MAX_LIVE_LETTERS = 100_000  # of all class names together
MAX_QUERY_TEXTS = 100
MAX_MATCHES = 1000  # of a query, per text

# The classes of the ScanNet benchmark, in the order of their ids.
SCANNET20 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "desk", "curtain", "refrigerator", "shower curtain", "toilet", "sink", "bathtub", "other furniture",
)  # fmt: skip
SAMPLE_ROOM, SAMPLE_STREET = "sample", "sample-street"  # what the demo calls the samples, in place of a file
