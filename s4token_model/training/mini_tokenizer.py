"""Train the tokenizer of s4token-mini in front of its frozen CLIP: distillation (Eq. 8, 9) and the text target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from s4token_model import checkpoint, vocabulary
from s4token_model.config import Config, MiniConfig
from s4token_model.pipeline.clip import FrozenClip, resolve_precision
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.captions import HELD_OUT, SYNONYMS
from s4token_model.procedural.classes import INDOOR, OTHER_FURNITURE, PROCEDURAL, SCANNET20, STREET
from s4token_model.training.distillation import global_distillation, local_distillation
from s4token_model.training.loop import Progress, ahead, cosine_rate, stop_on_nan
from s4token_model.training.text_target import balanced_weights, text_loss
from s4token_model.training.token_samples import Batch, Samples

VALIDATION_BATCHES = 12
BALANCE = 0.5  # class weights ~ frequency^-BALANCE
STREET_WORDS = ("person", *STREET)
AVERAGING = 0.999  # decay of the running mean of the weights, which is what is kept


def train(
    samples: Samples, held_out: Samples, clip: FrozenClip, config: Config, mini: MiniConfig, run: Path
) -> Tokenizer:
    """Train and return the tokenizer, its weights averaged over the last steps.

    The state in `run` is resumed from when present.
    """
    torch.manual_seed(mini.seed)
    tokenizer = Tokenizer(config.tokenizer, clip.width)
    if mini.start:
        tokenizer.load_state_dict(checkpoint.load(mini.start, config)[0].state_dict())
    optimizer = torch.optim.AdamW(tokenizer.parameters(), mini.rate, betas=(0.9, 0.98), weight_decay=mini.weight_decay)
    mean = AveragedModel(tokenizer, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    progress = Progress(run / "tokenizer.pt", nn.ModuleDict({"live": tokenizer, "mean": mean}), optimizer)
    classes = classes_of(mini)
    words = synonym_features(clip, config, classes)
    weights = class_weights(samples, classes)
    bar = tqdm(range(progress.step, mini.steps), "tokenizer", mini.steps, initial=progress.step)
    batches = ahead(lambda step: _drawn(samples, step, config, mini), range(progress.step, mini.steps))
    for step, batch in zip(bar, batches, strict=True):
        rng = np.random.default_rng([mini.seed, 17, step])
        cosine_rate(optimizer, mini.rate, step, mini.steps, mini.last_rate)
        asked = draw_classes(rng, classes, is_outdoors(step, samples, mini))
        losses = losses_of(
            tokenizer, clip, batch, draw_words(words, rng), weights, asked, config, mini, step < skipped_steps(mini)
        )
        loss = torch.stack(list(losses.values())).sum()
        stop_on_nan(losses, run, {"step": step, "batch": batch})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(tokenizer.parameters(), 1.0)
        optimizer.step()
        mean.update_parameters(tokenizer)
        values = {name: value.item() for name, value in losses.items()}
        if (step + 1) % mini.save_every == 0 or step + 1 == mini.steps:
            found = validate(mean.module, clip, held_out, words, config, mini, step < skipped_steps(mini))
            values |= found
            bar.set_postfix({name: round(value, 3) for name, value in found.items()})
        progress.after_step(step + 1, values, mini.save_every, mini.steps)
    return mean.module


def classes_of(mini: MiniConfig) -> tuple[str, ...]:
    """The classes that a vocabulary of training is drawn from; "other furniture" is always the word after the last."""
    return PROCEDURAL if mini.street_share else INDOOR


def is_outdoors(step: int, samples: Samples, mini: MiniConfig) -> bool:
    """Whether a step sees streets alone, and asks for their words alone: nobody asks for a bathtub on a road."""
    if not samples.streets or not mini.street_share:
        return False
    return not samples.items or np.random.default_rng([mini.seed, 19, step]).random() < mini.street_steps


def _drawn(samples: Samples, step: int, config: Config, mini: MiniConfig) -> Batch:
    rng = np.random.default_rng([mini.seed, 13, step])
    return samples.draw(mini, rng, tokens_at(step, config, mini), outdoors=is_outdoors(step, samples, mini))


def losses_of(
    tokenizer,
    clip,
    batch: Batch,
    text: Tensor,
    class_weight: Tensor,
    asked: Asked,
    config: Config,
    mini: MiniConfig,
    skip_blocks: bool = False,
) -> dict[str, Tensor]:
    """Return the named, weighted losses of a batch; the text loss is over the words asked for, and their points."""
    with torch.autocast("cpu", torch.bfloat16, enabled=resolve_precision(mini.precision) == "bf16"):
        features, cls = clip.encode_tokens(tokenizer(batch.inputs), skip_blocks)
    features, cls = features.float(), cls.float()
    points = batch.weights @ normalize(features, dim=-1)
    reached = batch.weights.sum(dim=-1) > 0
    row = asked.row[batch.label]
    named = reached & (row >= 0)
    local = local_distillation(points[reached], batch.superpoint[reached], batch.target, batch.has_target)
    return {
        "local": mini.distill_weight * local,
        "global": mini.distill_weight * global_distillation(cls, batch.whole),
        "text": mini.text_weight
        * text_loss(
            points[named], text[asked.words], row[named], class_weight[asked.words], config.vocabulary.temperature
        ),
    }


def skipped_steps(mini: MiniConfig) -> int:
    """How many steps skip the blocks: frozen blocks slow the first learning down, and take most of a step's time."""
    return round(mini.skip_share * mini.steps)


