"""Constants shared by results, messages, files and ground truth."""

UNLABELED = 65535  # label of a point without one; in ground truth, a point that is not scored
UNLABELED_COLOR = (96, 96, 96)  # sRGB
NO_SUPERPOINT = 2**32 - 1  # superpoint of a point that is not finite

# The classes of the ScanNet benchmark, in the order of their ids.
SCANNET20 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "desk", "curtain", "refrigerator", "shower curtain", "toilet", "sink", "bathtub", "other furniture",
)  # fmt: skip
SAMPLE_ROOM = "sample"  # what the demo calls the sample room, in place of a file
