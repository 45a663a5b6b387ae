"""Damaged and hostile checkpoints and YAML files against the loaders: nothing is run, sent, or read elsewhere."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import open_clip
import torch

from s4token_model import checkpoint, stored_config
from s4token_model import config as configs
from s4token_model.pipeline import clip_config, known_words
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.training import settings
from scripts.fuzz import sandbox
from scripts.fuzz.mutations import mutate
from scripts.fuzz.outcome import Outcome

ROOT = Path(__file__).parents[2]
SECONDS = 30.0
SECRET = "outside/secret.txt"  # beside the folder of a checkpoint; no load may open it
ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8, "pool_type": "avg"},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
CLIP_FILE, WEIGHTS, WORDS = (f"clip/{name}" for name in (clip_config.FILE, clip_config.WEIGHTS[0], known_words.FILE))
TENSORS = (checkpoint.TOKENIZER, WEIGHTS, WORDS)
VALUES: tuple[Any, ...] = (
    "/etc/passwd", f"../{SECRET}", "local-dir:/etc", "hf-hub:org/model", "~/.ssh/id_rsa", "clip/../..", ".", "", "\0",
    "x" * 5000, "ViT-B-32", "no-tag", -1, 0, 1, 7, 2**31, 2**63, 10**30, 1e308, -0.5, True, False, None, [], {}, [1, 1],
    [3, 4, 6, 3], {"a": 1}, {"trust_remote_code": True}, [[[[[[[[[[[[[[1]]]]]]]]]]]]]], "tanh", "none", "custom",
)  # fmt: skip
METADATA = ("", "[]", "nan", "{}", "[1, 2]", '["chair", "table"]', "[" * 5000, "{} {}", "a {}", "2")
KEYS = (
    *clip_config.REFUSED, *clip_config.IGNORED, *clip_config.MODEL, *clip_config.VISION, *clip_config.TEXT,
    "bpe_path", "pretrained", "model_name", "__class__", "auto_map", "hub", "cache_dir",
)  # fmt: skip
YAML = (
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "!!python/object/apply:os.system ['touch outside/ran']\n",
    "!!python/name:os.system\n", "{" * 2000, "[" * 2000, "? " * 500, "- " * 500, "steps: .nan\n",
    "steps: 0x" + "f" * 5000, "steps: 1\nsteps: 2\n", "data: 2024-13-45\n", "<<: {steps: 1}\n", "&a steps: 3\n", "\x00",
    "%YAML 9.9\n---\n", "1: 2\n",
    "vocabulary: {labels: nowhere.txt}\n", "init: ../outside\n", "clip: {name: 'hf-hub:a/b'}\n", "x: !!binary '@@'\n",
)  # fmt: skip
FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.system", "os.posix_spawn", "os.fork", "pickle.find_class", "exec")
armed: list[Path] = []  # the folder that may be read, while an input is tried
seen: list[str] = []  # what the audit hook refused


class Bomb:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch outside/ran",)


class Damaged(NamedTuple):
    """One input: files by name, what is done to the folder, and whether it must not load."""

    files: dict[str, bytes]
    arrange: Callable[[Path], None] | None = None
    hostile: bool = False
    yaml: bool = False


def run(count: int, seed: int, out: Path) -> Outcome:
    """Try `count` checkpoints and YAML files."""
    torch.set_num_threads(1)  # threads do not survive the fork of the sandbox
    good_files()

    def make_one(number: int) -> Damaged:
        return make(Random(f"{seed}:{number}"))

    return sandbox.run(sandbox.Trial(make_one, attempt, keep, SECONDS), count, seed, out.resolve())


@cache
def good_files() -> dict[str, bytes]:
    """The files of a small checkpoint with random weights, by name."""
    import tempfile

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "good")
        architecture = clip_config.ClipArchitecture(ARCHITECTURE, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
        clip_config.save_directory(root / "clip", architecture, open_clip.CLIP(**ARCHITECTURE).state_dict())
        changes = {"clip.name": "clip", "clip.pretrained": "", "tokenizer.width": 8}
        config = configs.replace(configs.Config(), changes)
        frozen = checkpoint.clips.load(config.clip, root)
        known_words.save(root / "clip", known_words.encode(["chair", "table"], frozen.encode_text))
        checkpoint.save(root, Tokenizer(config.tokenizer, 16), config, {"steps": 1})
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def make(random: Random) -> Damaged:
    """Make one damaged or hostile input."""
    files = dict(good_files())
    damage = random.choice((_bytes_of_json, _values_of_config, _values_of_clip, _values_of_clip, _tensors, _tensors,
                            _headers, _digests, _folder, _folder, _yaml))  # fmt: skip
    return damage(files, random)


def _bytes_of_json(files: dict[str, bytes], random: Random) -> Damaged:
    name = random.choice((stored_config.FILE, CLIP_FILE))
    files[name] = mutate(files[name], random)
    return Damaged(signed(files))


def _values_of_config(files: dict[str, bytes], random: Random) -> Damaged:
    content = json.loads(files[stored_config.FILE])
    for _ in range(random.choice((1, 1, 2, 4))):
        target = random.choice((content, content["config"], content["config"], content["config"]))
        target[random.choice(list(target) + ["other"])] = random.choice(VALUES)
        if not isinstance(content.get("config"), dict):
            break
    files[stored_config.FILE] = json.dumps(content).encode()
    return Damaged(files)


def _values_of_clip(files: dict[str, bytes], random: Random) -> Damaged:
    content = json.loads(files[CLIP_FILE])
    for _ in range(random.choice((1, 1, 2, 4))):
        model = content["model_cfg"]
        target = random.choice((content, model, model["vision_cfg"], model["text_cfg"], content["preprocess_cfg"]))
        if isinstance(target, dict):
            target[random.choice((*target, *KEYS))] = random.choice(VALUES)
        if not isinstance(content["model_cfg"], dict) or not {"vision_cfg", "text_cfg"} <= {*content["model_cfg"]}:
            break
    files[CLIP_FILE] = json.dumps(content).encode()
    return Damaged(signed(files))


def _tensors(files: dict[str, bytes], random: Random) -> Damaged:
    name = random.choice(TENSORS)
    files[name] = mutate(files[name], random)
    return Damaged(signed(files))


def _headers(files: dict[str, bytes], random: Random) -> Damaged:
    """Another shape, type, offset or length in the header of a file of tensors."""
    name = random.choice(TENSORS)
    size = struct.unpack("<Q", files[name][:8])[0]
    header, data = json.loads(files[name][8 : 8 + size]), files[name][8 + size :]
    tensor = header[random.choice([key for key in header if key != "__metadata__"])]
    big = random.choice((0, 1, 2**20, 2**31, 2**40, 2**62))
    change = random.choice(("shape", "dtype", "data_offsets", "metadata", "length"))
    if change == "shape":
        tensor["shape"] = random.choice(([], [big], [big, big], tensor["shape"][::-1], [-1], [1.5]))
    elif change == "dtype":
        tensor["dtype"] = random.choice(("F64", "F16", "BF16", "I8", "BOOL", "F8_E4M3", "U64", "C64", "X"))
    elif change == "data_offsets":
        tensor["data_offsets"] = [random.choice((0, 4, big)), random.choice((0, 4, big, len(data)))]
    elif change == "metadata":
        header["__metadata__"] = {
            key: random.choice(METADATA) for key in ("words", "template", "threshold") if random.random() < 0.8
        }
    text = json.dumps(header).encode()
    length = big if change == "length" else len(text)
    files[name] = struct.pack("<Q", length) + text + data
    return Damaged(signed(files))


def _digests(files: dict[str, bytes], random: Random) -> Damaged:
    """Files of two checkpoints in one folder, or digests that are none: each must be refused."""
    content = json.loads(files[stored_config.FILE])
    name = random.choice((*TENSORS, CLIP_FILE))
    value = random.choice(("0" * 64, "", None, 3, [], "g" * 64))
    others = ({name: value, f"../{SECRET}": "0" * 64}, [3])
    content["sha256"] = random.choice((content["sha256"] | {name: value}, *others))
    files[stored_config.FILE] = json.dumps(content).encode()
    return Damaged(files, hostile=True)


def _folder(files: dict[str, bytes], random: Random) -> Damaged:
    """Links, pipes, folders, missing and huge files, and pickles in place of what is read: all but one are refused."""
    name = random.choice((stored_config.FILE, CLIP_FILE, WEIGHTS, WORDS, checkpoint.TOKENIZER))
    kinds = (_link_outside, _link_of_folder, _pipe, _make_folder, _remove, _huge, _pickle)
    return Damaged(files, partial(random.choice(kinds), name=name), hostile=True)


def _link_outside(root: Path, name: str) -> None:
    target = root.parent / "outside" / Path(name).name
    shutil.move(root / name, target)
    (root / name).symlink_to(target)


def _link_of_folder(root: Path, name: str) -> None:
    shutil.move(root / "clip", root.parent / "outside" / "clip")
    (root / "clip").symlink_to(root.parent / "outside" / "clip")


def _pipe(root: Path, name: str) -> None:
    (root / name).unlink()
    os.mkfifo(root / name)


def _make_folder(root: Path, name: str) -> None:
    (root / name).unlink()
    (root / name).mkdir()


def _remove(root: Path, name: str) -> None:
    (root / name).unlink()


def _huge(root: Path, name: str) -> None:
    os.truncate(root / name, 3 << 30)  # sparse
    if name in TENSORS:  # a digest of it would be read to its end; without one its header is
        content = json.loads((root / stored_config.FILE).read_text())
        del content["sha256"]
        (root / stored_config.FILE).write_text(json.dumps(content))


def _pickle(root: Path, name: str) -> None:
    (root / WEIGHTS).unlink()
    for other in ("open_clip_pytorch_model.bin", "pytorch_model.bin", "tokenizer.pt"):
        (root / "clip" / other).write_bytes(pickle.dumps(Bomb()))


def _yaml(files: dict[str, bytes], random: Random) -> Damaged:
    """A YAML file of a training."""
    good = ROOT / "config" / random.choice(("pretrain.yaml", "adapt.yaml", "parts.yaml"))
    text = random.choice(YAML)
    if random.random() < 0.5:
        text = good.read_text() + text
    content = mutate(text.encode(), random) if random.random() < 0.7 else text.encode()
    return Damaged({"train.yaml": content}, yaml=True)


def signed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Make the digests right, so that what is behind them is reached."""
    import hashlib

    try:
        content = json.loads(files[stored_config.FILE])
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name in content["sha256"]}
        files[stored_config.FILE] = json.dumps(content | {"sha256": digests}).encode()
    except (ValueError, TypeError, KeyError):
        pass
    return files


