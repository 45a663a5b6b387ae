"""Teach the text tower of a small CLIP what words mean: python -m s4token_model.training.text_tower WORDS --out DIR

WORDS is a file of taught words (docs/train.md says how it is made). The image tower stays as it is, and so do, as far
as angles allow, the features of trained words: the taught features are turned to where the tower had them. With --keep
they stay exactly, for a tokenizer that was trained in front of the CLIP, and other words come to lie between them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.optim import AdamW
from tqdm import tqdm

from s4token_model import checkpoint, command_line, vocabulary
from s4token_model.pipeline import clip, clip_config, known_words
from s4token_model.pipeline.plain_clip import PlainClip
from s4token_model.training import bag_of_tokens, word_texts
from s4token_model.training.loop import cosine_rate, prefetch
from s4token_model.training.related_words import words_of_classes
from s4token_model.training.synonyms import CLASS_OF, TRAINED_WORDS
from s4token_model.training.word_texts import TaughtWords

TEMPLATE = "a photo of a {}"
THRESHOLD, KEPT_THRESHOLD = 0.45, 0.9  # words with a lower score are unknown; measured by scripts/known_words.py
# With --keep, a word is as near to a class as its mean cosine with the NEAREST of the class's words says. It gets the
# mean of the classes, by the softmax of that at SHARPNESS, wholly if it is above the second of FAMILIAR for one of
# them, and is unknown if it is below the first. A related word is nearer by OWN to its class than to any other
NEAREST, SHARPNESS, FAMILIAR, OWN = 2, 0.05, (0.36, 0.5), 0.1
KEPT_CHANCE, LAST_CHANCE = 0.3, 0.8  # that a trained word is drawn, at first and in the last fifth of the steps
LAST = 0.8
START_TEXTS = 100_000  # that the first tokens are fitted to


def main(arguments: list[str] | None = None) -> None:
    """Parse the words and write a CLIP with the taught text tower."""
    parser = argparse.ArgumentParser(prog="text_tower", description=__doc__.splitlines()[0])
    parser.add_argument("words", type=Path, metavar="WORDS", help="file of taught words")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new CLIP")
    parser.add_argument("--clip", type=Path, help="folder of the CLIP to start from (default: that of s4token-mini)")
    parser.add_argument("--keep", action="store_true", help="keep the features of its trained words, for a tokenizer")
    parser.add_argument("--steps", type=int, default=4000, help="optimizer steps (default: 4000)")
    parser.add_argument("--batch", type=int, default=1024, help="texts per step (default: 1024)")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate (default: 0.002)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn texts (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    options = parser.parse_args(arguments)
    source = options.clip or checkpoint.resolve(checkpoint.MINI) / "clip"
    frozen = clip.load_directory(source, device=options.device)
    taught = word_texts.read(options.words, frozen.dim)
    taught = kept(taught, frozen) if options.keep else turned(taught, frozen)
    model = frozen.model
    teach(model, taught, options)
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    clip_config.save_directory(options.out, clip_config.read(source), {k: v.cpu() for k, v in tensors.items()})
    encode_text, threshold = clip.load_directory(options.out).encode_text, KEPT_THRESHOLD if options.keep else THRESHOLD
    known = known_words.encode_again(TRAINED_WORDS, encode_text, frozen.known_words if options.keep else None)
    known_words.save(options.out, known._replace(threshold=threshold))


def turned(taught: TaughtWords, frozen: clip.FrozenClip) -> TaughtWords:
    """Turn the taught features such that trained words come as close as a rotation can bring them to where they were.

    So an image tower and a tokenizer that were trained with the former text tower stay of use.
    """
    rows = trained_rows(taught)
    if not rows:
        return taught
    before = frozen.encode_text([TEMPLATE.replace("{}", name) for name in rows])
    left, _, right = np.linalg.svd(taught.features[list(rows.values())].T @ before)
    rotation = (left @ right).astype(np.float32)
    return taught._replace(features=taught.features @ rotation, unknown=taught.unknown @ rotation)


def kept(taught: TaughtWords, frozen: clip.FrozenClip) -> TaughtWords:
    """Give class names the features that the tower has for them, all other words those of the classes that they mean.

    General words ("furniture") keep theirs, too. What means no class gets a feature orthogonal to all trained words.
    """
    names = trained_rows(taught)
    row = {name: k for k, name in enumerate(names)}
    classes = {name: rows for name, rows in rows_of_classes(taught).items() if name in names}
    if not classes:
        raise ValueError("the taught words hold no class that the CLIP was trained with")
    asked = vocabulary.encode_phrases(list(names), word_texts.ASKED, frozen.encode_text)
    before = vocabulary.average_templates(asked)
    unknown = np.linalg.svd(before, full_matrices=True)[2][-1].astype(np.float32)
    # How near every word is to every class; the words of a class are nearest to that
    near = np.stack([_nearness(taught.features, taught.features[rows]) for rows in classes.values()], axis=1)
    for k, rows in enumerate(classes.values()):
        near[rows, k] = near[rows].max(axis=1) + OWN
    nearest = near.max(axis=1, keepdims=True)
    low, high = FAMILIAR
    familiar = np.clip((nearest - low) / (high - low), 0, 1)
    means = np.exp((near - nearest) / SHARPNESS) @ before[[row[name] for name in classes]]
    features = _unit(familiar * _unit(means) + (1 - familiar) * unknown)
    # Trained words as they were, but synonyms like their class
    same = [row.get(CLASS_OF.get(name, name), k) for name, k in row.items()]
    features[list(names.values())] = before[same]
    return with_chance(taught._replace(features=features, unknown=unknown), KEPT_CHANCE)


def rows_of_classes(taught: TaughtWords) -> dict[str, list[int]]:
    """The rows in `taught` of the words of every class: its name, synonyms and related words."""
    row = taught.rows()
    return {name: [row[word] for word in words if word in row] for name, words in words_of_classes().items()}


def _nearness(features: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The mean cosine (K,) of each row of features (K, E) with the NEAREST of words (n, E)."""
    return np.sort(features @ words.T, axis=1)[:, -NEAREST:].mean(axis=1)


