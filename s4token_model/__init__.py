"""S4Token: open-vocabulary labels for every point of a point cloud."""

__version__ = "0.1.0"
