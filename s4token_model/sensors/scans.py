"""Scans of procedural scenes as sensors see them: fused RGB-D rooms, depth frames, single objects; and LiDAR's.

Every scan is in the frame of its scene (z up, floor at z = 0), except what `augment` turns. All are deterministic in
`rng`.
"""

from __future__ import annotations

import numpy as np

from s4token_model.kernels import voxel_fusion
from s4token_model.procedural.types import Scan, Scene
from s4token_model.sensors import surface_roughness
from s4token_model.sensors.camera_poses import free_positions, orbit, walk
from s4token_model.sensors.depth_noise import SWALLOWED, DepthSensor, measure, misplace, rotations
from s4token_model.sensors.lidar_scans import scan_lidar
from s4token_model.sensors.raycast import Caster, as_scan, intrinsics, look_at, pixel_rays, world_rays

KINDS = ("depth", "frame", "lidar", "object")
ROBOT_VIEWS = 0.5  # fraction of the single frames


def scan(scene: Scene, rng: np.random.Generator, kind: str = "depth", **options) -> Scan:
    """One scan of a kind ("depth", "frame", "lidar" or "object"), turned by `augment`; options go to that scanner."""
    scanners = {"depth": scan_depth, "frame": scan_frame, "lidar": scan_lidar, "object": scan_object}
    if kind not in scanners:
        raise ValueError(f"unknown kind of scan {kind!r}; use one of {', '.join(KINDS)}")
    return augment(scanners[kind](scene, rng, **options), rng)


def augment(scan: Scan, rng: np.random.Generator, tilt: float = 1.5, bend: float = 0.0) -> Scan:
    """The scan turned by any angle about the vertical and tilted by up to `tilt` degrees, as gravity is estimated; the
    floor in waves of up to `bend` m and some meters, as a drifting tracker leaves it."""
    yaw, axis = rng.uniform(0, 2 * np.pi, 2)
    lean = np.radians(rng.uniform(0, tilt)) * np.array([np.cos(axis), np.sin(axis), 0.0])
    turn = rotations(lean[None])[0] @ rotations(np.array([[0.0, 0.0, yaw]]))[0]
    pivot = np.array([*scan.xyz.mean(0)[:2], 0.0]) if len(scan.xyz) else np.zeros(3)
    xyz = (scan.xyz - pivot) @ turn.T + pivot
    if bend:
        wave = rng.normal(0, 0.5, (2, 2))
        xyz[:, 2] += bend * rng.random() ** 2 * np.sin(xyz[:, :2] @ wave + rng.uniform(0, 6.3, 2)).sum(1)
    return Scan(xyz.astype(np.float32), scan.rgb, scan.label, scan.instance, scan.part)


def scan_depth(
    scene: Scene, rng: np.random.Generator, points: int = 50000, caster: Caster | None = None, sensor=None
) -> Scan:
    """A room as a fused RGB-D reconstruction such as ScanNet's: at most `points` vertices, unseen regions missing.

    20 to 60 poses along a walk, errors of depth and pose per `DepthSensor` (drawn when None), averaged per voxel,
    smoothed, isolated points removed, a random subset taken. Pass `caster` when the same scene is scanned or rendered
    more than once.
    """
    caster = caster or Caster(scene)
    sensor = sensor or DepthSensor.draw(rng)
    poses = walk(caster, rng, int(rng.integers(20, 61)), sensor.far)
    pixels = 750_000 / len(poses)
    size = (round(np.sqrt(pixels * 0.75)), round(np.sqrt(pixels / 0.75)))
    xyz, rgb, triangle = _depth_points(caster, poses, size, rng.uniform(54, 66), sensor, rng)
    return _mesh_like(scene, xyz, rgb, triangle, points, rng)


def scan_frame(
    scene: Scene, rng: np.random.Generator, size: tuple[int, int] = (120, 160), caster: Caster | None = None
) -> Scan:
    """One depth image of `size` (h, w), unprojected: what a robot's camera delivers at once, holes left out.

    In rooms half of them are from 0.3 to 1.5 m above the floor, looking down as on a robot.
    """
    caster = caster or Caster(scene)
    sensor = DepthSensor.draw(rng)
    if scene.kind == "room" and rng.random() < ROBOT_VIEWS:
        eye, yaw = free_positions(caster, rng, 1, (0.3, 1.5)), rng.uniform(0, 2 * np.pi)
        ahead = [np.cos(yaw), np.sin(yaw), -np.tan(np.radians(rng.uniform(0, 45)))]
        poses = look_at(eye, eye + ahead, rng.normal(0, 0.03))
    else:
        poses = walk(caster, rng, 1, sensor.far) if scene.kind == "room" else orbit(scene, rng, 1)
    return as_scan(scene, *_depth_points(caster, poses, size, rng.uniform(55, 86), sensor, rng))


def scan_object(
    scene: Scene, rng: np.random.Generator, points: int = 2048, partial: bool = True, caster: Caster | None = None
) -> Scan:
    """`points` points of one object: spread over all its surfaces, or (`partial`) over what 1 to 3 cameras see of it.

    Noise is 0 to 1 % of the object's diagonal. With `partial`, hidden surfaces such as the inside are missing.
    """
    diagonal = float(np.linalg.norm(np.ptp(scene.vertices, axis=0)))
    if partial:
        xyz, triangle = _seen_points(caster or Caster(scene), orbit(scene, rng, int(rng.integers(1, 4))), 4 * points)
    else:
        xyz, triangle = surface_points(scene, rng, points)
    pick = rng.choice(len(xyz), points, replace=len(xyz) < points)
    xyz = xyz[pick] + rng.normal(0, diagonal * 0.01 * rng.random() ** 2, (points, 3))
    return as_scan(scene, xyz, scene.color[triangle[pick]], triangle[pick])


