"""Labels of a head that was trained by task=parts: the parts of one category, by `s4token label --head parts.pt`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from s4token_model import bounded_files, checkpoint, constants
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import shapenetpart
from s4token_model.encoded_cloud import EncodedCloud, Segmentation, encoded_cloud
from s4token_model.palette import index_colors
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.patched_cloud import PatchedCloud
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import Segmenter, checked_device
from s4token_model.stage_timer import StageTimer
from s4token_model.training import supervised_heads, token_samples
from s4token_model.training.batches import DrawConfig, make_batch, to_device
from s4token_model.training.sampler import draw_clouds
from s4token_model.training.settings import TrainConfig
from s4token_model.training.supervised_parts import CATEGORIES, MIN_TOKENS, PART_COUNTS, POINTS, PartModel
from s4token_model.vocabulary import Vocabulary

LIMIT = 8 << 30  # bytes of parts.pt
# As the shapes of training: all of their points, in one window
AS_TRAINED = {"input.clean": False, "windows.maximum": 1}
TO_Z_UP = np.array(
    [[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]
)  # meshes, y up and z forward, as the reader of shapes turns them


class PartSegmenter(Segmenter):
    """Labels shapes of one category with its parts, by a trained head instead of class names."""

    def __init__(self, model: PartModel, clip: FrozenClip, config: Config, category: str):
        """Compute on the device of `clip`, where the model is."""
        self.is_y_up = config.input.up == "y"
        changes = AS_TRAINED | ({"input.up": "z"} if self.is_y_up or config.input.up == "auto" else {})
        super().__init__(model.tokenizer, clip, configs.replace(config, changes))
        self.model, self.category = model.eval(), CATEGORIES.index(category)
        self.vocabulary = _vocabulary(shapenetpart.parts(category), clip.dim)

    def build_patches(
        self, xyz: np.ndarray, rgb: np.ndarray | None = None, frame: str = "", rotation: np.ndarray | None = None,
        up: str = "", superpoints: np.ndarray | None = None,
    ) -> PatchedCloud:  # fmt: skip
        """Cut a shape into tokens as in training, where z is up and x forward."""
        rotation = TO_Z_UP if self.is_y_up and rotation is None else rotation
        return super().build_patches(xyz, rgb, frame, rotation, up, superpoints)

    def encode_patches(self, geometry: PatchedCloud, count: int) -> EncodedCloud:
        """Keep the patches of a cloud of `count` points: the network runs with the head, in `label`."""
        tokens = np.zeros((len(geometry.patches.centers), self.clip.dim), np.float32)
        return encoded_cloud(geometry, tokens, tokens.sum(axis=0), count, geometry.stages_ms)

    def label(self, encoding: EncodedCloud, words: Vocabulary | None = None) -> Segmentation:
        """Label an encoded cloud; the confidence is the probability of the part. `words` are not read."""
        geometry, timer = encoding.geometry, StageTimer(encoding.stages_ms)
        count = len(geometry.superpoints)
        labels, confidence = np.full(count, constants.UNLABELED, np.uint32), np.zeros(count, np.float32)
        # As many points at once as in training, since a head may look at their density
        order = np.random.default_rng(0).permutation(count)
        for points in np.array_split(order, max(1, -(-count // POINTS))) if count else ():
            sure, best = self._logits(geometry, np.sort(points)).softmax(dim=1).max(dim=1)
            labels[np.sort(points)], confidence[np.sort(points)] = best.cpu().numpy(), sure.cpu().numpy()
        labels, confidence = encoding.scattered(labels, constants.UNLABELED), encoding.scattered(confidence, 0)
        timer("head")
        return Segmentation(labels, confidence, encoding.superpoints, self.vocabulary, encoding, timer.stages_ms)

    @torch.inference_mode()
    def _logits(self, geometry: PatchedCloud, points: np.ndarray) -> Tensor:
        """Logits (p, parts) of some positions (p,), by all tokens of the cloud."""
        sample = token_samples.make_sample(geometry, self.config, points, min_tokens=MIN_TOKENS)
        sample = dataclasses.replace(sample, category=np.int32(self.category))
        everything = DrawConfig(len(sample.position), training=False, context=self.config.tokenizer.context)
        drawn = draw_clouds([sample], everything, [np.random.default_rng(0)])
        return self.model(make_batch(to_device(drawn, self.device)))[0]


def load(model: str, head: str, category: str | None, config: Config, device: str = "cpu") -> PartSegmenter:
    """Load a checkpoint and the head that was trained with it. ValueError if they are not of one run."""
    if category is not None and category not in CATEGORIES:
        raise ValueError(f"--category {category}: choose from {', '.join(CATEGORIES)}")
    state = _read(Path(head))
    if category is None:
        raise ValueError(f"--category is missing: choose from {', '.join(CATEGORIES)}")
    tokenizer, clip, config = checkpoint.load(model, config, checked_device(device))
    _check_tokenizer(tokenizer, state, head, model)
    kind = supervised_heads.EPCL if "task" in state else supervised_heads.POINT_BERT
    trained = TrainConfig(head=kind, tune_clip=any(name.startswith("tuned.") for name in state))
    parts = PartModel(tokenizer, clip, trained).to(clip.device)
    try:
        parts.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()[:200]
        raise ValueError(
            f"{head} does not fit the CLIP of {model}: {reason}; take parts.pt and model/ of one run"
        ) from error
    return PartSegmenter(parts, clip, config, category)


def _read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a parts.pt; nothing in it is run."""
    try:
        bounded_files.check_regular(path, LIMIT)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(
            f"cannot read {path}: {error.strerror}; give the parts.pt of a training with task=parts"
        ) from error
    except Exception as error:  # zipfile, pickle and torch raise whatever the bytes lead to
        raise ValueError(f"{path} is damaged, or no parts.pt ({type(error).__name__}); copy it again") from error
    names = ("head.", "tokenizer.")
    if not isinstance(state, dict) or not all(any(str(key).startswith(name) for key in state) for name in names):
        raise ValueError(f"{path} holds no head; give the parts.pt of a training with task=parts")
    bias = [value for key, value in state.items() if key.startswith("head.")][-1]
    if not isinstance(bias, Tensor) or bias.shape != (max(PART_COUNTS),):
        raise ValueError(
            f"{path} is no head of task=parts; those of task=semantic label no files, their figures are in results.json"
        )
    return state


def _check_tokenizer(tokenizer: Tokenizer, state: dict[str, Tensor], head: str, model: str) -> None:
    """Raise ValueError unless the tokenizer that the head was trained with is that of the checkpoint."""
    theirs = {name.removeprefix("tokenizer."): value for name, value in state.items() if name.startswith("tokenizer.")}
    for name, ours in tokenizer.state_dict().items():
        if name not in theirs or theirs[name].shape != ours.shape or not torch.equal(theirs[name], ours.cpu()):
            fix = "take parts.pt and model/ of one run"
            raise ValueError(f"{head} was trained with another tokenizer than {model} ({name} differs); {fix}")


def _vocabulary(names: tuple[str, ...], dim: int) -> Vocabulary:
    """The names of the parts in place of a vocabulary; no texts stand behind them."""
    count = len(names)
    colors, nothing = index_colors(np.arange(count)), np.zeros((count, dim), np.float32)
    return Vocabulary(tuple(names), (), np.zeros(count, np.float32), colors, nothing, known=np.full(count, np.nan))
