"""Files, bags and PointCloud2 messages: reading and writing clouds."""