def surface_points(scene: Scene, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n points (n, 3) float64 spread evenly over all triangles, and the triangle (n,) int64 each lies on."""
    a, b, c = (scene.vertices[scene.triangles[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not area.sum() > 0:
        raise ValueError(f"the {len(area)} triangles of the scene have no area; points cannot be spread over them")
    triangle = rng.choice(len(area), n, p=area / area.sum())
    u, v = rng.random((2, n, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    return a[triangle] + u * (b - a)[triangle] + v * (c - a)[triangle], triangle


def _seen_points(caster: Caster, poses: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (m, 3) and their triangles that n or so rays from cameras of 50 degrees meet; nothing met is an error."""
    size = (round(np.sqrt(n)), round(np.sqrt(n)))
    eyes, rays = world_rays(poses, pixel_rays(intrinsics(size, 50.0), size)[None])
    hits = caster.cast(eyes, rays)
    seen = hits.triangle >= 0
    if not seen.any():
        raise ValueError("no ray met the object; is it larger than a point?")
    return (eyes + rays * hits.distance[..., None])[seen].astype(np.float64), hits.triangle[seen]


def _depth_points(
    caster: Caster, poses: np.ndarray, size: tuple[int, int], fov: float, sensor: DepthSensor, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a depth camera measures from true `poses`, placed where its tracker believes it was: xyz, rgb, triangle."""
    scene = caster.scene
    # Without jitter the pixel grid shows on far walls as rings that no fused scan has.
    jitter = rng.random((len(poses), *size, 2), dtype=np.float32) - 0.5
    local = pixel_rays(intrinsics(size, fov), size, jitter)
    eyes, rays = world_rays(poses, local)
    hits = caster.cast(eyes, rays)
    triangle = hits.triangle
    cosine = np.abs(np.einsum("nhwk,nhwk->nhw", caster.normals[triangle], rays)) / np.linalg.norm(rays, axis=-1)
    luma = scene.color.mean(1)[triangle]
    depth = measure(hits.distance, cosine, luma, _swallowed(scene)[triangle], sensor, rng)
    local *= depth[..., None]
    eyes, xyz = world_rays(misplace(poses, sensor, rng) if len(poses) > 1 else poses, local)
    keep = depth > 0
    light = (rng.normal(1.0, 0.08, (len(poses), 1, 1)) * (0.45 + 0.55 * cosine))[keep]
    rgb = scene.color[triangle[keep]] * light[:, None] + rng.normal(0, 0.02, (len(light), 1))
    rgb = 0.45 + (rgb * rng.normal(1.1, 0.05, 3) - 0.45) * rng.uniform(0.9, 1.6)  # white balance, contrast
    return (xyz + eyes)[keep].astype(np.float64), np.clip(rgb, 0, 1), triangle[keep]


def _mesh_like(
    scene: Scene, xyz: np.ndarray, rgb: np.ndarray, triangle: np.ndarray, points: int, rng: np.random.Generator
) -> Scan:
    """Measurements fused into a cloud as even as the vertices of a mesh."""
    if len(xyz) == 0:
        return as_scan(scene, xyz, rgb, triangle)
    surplus = rng.uniform(1.1, 2.4)  # vertices per point kept
    voxel = float(np.clip(np.sqrt(voxel_fusion.surface_area(xyz) / (surplus * points)), 0.01, 0.05))
    kinds = np.stack([scene.label, scene.instance, scene.part], axis=1)
    _, example, kind = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    # Walls along the grid of voxels would come out as lattices; a real grid stands as the first camera did.
    turn = rotations(rng.normal(0, 1.0, (1, 3)))[0]
    xyz, rgb, code, weight = voxel_fusion.voxel_fuse(xyz @ turn.T, rgb, kind.ravel()[triangle], voxel)
    soft, density = voxel_fusion.smooth(xyz, voxel * rng.uniform(1.0, 2.4))
    xyz += rng.uniform(0.2, 1.0) * (soft - xyz)
    keep = np.flatnonzero((density > 0.1 * np.median(density)) & (weight >= rng.choice([1, 1, 2])))
    keep = rng.permutation(keep)[:points]
    instance = scene.instance[example[code[keep]]]
    names = [thing.name for thing in scene.instances]
    roughness = surface_roughness.amplitudes(names, rng, rng.uniform(0.4, 1.3))
    xyz = surface_roughness.roughen(xyz[keep] @ turn, instance, roughness, rng)
    lumps = surface_roughness.amplitudes(names, rng, rng.uniform(0.4, 1.3), lumps=True)
    xyz = surface_roughness.bulge(xyz, instance, lumps, rng)
    return as_scan(scene, xyz, rgb[keep], example[code[keep]])


def _swallowed(scene: Scene) -> np.ndarray:
    """Share (T,) of the measurements lost to the material of each triangle, by the name of its class."""
    return np.array([SWALLOWED.get(name, 0.0) for name in scene.names])[scene.label]