def attempt(value: Damaged, scratch: Path) -> None:
    """Load an input with an audit hook that notices what a checkpoint must not do; ValueError when it is refused."""
    root = scratch / "model"
    write(value, scratch)
    _warm_up(scratch)
    seen.clear()
    armed[:] = [root]
    try:
        if value.yaml:
            settings.read(root / "train.yaml", [])
        else:
            checkpoint.load(root)
    except OSError as error:
        raise ValueError(str(error)) from error
    finally:
        armed.clear()
        if seen or (scratch / "outside" / "ran").exists():
            raise AssertionError(f"the input did {seen[:3]}")
    if value.hostile:
        raise AssertionError("the input had to be refused")


def write(value: Damaged, scratch: Path) -> None:
    """Write the folder of an input, and a secret beside it."""
    for name in ("model", "outside"):
        shutil.rmtree(scratch / name, ignore_errors=True)
        (scratch / name / "clip").mkdir(parents=True)
    shutil.rmtree(scratch / "outside" / "clip")
    (scratch / SECRET).write_text("not to be read")
    for name, content in value.files.items():
        (scratch / "model" / name).write_bytes(content)
    if value.arrange:
        value.arrange(scratch / "model")


@cache
def _warm_up(scratch: Path) -> None:
    """Load what Python and torch load lazily, and begin to watch."""
    os.chdir(scratch)
    write(Damaged(dict(good_files())), scratch / "warm")
    checkpoint.load(scratch / "warm" / "model")
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple) -> None:
    if not armed or not event.startswith(("open", *FORBIDDEN)):
        return
    if event == "open" and not (isinstance(arguments[0], (str, bytes)) and _is_foreign(os.fsdecode(arguments[0]))):
        return
    if event == "exec" and getattr(arguments[0], "co_filename", "").startswith((sys.prefix, sys.base_prefix, "<")):
        return
    seen.append(f"{event} {str(arguments[0])[:200]}")
    raise PermissionError(f"{event} is not allowed here")


def _is_foreign(path: str) -> bool:
    allowed = (armed[0], *map(Path, (sys.prefix, sys.base_prefix, "/proc", "/sys")), ROOT)
    return not any(Path(path).resolve().is_relative_to(folder.resolve()) for folder in allowed)


def keep(value: Damaged, path: Path) -> None:
    """Write the files of a failing input."""
    for name, content in value.files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (path / "arranged.txt").write_text(str(value.arrange))