def with_chance(taught: TaughtWords, chance: float) -> TaughtWords:
    """Let every so many drawn texts be trained words."""
    rows, weights = list(trained_rows(taught).values()), taught.weights.copy()
    weights[rows] = chance / (1 - chance) * np.delete(weights, rows).sum() / len(rows)
    return taught._replace(weights=weights)


def trained_rows(taught: TaughtWords) -> dict[str, int]:
    """The row in `taught` of every trained word that it holds."""
    row = taught.rows()
    return {name: row[name] for name in TRAINED_WORDS if name in row}


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def teach(model: PlainClip, taught: TaughtWords, options: argparse.Namespace) -> None:
    """Train the text tower of `model` to give texts their features, by the cosine; the image tower is not touched."""
    torch.manual_seed(options.seed)
    tables = word_texts.make_tables(taught, clip.tokenizer(), model.context_length)
    # Start at the sum of the tokens, fitted to every text once and to drawn ones
    drawn = word_texts.draw(taught, tables, model.context_length, START_TEXTS, np.random.default_rng(options.seed))
    start = word_texts.appended(word_texts.taught_batch(taught, tables), drawn)
    bag_of_tokens.write(model, bag_of_tokens.token_features(start, model.token_embedding.num_embeddings))
    weights = [value for name, value in model.named_parameters() if not name.startswith(("visual.", "logit"))]
    for weight in weights:
        weight.requires_grad_(True)
    optimizer = AdamW(weights, options.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    device, bf16 = model.text_projection.device, clip.resolve_precision("auto", options.device) == "bf16"

    # Those that are kept are learned exactly in the end
    last = with_chance(taught, LAST_CHANCE) if options.keep else taught

    def draw(step: int) -> word_texts.TextBatch:
        rng, drawn = np.random.default_rng([options.seed, step]), last if step >= LAST * options.steps else taught
        return word_texts.draw(drawn, tables, model.context_length, options.batch, rng)

    bar = tqdm(prefetch(draw, range(options.steps)), "text tower", options.steps)
    for step, batch, _ in bar:
        cosine_rate(optimizer, options.rate, step, options.steps)
        ids, target = (torch.from_numpy(array).to(device, non_blocking=True) for array in batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            features = encode_ids(model, ids, batch.lengths())
        loss = 1 - (normalize(features.float(), dim=-1) * target).sum(dim=1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step % 100 == 99:  # reading the loss waits for the GPU
            bar.set_postfix(cosine=round(1 - loss.item(), 3))
    model.requires_grad_(False)


def encode_ids(model: PlainClip, ids: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """What model.encode_text gives for ids (B, L), shortest texts first: (B, E).

    The rows are encoded in as many equal parts as there are `lengths`, the longest text of each: attention is causal,
    so what stands behind the end, which has the largest id, does not matter.
    """
    rows = []
    for part, length in zip(ids.tensor_split(len(lengths)), lengths, strict=True):
        part = part[:, :length]
        hidden = model.token_embedding(part) + model.positional_embedding[:length]
        hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
        rows.append(hidden[torch.arange(len(part), device=ids.device), part.argmax(dim=1)])
    return model.ln_final(torch.cat(rows)) @ model.text_projection


if __name__ == "__main__":
    raise SystemExit(command_line.guard("text_tower", main))
