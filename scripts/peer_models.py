"""What labels or splits a cloud beside us, a function each: `python scripts/peer_models.py list | serve NAME CLOUD`.

scripts/peers.py runs this file by the interpreter of each environment, so the top imports nothing but numpy. `serve`
answers each line of its input by labeling the cloud once, and by a line of JSON with the seconds and the labels'
numbers. Networks of others have random weights: the time is that of trained ones, the labels mean nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

THREADS = 2
SWEEP, ROOM, BOTH = ("sweep",), ("room",), ("sweep", "room")
WORDS, SUPERPOINTS = "any words", "superpoints, no labels"
KITTI, SCANNET, S3DIS = "19 classes of SemanticKITTI", "20 classes of ScanNet", "13 classes of S3DIS"
POINTCEPT_VOXEL = 0.05  # m, for SemanticKITTI
# Of SPT for KITTI-360: m, neighbors; then regularization, weight of the position and fewest points of each level
SPT_VOXEL, NEIGHBORS, LINKS = 0.1, 50, 10
LEVELS = ((0.1, 1.0, 10), (0.2, 0.1, 30), (0.6, 0.01, 100))

Run = Callable[[], np.ndarray]


class Peer(NamedTuple):
    """What a user would install, what it gives, the modules that it needs, on which clouds, and how it is made."""

    who: str
    gives: str
    modules: tuple[str, ...]
    clouds: tuple[str, ...]
    make: Callable[[np.ndarray], Run]


def ours(xyz: np.ndarray) -> Run:
    """s4token-mini with its own settings."""
    from s4token_model.constants import UNLABELED
    from s4token_model.segmenter import Segmenter

    segmenter = Segmenter.load()
    return lambda: np.where(segmenter.segment(xyz).labels == UNLABELED, -1, 0)


def our_partition(xyz: np.ndarray) -> Run:
    """Our superpoints alone."""
    from s4token_model.pipeline import preprocess, superpoints

    return lambda: superpoints.partition(preprocess.prepare(xyz, None).xyz)


def reference(xyz: np.ndarray) -> Run:
    """The paper's pipeline built from libraries, with s4token-mini's weights in fp32."""
    from s4token_model.benchmark import inputs
    from s4token_model.benchmark.reference import stage_times

    segmenter = inputs.load_model("s4token-mini", precision="fp32")

    def run() -> np.ndarray:
        stage_times(xyz, segmenter, segmenter.clip)
        return np.zeros(len(xyz), np.int32)

    return run


def voxels_of(xyz: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The voxel (H, 3) of each point, the first point of each voxel that has one, and the voxel's number (H,)."""
    cells = np.floor((xyz - xyz.min(axis=0)) / size).astype(np.int64)
    keys = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1))
    _, first, voxel = np.unique(keys, return_index=True, return_inverse=True)
    return cells, first, voxel


