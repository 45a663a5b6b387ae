"""The values that mark points without a label or superpoint, everywhere: results, messages, files, truth."""

UNLABELED = 65535  # as a label; in truth, a point that is not scored
NO_SUPERPOINT = 2**32 - 1  # as a superpoint: the point is not finite
UNLABELED_COLOR = (96, 96, 96)  # sRGB
