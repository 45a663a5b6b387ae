"""The shape bank: CAD models of open licenses as labeled, decimated meshes in meters."""