def spt_partition(xyz: np.ndarray) -> Run:
    """Superpoints as Superpoint Transformer makes them: eigen-features by pgeof, three levels by pycut-pursuit."""
    import pgeof
    from pycut_pursuit.cp_d0_dist import cp_d0_dist

    def run() -> np.ndarray:
        # The mean point of each voxel, and its nearest neighbors
        _, _, voxel = voxels_of(xyz, SPT_VOXEL)
        size = np.bincount(voxel)
        points = np.stack([np.bincount(voxel, column) / size for column in xyz.T], axis=1).astype(np.float32)
        count = len(points)
        near, squares = pgeof.knn_search(points, points, min(NEIGHBORS, count))
        starts = np.arange(count + 1, dtype=np.uint32) * near.shape[1]
        shapes = pgeof.compute_features(points, near.reshape(-1), starts)[:, :4]
        features = np.c_[points - points.mean(axis=0), shapes, (points[:, 2] - np.percentile(points[:, 2], 2)) / 20]
        # The graph, each edge once, sorted by its first end
        links = slice(1, LINKS + 1)
        ends = np.stack([np.repeat(np.arange(count), near[:, links].shape[1]), near[:, links].reshape(-1)]).astype(int)
        keys, kept = np.unique(ends.min(axis=0) * count + ends.max(axis=0), return_index=True)
        first = np.searchsorted(keys // count, np.arange(count + 1)).astype(np.uint32)
        second, length = (keys % count).astype(np.uint32), np.sqrt(squares[:, links].reshape(-1)[kept])
        weights = (1 / (1 + length / length.mean())).astype(np.float32)
        # Each level merges the regions of the one below
        values, mass = np.asfortranarray(features.T, np.float32), np.ones(count, np.float32)
        region = np.arange(count)
        for regularization, position, fewest in LEVELS:
            made = cp_d0_dist(
                len(values), values, first, second, edge_weights=weights * regularization, vert_weights=mass,
                coor_weights=np.r_[np.full(3, position), np.ones(len(values) - 3)].astype(np.float32), cp_dif_tol=1e-2,
                cp_it_max=15, split_damp_ratio=0.7, min_comp_weight=fewest, verbose=False, max_num_threads=THREADS,
                compute_Graph=True,
            )  # fmt: skip
            level, values, (first, second, weights) = made
            weights, region = (weights / regularization).astype(np.float32), level[region].astype(np.int64)
            mass, values = np.bincount(level, mass).astype(np.float32), np.asfortranarray(values, np.float32)
        return region[voxel]

    return run


def open3d_ml(network: str, settings: str, xyz: np.ndarray) -> tuple[Any, dict[str, Any]]:
    """Open3D-ML's pipeline of a network with random weights, by a file of settings that it ships, and the cloud."""
    import open3d
    import open3d.ml
    import open3d.ml.torch as ml
    import torch

    torch.set_num_threads(THREADS)
    folder = os.path.join(os.path.dirname(open3d.__file__), "_ml3d", "configs")
    config = open3d.ml.utils.Config.load_from_file(os.path.join(folder, settings))
    config.model.ckpt_path = None
    made = getattr(ml.models, network)(**config.model).eval()
    options = config.pipeline | {"batch_size": 1, "main_log_dir": tempfile.mkdtemp(), "device": "cpu"}
    pipeline = ml.pipelines.SemanticSegmentation(made, **options)
    made.device = pipeline.device
    grey = np.full(xyz.shape, 0.5, np.float32) if network in ("PointTransformer", "SparseConvUnet") else None
    return pipeline, {"point": xyz, "feat": grey, "label": np.zeros(len(xyz), np.int32)}


def open3d_inference(network: str, settings: str, xyz: np.ndarray) -> Run:
    """Open3D-ML's own run_inference: passes over parts of the cloud until every point of it was in some."""
    pipeline, cloud = open3d_ml(network, settings, xyz)
    return lambda: pipeline.run_inference(cloud)["predict_labels"]


def open3d_pass(network: str, settings: str, xyz: np.ndarray) -> Run:
    """Open3D-ML's network once over all voxels of a cloud; points get the label of their voxel."""
    import torch

    pipeline, cloud = open3d_ml(network, settings, xyz)
    made, split = pipeline.model, {"split": "test"}

    def in_random_order(pc: np.ndarray, **_: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        order = np.random.default_rng(0).permutation(len(pc))
        return pc[order], order, pc[:1]

    made.trans_point_sampler = in_random_order

    def run() -> np.ndarray:
        voxels = made.preprocess(cloud, split)
        batch = {"data": made.transform(voxels, split), "attr": split}
        batch = pipeline.get_batcher(made.device).collate_fn([batch])["data"]
        with torch.inference_mode():
            labels = made(batch).reshape(-1, made.cfg.num_classes).argmax(dim=1).numpy()
        if "proj_inds" not in voxels:  # the network went back to the points
            return labels
        of_voxel = np.empty_like(labels)
        of_voxel[batch["point_inds"][0]] = labels
        return of_voxel[voxels["proj_inds"]]

    return run


def pointcept(name: str, xyz: np.ndarray) -> Run:
    """A network of Pointcept's as torch-pointcloud has it, once over all voxels, set as for SemanticKITTI."""
    import torch
    import torch_pointcloud
    from spconv.pytorch.conv import SparseConvolution

    torch.set_num_threads(THREADS)
    options = {"in_channels": 4, "num_classes": 19} | ({"use_flash_attn": False} if name.startswith("ptv3") else {})
    made = torch_pointcloud.create_model(name, task="semantic-segmentation", pretrained=False, **options).eval()
    for module in made.modules():
        if isinstance(module, SparseConvolution):
            module.train()  # on a CPU, spconv refuses a bias otherwise

    def run() -> np.ndarray:
        cells, first, voxel = voxels_of(xyz, POINTCEPT_VOXEL)
        inputs = np.c_[xyz, np.zeros(len(xyz))][first].astype(np.float32)  # no intensity
        with torch.inference_mode():
            grid, batch = torch.from_numpy(cells[first]), torch.zeros(len(first), dtype=torch.long)
            return made(torch.from_numpy(inputs), grid, batch).argmax(dim=1).numpy()[voxel]

    return run


OURS, OPEN3D = ("s4token_model",), ("open3d", "torch", "addict", "tensorboard")
POINTCEPT = ("torch_pointcloud", "spconv", "ocnn")
RANDLA_NET, POINT_TRANSFORMER = "randlanet_semantickitti.yml", "pointtransformer_s3dis.yml"
PEERS = {
    name: Peer(*about)
    for name, *about in (
        ("ours", "s4token-mini", WORDS, OURS, BOTH, ours),
        ("reference", "the reference pipeline above", WORDS, (*OURS, "cut_pursuit_py", "pgeof"), BOTH, reference),
        ("randla_net_pass", "RandLA-Net of Open3D-ML, all voxels in one pass", KITTI, OPEN3D, SWEEP,
         partial(open3d_pass, "RandLANet", RANDLA_NET)),
        ("randla_net", "RandLA-Net of Open3D-ML, its own inference", KITTI, OPEN3D, SWEEP,
         partial(open3d_inference, "RandLANet", RANDLA_NET)),
        ("kpconv", "KPConv of Open3D-ML, its own inference", KITTI, OPEN3D, SWEEP,
         partial(open3d_inference, "KPFCNN", "kpconv_semantickitti.yml")),
        ("spunet", "sparse U-Net of Pointcept, all voxels in one pass", KITTI, POINTCEPT, SWEEP,
         partial(pointcept, "spunet-v1m1.scannet20.pointcept")),
        ("ptv3", "Point Transformer V3, all voxels in one pass", KITTI, POINTCEPT, SWEEP,
         partial(pointcept, "ptv3-base.scannet20.pointcept")),
        ("point_transformer", "Point Transformer of Open3D-ML, its own inference", S3DIS, OPEN3D, ROOM,
         partial(open3d_inference, "PointTransformer", POINT_TRANSFORMER)),
        ("sparse_unet", "sparse U-Net of Open3D-ML, one pass", SCANNET, OPEN3D, ROOM,
         partial(open3d_pass, "SparseConvUnet", "sparseconvunet_scannet.yml")),
        ("our_partition", "our superpoints alone", SUPERPOINTS, OURS, BOTH, our_partition),
        ("spt_partition", "SPT's superpoints: pgeof, pycut-pursuit", SUPERPOINTS, ("pgeof", "pycut_pursuit"), SWEEP,
         spt_partition),
    )
}  # fmt: skip


def serve(run: Run) -> None:
    """Label the cloud once per line of stdin; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        labels = run()
        seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        found = {"labeled": int((labels >= 0).sum()), "different": len(np.unique(labels))}
        print(json.dumps(seconds | found), file=answers, flush=True)


def main(words: list[str]) -> None:
    """List the peers whose modules are here, or serve one."""
    if words[0] == "list":
        print(json.dumps([name for name, peer in PEERS.items() if all(map(find_spec, peer.modules))]))
    else:
        xyz = np.load(words[2])
        os.chdir(os.path.dirname(words[2]))  # for the folders that networks make where they run
        serve(PEERS[words[1]].make(xyz))


if __name__ == "__main__":
    main(sys.argv[1:])