def tokens_at(step: int, config: Config, mini: MiniConfig) -> int:
    """Few tokens first, for speed; as many as at inference in the last part."""
    return mini.tokens if step < (1 - mini.full_share) * mini.steps else config.sampling.tokens


@dataclass(frozen=True)
class Asked:
    """The vocabulary of a step: words (K,) long, indices into the classes and "other furniture"; row (C,) long, the row
    in `words` that names a class, or -1."""

    words: Tensor
    row: Tensor


def synonym_features(clip: FrozenClip, config: Config, classes: tuple[str, ...] = INDOOR) -> list[Tensor]:
    """Text features of the synonyms of each class and of "other furniture", the word first; what is held out for
    evaluation is left out."""
    templates = vocabulary.read_templates(config.vocabulary.templates)
    features = []
    for name in (*classes, SCANNET20[19]):
        words = [w for w in SYNONYMS.get(name, (name,)) if w not in HELD_OUT.get(name, ())]
        built = vocabulary.build(words or [name], templates, 0.0, clip.encode_text)
        features.append(torch.from_numpy(built.text))
    return features


def draw_words(words: list[Tensor], rng: np.random.Generator) -> Tensor:
    """(C + 1, E): the word itself three times out of four, else one of its synonyms."""
    picks = [0 if rng.random() < 0.75 else int(rng.integers(len(rows))) for rows in words]
    return torch.stack([rows[k] for rows, k in zip(words, picks, strict=True)])


def draw_classes(rng: np.random.Generator, classes: tuple[str, ...] = INDOOR, outdoors: bool = False) -> Asked:
    """The vocabulary of a step: the everyday words of rooms half of the time, else a random half of all words, or all;
    outdoors the words of streets, and persons.

    Users ask for some 20 words, not for all that the scenes hold. Among the everyday words "other furniture" names
    the furniture that has no word of its own.
    """
    draw = 1.0 if outdoors else rng.random()
    if outdoors:
        words = torch.tensor([classes.index(name) for name in STREET_WORDS])
    elif draw < 0.5:
        words = torch.tensor([*range(len(SCANNET20) - 1), len(classes)])
    else:
        words = torch.from_numpy(rng.random(len(classes)) < (0.5 if draw < 0.75 else 1.0)).nonzero().flatten()
    row = torch.full((len(classes) + 1,), -1)
    row[words] = torch.arange(len(words))
    if draw < 0.5:
        row[[classes.index(name) for name in OTHER_FURNITURE]] = len(words) - 1
    return Asked(words, row[:-1])


def class_weights(samples: Samples, classes: tuple[str, ...] = INDOOR) -> Tensor:
    """Weights of the classes and "other furniture" from the labels of all samples."""
    counts = sum(np.bincount(item["point_label"], minlength=len(classes)) for item in samples.items)
    other = sum(np.asarray(counts)[classes.index(name)] for name in OTHER_FURNITURE)
    return balanced_weights(torch.from_numpy(np.append(counts, other)), BALANCE)


@torch.no_grad()
def validate(
    tokenizer, clip, samples: Samples, words: list[Tensor], config: Config, mini: MiniConfig, skip_blocks: bool = False
) -> dict[str, float]:
    """mIoU over the classes present, over points of held-out scenes, with all tokens; of streets apart, among their
    words."""
    text = torch.stack([rows[0] for rows in words[:-1]])
    everywhere = torch.arange(len(text)) < len(INDOOR)
    found = {}
    if samples.items:
        found["held_out_miou"] = _miou(tokenizer, clip, samples, text, everywhere, config, mini, skip_blocks, False)
    if samples.streets and len(text) > len(INDOOR):
        on_streets = torch.tensor([name in STREET_WORDS for name in PROCEDURAL])
        found["held_out_streets"] = _miou(tokenizer, clip, samples, text, on_streets, config, mini, skip_blocks, True)
    return found


def _miou(tokenizer, clip, samples, text, asked, config, mini, skip_blocks: bool, outdoors: bool) -> float:
    confusion = np.zeros((len(text), len(text)), np.int64)
    for k in range(VALIDATION_BATCHES // 2 if outdoors else VALIDATION_BATCHES):
        batch = samples.draw(mini, np.random.default_rng([k]), config.sampling.tokens, False, outdoors)
        features, _ = clip.encode_tokens(tokenizer(batch.inputs), skip_blocks)
        points = batch.weights @ normalize(features, dim=-1)
        seen = (batch.weights.sum(dim=-1) > 0) & asked[batch.label]
        scores = (points[seen] @ text.T).masked_fill(~asked, -torch.inf)
        np.add.at(confusion, (batch.label[seen].numpy(), scores.argmax(dim=-1).numpy()), 1)
    hits = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    present = confusion.sum(axis=1) > 0
    return float((hits / np.maximum(union, 1))[present].mean())
