"""The tokenizers that the paper compares in its Tables 1 and 2, by name, as changes of a config.

Wherever a config is changed, the key `variant` stands for all keys of one of them: `s4token train c.yaml
variant=knn+rpn`, `s4token prepare ... --set variant=knn`, `variant: knn` in YAML. A checkpoint stores the keys, not the
name.

    knn, ball, spt           patches of the M nearest points, of a ball, of a superpoint; offsets p_j - p_t and
                             positions p_t - mean in the unit of the cloud
    +rpn                     relative position normalization (Eq. 3): both are divided by r = alpha * s, so that
                             scaling or moving the cloud does not change a token
    knn+rpn+spt              the nearest points within the superpoint
    ball+rpn+spt, s4token    the ball within the superpoint: the paper's S4Token
    point-bert               Point-BERT's tokenizer, the same as knn

Variants without spt ignore superpoints: their centers are farthest points (gamma = 0) from a first one that depends on
the seed. All are the paper's tokens, without our wide patch and descriptor (tokenizer.context).
"""

from __future__ import annotations

from typing import Any

KEY = "variant"
TABLE_1 = ("knn", "ball", "spt", "knn+rpn", "ball+rpn", "spt+rpn", "knn+rpn+spt", "ball+rpn+spt")
ALIASES = {"s4token": "ball+rpn+spt", "point-bert": "knn"}
NAMES = (*TABLE_1, *ALIASES)
# Wavelengths of the position embedding: 64 down to 2 radii, or 64 down to 0.25 of the cloud's unit. With 128 tokens on
# an object in the unit sphere, r is about 0.12, so that both resolve the same detail.
OCTAVES, RAW_OCTAVES = 6, 9


def changes(name: str) -> dict[str, Any]:
    """Return {dotted path: value} of a variant; ValueError if the name is unknown."""
    if name not in NAMES:
        raise ValueError(f"{KEY}={name!r} is not one of {', '.join(NAMES)}")
    parts = ALIASES.get(name, name).split("+")
    normalized, superpoints = "rpn" in parts, "spt" in parts
    return {
        "patches.grouping": "+".join(part for part in parts if part != "rpn"),
        "patches.normalize": normalized,
        "tokenizer.position_scaled": normalized,
        "tokenizer.position_octaves": OCTAVES if normalized else RAW_OCTAVES,
        "tokenizer.context": False,
    } | ({} if superpoints else {"sampling.gamma": 0.0})


def expanded(values: dict[str, Any]) -> dict[str, Any]:
    """Replace the key `variant` by the keys it stands for; the other keys of `values` take precedence."""
    if KEY not in values:
        return values
    return changes(str(values[KEY])) | {path: value for path, value in values.items() if path != KEY}
