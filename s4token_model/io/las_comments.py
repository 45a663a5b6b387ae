"""What the header of a LAS file says about its coordinates, as comments that other formats keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EPSG_KEYS = (3072, 2048, 4096)  # GeoTIFF: projected, geographic and vertical coordinate system


def read(path: Path) -> tuple[str, ...]:
    """Return lines with the version, scale, offset and coordinate system; () if laspy cannot read the header."""
    try:
        import laspy

        with path.open("rb") as handle:
            header = laspy.LasHeader.read_from(handle, read_evlrs=False)
        scales, offsets = (" ".join(f"{value:.15g}" for value in v) for v in (header.scales, header.offsets))
        return (f"LAS {header.version} scale {scales} offset {offsets}", *_coordinate_systems(header.vlrs))
    except Exception:  # laspy raises many types, and the points are what matters
        return ()


def _coordinate_systems(records: Any) -> list[str]:
    systems = []
    for record in records:
        if text := getattr(record, "string", ""):  # of a WKT record; GeoTIFF texts have `strings`
            systems.append(f"CRS {' '.join(text.rstrip(chr(0)).split())}")
        for key in getattr(record, "geo_keys", ()):
            if key.id in EPSG_KEYS and key.tiff_tag_location == 0 and 0 < key.value_offset < 32767:
                systems.append(f"CRS EPSG:{key.value_offset}")
    return systems
