"""Train the small CLIP of s4token-mini, contrastively, on captioned regions and pictures of procedural scenes.

The image tower pools by averaging, so the mean over a region's patches is that region's feature in the joint space:
regions train the dense features that the 2D targets are read from. Loss: open_clip's ClipLoss. The pairs of one loss
never repeat a class, else two chairs would be pushed away from each other's captions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize
from torch.optim import AdamW
from tqdm import tqdm

from s4token_model import metrics
from s4token_model.pipeline import clip, clip_config
from s4token_model.procedural.classes import INDOOR, PROCEDURAL
from s4token_model.training import captions
from s4token_model.training.loop import Progress, cosine_rate, optimizer_step
from s4token_model.training.settings import MiniConfig
from s4token_model.training.token_samples import Pictures, load_part

VISION = {"image_size": 96, "layers": 2, "width": 192, "head_width": 64, "patch_size": 12, "pool_type": "avg"}
# A small LayerScale: a tokenizer learns more slowly in front of blocks that change the residual stream much
VISION["ls_init_value"] = 0.2
ARCHITECTURE = {
    "embed_dim": 128,
    "vision_cfg": VISION,
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 3},
}
PREPROCESS = {"mean": clip_config.MEAN, "std": clip_config.STD}
MIN_AREA = 0.004  # smaller regions, as a fraction of the picture, are not captioned
CACHE_SCENES = 400  # samples held in memory at a time
CACHE_STEPS = 200  # steps until others are read
SCENE_WEIGHT = 0.1  # of the loss on whole pictures, beside 1 for their regions


class Region(NamedTuple):
    """One region of a picture of the batch."""

    name: str
    picture: int
    mask: np.ndarray  # (h, w) bool
    attributes: str  # JSON


class CaptionedBatch(NamedTuple):
    """Pictures of a step, groups of their regions, and captions."""

    images: np.ndarray  # (B, h, w, 3) uint8
    regions: list[tuple[Tensor, Tensor]]  # per group: picture index (R,) and patch weights (R, g*g)
    texts: list[list[str]]  # per group: a caption of each region
    other_texts: list[list[str]]  # per group: another caption of each
    scene_texts: list[str]  # one caption per picture


def train(paths: list[Path], out: Path, run: Path, config: MiniConfig) -> None:
    """Train on the pictures in `paths`; a state in `run` is resumed, the finished CLIP goes to `out`."""
    torch.manual_seed(config.seed)
    model = open_clip.CLIP(**ARCHITECTURE)
    tokenize = open_clip.SimpleTokenizer(context_length=ARCHITECTURE["text_cfg"]["context_length"])
    optimizer = AdamW(model.parameters(), config.clip_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay)
    progress = Progress(run / "clip.pt", model, optimizer)
    clip_loss = open_clip.ClipLoss()
    total = config.text_steps + config.clip_steps
    batches = _batches(paths, config, progress.step)
    for step in tqdm(range(progress.step, total), "clip", total, initial=progress.step):
        if step < config.text_steps:  # first only the text tower, then only the image tower
            compute_losses = partial(text_contrast, model, tokenize, clip_loss)
            cosine_rate(optimizer, config.clip_rate, step, config.text_steps)
        else:
            compute_losses = partial(image_text_contrast, model, tokenize, clip_loss)
            # The text tower would unlearn the distances between names while the image tower knows nothing
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.split(".")[0] in ("visual", "logit_scale"))
            cosine_rate(optimizer, config.clip_rate, step - config.text_steps, config.clip_steps)
        values = optimizer_step(optimizer, compute_losses, [next(batches)], run, step)
        with torch.no_grad():
            model.logit_scale.clamp_(0, float(np.log(100)))
        progress.after_step(step + 1, values, config.save_every, total)
    save(model, out)


def text_contrast(model: open_clip.CLIP, tokenize, clip_loss, batch: CaptionedBatch) -> dict[str, Tensor]:
    """Loss of two captions of the same region against those of other classes: separates the class names first.

    Without this start, all texts look alike to both towers for hundreds of steps.
    """
    count, encoded = len(batch.texts), _encode_groups(model, tokenize, batch.texts + batch.other_texts)
    pairs = zip(encoded[:count], encoded[count:], strict=True)
    return {"loss": sum((clip_loss(a, b, model.logit_scale.exp()) for a, b in pairs), torch.zeros(())) / count}


def image_text_contrast(model: open_clip.CLIP, tokenize, clip_loss, batch: CaptionedBatch) -> dict[str, Tensor]:
    """Regions against their captions, per group, and whole pictures against captions of their scene."""
    dense = dense_features(model.visual, _pixels(batch.images))
    scale = model.logit_scale.exp()
    *of_regions, of_scenes = _encode_groups(model, tokenize, [*batch.texts, batch.scene_texts])
    loss = SCENE_WEIGHT * clip_loss(normalize(dense.mean(dim=1), dim=-1), of_scenes, scale)
    for (picture, weights), captioned in zip(batch.regions, of_regions, strict=True):
        features = normalize((dense[picture] * weights.unsqueeze(-1)).sum(dim=1), dim=-1)
        loss = loss + clip_loss(features, captioned, scale) / len(batch.regions)
    return {"loss": loss}


def _encode_groups(model: open_clip.CLIP, tokenize, groups: list[list[str]]) -> tuple[Tensor, ...]:
    """Unit features of the captions of each group."""
    encoded = normalize(model.encode_text(tokenize([caption for group in groups for caption in group])), dim=-1)
    return encoded.split([len(group) for group in groups])


def save(model: open_clip.CLIP, out: Path) -> None:
    """Write an open_clip directory; weights as float16, which the loader turns back to float32."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    clip_config.save_directory(out, clip_config.ClipArchitecture(ARCHITECTURE, **PREPROCESS), tensors)


