"""Train the small CLIP of s4token-mini: contrastive, on regions and whole pictures of procedural scenes with varied
captions.

The image tower pools by averaging, so the mean over a region's patches is that region's feature in the joint space:
regions train the dense features that the 2D targets are read from. Loss: open_clip's ClipLoss. The pairs of one loss
never repeat a class, else two chairs would be pushed apart from each other's captions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize, one_hot
from tqdm import tqdm

from s4token_model.config import MiniConfig
from s4token_model.procedural import captions
from s4token_model.procedural.classes import INDOOR, PROCEDURAL
from s4token_model.training.loop import Progress, cosine_rate, stop_on_nan
from s4token_model.training.procedural_samples import load_sample

ARCHITECTURE = {
    "embed_dim": 128,
    # A small LayerScale keeps the residual stream clear: in front of blocks that change it much, a tokenizer learned
    # far more slowly (text loss after 120 steps 2.44 with the plain frozen blocks, 2.24 with their outputs x 0.2)
    "vision_cfg": {
        "image_size": 96,
        "layers": 6,
        "width": 192,
        "head_width": 64,
        "patch_size": 12,
        "pool_type": "avg",
        "ls_init_value": 0.2,
    },
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 3},
}
PREPROCESS = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
LEAST_SHARE = 0.004  # regions under this share of a picture are not captioned
CACHE_SCENES = 400  # samples held in memory at a time
SCENE_WEIGHT = 0.1  # of the loss on whole pictures, beside 1 for their regions


@dataclass(frozen=True)
class Pictures:
    """A batch: images (B, h, w, 3) uint8; per group of regions (picture index (R,), patch weights (R, g*g)) and two
    captions of each; one caption per whole picture."""

    images: np.ndarray
    regions: list[tuple[Tensor, Tensor]]
    texts: list[list[str]]
    other_texts: list[list[str]]
    scene_texts: list[str]


CACHE_STEPS = 200  # steps until others are read


def train(paths: list[Path], out: Path, run: Path, mini: MiniConfig) -> None:
    """Train on the samples in `paths`; state goes to `run` (resumed from when present), the finished CLIP to `out`."""
    torch.manual_seed(mini.seed)
    model = open_clip.CLIP(**ARCHITECTURE)
    tokenize = open_clip.SimpleTokenizer(context_length=ARCHITECTURE["text_cfg"]["context_length"])
    optimizer = torch.optim.AdamW(model.parameters(), mini.clip_rate, betas=(0.9, 0.98), weight_decay=mini.weight_decay)
    progress = Progress(run / "clip.pt", model, optimizer)
    loss_of = open_clip.ClipLoss()
    total = mini.text_steps + mini.clip_steps
    batches = _batches(paths, mini, progress.step)
    for step in tqdm(range(progress.step, total), "clip", total, initial=progress.step):
        batch = next(batches)
        if step < mini.text_steps:
            cosine_rate(optimizer, mini.clip_rate, step, mini.text_steps)
            loss = text_contrast(model, tokenize, batch, loss_of)
        else:
            lock_text(model)
            cosine_rate(optimizer, mini.clip_rate, step - mini.text_steps, mini.clip_steps)
            loss = image_text_contrast(model, tokenize, batch, loss_of)
        stop_on_nan({"clip": loss}, run, {"step": step})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, float(np.log(100)))
        progress.after_step(step + 1, {"loss": loss.item()}, mini.save_every, total)
    save(model, out)


def text_contrast(model: open_clip.CLIP, tokenize, batch: Pictures, loss_of: nn.Module) -> Tensor:
    """Two captions of one thing against captions of other classes: separates the words before any picture is
    understood.

    Without this start both towers stay for hundreds of steps where all texts look alike.
    """
    first = [caption for group in batch.texts for caption in group]
    second = [caption for group in batch.other_texts for caption in group]
    encoded = normalize(model.encode_text(tokenize(first + second)), dim=-1)
    sizes = [len(group) for group in batch.texts]
    pairs = zip(encoded[: len(first)].split(sizes), encoded[len(first) :].split(sizes), strict=True)
    return sum((loss_of(a, b, model.logit_scale.exp()) for a, b in pairs), torch.zeros(())) / len(sizes)


def lock_text(model: open_clip.CLIP) -> None:
    """Freeze the text tower: trained on, it gives up the distances between words as long as the image tower cannot
    tell the things."""
    image = {"visual", "logit_scale"}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.split(".")[0] in image)


def image_text_contrast(model: open_clip.CLIP, tokenize, batch: Pictures, loss_of: nn.Module) -> Tensor:
    """Regions against their captions, per group, and whole pictures against captions of their scene."""
    dense = dense_features(model.visual, _pixels(batch.images))
    scale = model.logit_scale.exp()
    captions_of_regions = [caption for group in batch.texts for caption in group]
    encoded = normalize(model.encode_text(tokenize(captions_of_regions + batch.scene_texts)), dim=-1)
    loss = SCENE_WEIGHT * loss_of(normalize(dense.mean(dim=1), dim=-1), encoded[len(captions_of_regions) :], scale)
    begin = 0
    for picture, weights in batch.regions:
        features = normalize((dense[picture] * weights.unsqueeze(-1)).sum(dim=1), dim=-1)
        loss = loss + loss_of(features, encoded[begin : begin + len(picture)], scale) / len(batch.regions)
        begin += len(picture)
    return loss


def save(model: open_clip.CLIP, out: Path) -> None:
    """Write an open_clip directory; weights as float16, which the loader turns back to float32."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    safetensors.torch.save_file(tensors, out / "open_clip_model.safetensors")
    content = {"model_cfg": ARCHITECTURE, "preprocess_cfg": PREPROCESS}
    (out / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n")


def dense_features(visual: open_clip.transformer.VisionTransformer, pixels: Tensor) -> Tensor:
    """pixels (B, 3, h, w) normalized -> (B, g*g, E), every patch's feature in the joint space."""
    return (visual.ln_post(visual.transformer(visual._embeds(pixels))) @ visual.proj)[:, 1:]


def _pixels(images: np.ndarray) -> Tensor:
    size = ARCHITECTURE["vision_cfg"]["image_size"]
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    pixels = interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False)
    mean, std = (torch.tensor(PREPROCESS[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (pixels - mean) / std


def _batches(paths: list[Path], mini: MiniConfig, step: int) -> Iterator[Pictures]:
    """Endless batches, seeded by the step."""
    pool: list[dict] = []
    while True:
        rng = np.random.default_rng([mini.seed, 11, step])
        since = step % CACHE_STEPS
        if not pool or since == 0:  # a resumed run reads the pool that its step would have found
            draw = np.random.default_rng([mini.seed, 11, step - since]) if since else rng
            chosen = draw.choice(len(paths), min(CACHE_SCENES, len(paths)), replace=False)
            pool = [load_sample(paths[k]) for k in chosen]
        yield _batch(pool, mini, rng)
        step += 1


def _batch(pool: list[dict], mini: MiniConfig, rng: np.random.Generator) -> Pictures:
    images, found, scene_texts = [], [], []
    for picture in range(mini.clip_images):
        sample = pool[rng.integers(len(pool))]
        view = int(rng.integers(len(sample["image"])))
        image, region = _zoom(sample["image"][view], sample["region"][view], rng)
        images.append(image)
        ids, counts = np.unique(region, return_counts=True)
        keep = (ids >= 0) & (counts >= LEAST_SHARE * region.size)
        names = [PROCEDURAL[k] for k in sample["instance_label"][ids[keep]]]
        scene_texts.append(captions.scene_caption(names, rng))
        found += [
            (name, picture, region == i, sample["attributes"][i]) for name, i in zip(names, ids[keep], strict=True)
        ]
    groups = _groups(found, mini.clip_regions, rng)
    regions = [_region_weights(group) for group in groups]
    texts, others = (
        [[captions.caption(name, json.loads(str(words)), rng) for name, _, _, words in group] for group in groups]
        for _ in range(2)
    )
    return Pictures(np.stack(images), regions, texts, others, scene_texts)


def _zoom(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random square part of a picture, half of the time around one of its objects, enlarged back to its size, and
    mirrored at times."""
    size = len(image)
    edge = int(size * rng.uniform(0.35, 1.0))
    top, left = rng.integers(size - edge + 1, size=2)
    inside = np.argwhere(region == rng.choice(region.reshape(-1)))
    if rng.random() < 0.5:
        center = inside.mean(axis=0) - edge / 2
        top, left = np.clip(center, 0, size - edge).astype(int)
    rows, columns = (start + (np.arange(size) * edge) // size for start in (top, left))
    if rng.random() < 0.5:
        columns = columns[::-1]
    return image[rows][:, columns], region[rows][:, columns]


def _groups(found: list[tuple], count: int, rng: np.random.Generator) -> list[list[tuple]]:
    """Deal regions to groups such that no group holds a class twice."""
    groups: list[list[tuple]] = [[] for _ in range(count)]
    taken: list[set[str]] = [set() for _ in range(count)]
    for k in rng.permutation(len(found)):
        for group, names in zip(groups, taken, strict=True):
            if found[k][0] not in names:
                names.add(found[k][0])
                group.append(found[k])
                break
    return [group for group in groups if len(group) > 1]


def _region_weights(group: list[tuple]) -> tuple[Tensor, Tensor]:
    """(picture index (R,), weights (R, g*g) that sum to 1): the share of each patch covered by the region."""
    config = ARCHITECTURE["vision_cfg"]
    grid = config["image_size"] // config["patch_size"]
    masks = torch.from_numpy(np.stack([mask for _, _, mask, _ in group])).float().unsqueeze(1)
    weights = adaptive_avg_pool2d(masks, grid).flatten(1)
    return torch.tensor([picture for _, picture, _, _ in group]), weights / weights.sum(dim=1, keepdim=True)


@torch.no_grad()
def region_accuracy(visual, encode_text, paths: list[Path], limit: int = 200) -> float:
    """Share of held-out regions whose nearest class name is their own, averaged over the classes: a figure for the
    model card."""
    samples = [load_sample(path) for path in paths[:limit]]
    indoors = all(sample["instance_label"].max() < len(INDOOR) for sample in samples)
    classes = INDOOR if indoors else PROCEDURAL
    text = torch.from_numpy(encode_text([f"a photo of a {name}" for name in classes]))
    hits, totals = np.zeros(len(classes)), np.zeros(len(classes))
    for sample in samples:
        dense = dense_features(visual, _pixels(sample["image"]))
        for view, region in enumerate(sample["region"]):
            ids, counts = np.unique(region, return_counts=True)
            ids = ids[(ids >= 0) & (counts >= LEAST_SHARE * region.size)]
            if len(ids) == 0:
                continue
            _, weights = _region_weights([("", view, region == i, "") for i in ids])
            best = (weights @ dense[view] @ text.T).argmax(dim=1)
            truth = torch.from_numpy(sample["instance_label"][ids].astype(np.int64))
            matrix = one_hot(truth, len(classes)).numpy()
            totals += matrix.sum(axis=0)
            hits += matrix[(best == truth).numpy()].sum(axis=0)
    return float((hits / np.maximum(totals, 1))[totals > 0].mean())