def dense_features(visual: nn.Module, pixels: Tensor) -> Tensor:
    """pixels (B, 3, h, w) normalized -> (B, g*g, E), every patch's feature in the joint space of a plain ViT."""
    return (visual.ln_post(visual.transformer(clip.embedded(visual, pixels))) @ visual.proj)[:, 1:]


def _pixels(images: np.ndarray) -> Tensor:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    pixels = interpolate(pixels, (VISION["image_size"],) * 2, mode="bilinear", antialias=True, align_corners=False)
    mean, std = (torch.tensor(PREPROCESS[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (pixels - mean) / std


def _batches(paths: list[Path], config: MiniConfig, step: int) -> Iterator[CaptionedBatch]:
    """Endless batches, seeded by the step."""
    pool: list[Pictures] = []
    while True:
        rng = np.random.default_rng([config.seed, 11, step])
        since = step % CACHE_STEPS
        if not pool or since == 0:  # a resumed run reads the pool that its step would have found
            pool_rng = np.random.default_rng([config.seed, 11, step - since]) if since else rng
            chosen = pool_rng.choice(len(paths), min(CACHE_SCENES, len(paths)), replace=False)
            pool = [load_part(paths[k], "pictures") for k in chosen]
        yield _batch(pool, config, rng)
        step += 1


def _batch(pool: list[Pictures], config: MiniConfig, rng: np.random.Generator) -> CaptionedBatch:
    images, regions, scene_texts = [], [], []
    for picture in range(config.clip_images):
        scene = pool[rng.integers(len(pool))]
        view = int(rng.integers(len(scene.image)))
        image, region = _zoom(scene.image[view], scene.region[view], rng)
        images.append(image)
        ids = _large_regions(region)
        names = [PROCEDURAL[k] for k in scene.instance_label[ids]]
        scene_texts.append(captions.scene_caption(names, rng))
        for name, i in zip(names, ids, strict=True):
            regions.append(Region(name, picture, region == i, str(scene.attributes[i])))
    groups = _groups(regions, config.clip_regions, rng)
    texts, other_texts = (
        [[captions.caption(r.name, json.loads(r.attributes), rng) for r in group] for group in groups] for _ in range(2)
    )
    weighted = [(torch.tensor([r.picture for r in group]), _patch_weights([r.mask for r in group])) for group in groups]
    return CaptionedBatch(np.stack(images), weighted, texts, other_texts, scene_texts)


def _large_regions(region: np.ndarray) -> np.ndarray:
    """Ids of the regions (h, w) of a picture that are large enough for a caption."""
    ids, counts = np.unique(region, return_counts=True)
    return ids[(ids >= 0) & (counts >= MIN_AREA * region.size)]


def _zoom(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge a random square part of a picture, half of the time around an object, and mirror it half of the time."""
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


def _groups(regions: list[Region], count: int, rng: np.random.Generator) -> list[list[Region]]:
    """Deal regions to groups such that no group holds a class twice."""
    groups: list[list[Region]] = [[] for _ in range(count)]
    for k in rng.permutation(len(regions)):
        for group in groups:
            if all(regions[k].name != other.name for other in group):
                group.append(regions[k])
                break
    return [group for group in groups if len(group) > 1]


def _patch_weights(masks: list[np.ndarray]) -> Tensor:
    """How much of each patch the regions with these masks cover: (R, g*g), rows sum to 1."""
    grid = VISION["image_size"] // VISION["patch_size"]
    weights = adaptive_avg_pool2d(torch.from_numpy(np.stack(masks)).float().unsqueeze(1), grid).flatten(1)
    return weights / weights.sum(dim=1, keepdim=True)


@torch.no_grad()
def region_accuracy(visual, encode_text, paths: list[Path], limit: int = 200) -> float:
    """Fraction of held-out regions whose nearest class name is their own, averaged over the classes."""
    scenes = [load_part(path, "pictures") for path in paths[:limit]]
    classes = INDOOR if all(scene.instance_label.max() < len(INDOOR) for scene in scenes) else PROCEDURAL
    text = torch.from_numpy(encode_text([f"a photo of a {name}" for name in classes]))
    counts = np.zeros((len(classes), len(classes) + 1), np.int64)
    for scene in scenes:
        dense = dense_features(visual, _pixels(scene.image))
        for view, region in enumerate(scene.region):
            ids = _large_regions(region)
            if len(ids):
                weights = _patch_weights([region == i for i in ids])
                nearest = (weights @ dense[view] @ text.T).argmax(dim=1)
                counts += metrics.confusion(scene.instance_label[ids], nearest.numpy(), len(classes))
    return metrics.scores(counts).macc
