"""Training: a killed run goes on as if it had not been, NaN stops it, and the whole recipe runs end to end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import ClipConfig, Config, MiniConfig
from s4token_model.pipeline import clip
from s4token_model.procedural.classes import INDOOR, PROCEDURAL, STREET
from s4token_model.training import token_samples
from s4token_model.training.loop import Progress, cosine_rate, stop_on_nan
from s4token_model.training.token_samples import Samples

mini_tokenizer = pytest.importorskip("s4token_model.training.mini_tokenizer", reason="procedural scenes missing")
mini_clip = pytest.importorskip("s4token_model.training.mini_clip")


def run_loop(path, steps: int, stop_after: int | None = None) -> list[float]:
    """Fit a line by AdamW with batches drawn by step, as the training loops do."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    progress, losses = Progress(path, model, optimizer), []
    for step in range(progress.step, steps):
        cosine_rate(optimizer, 0.1, step, steps)
        x = torch.from_numpy(np.random.default_rng([3, step]).normal(size=(8, 3)).astype(np.float32))
        loss = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        progress.after_step(step + 1, {"loss": loss.item()}, 4, steps)
        if stop_after == step + 1:
            break
    return losses


def test_a_killed_run_goes_on_from_its_last_saved_step(tmp_path):
    whole = run_loop(tmp_path / "a" / "state.pt", 20)
    first = run_loop(tmp_path / "b" / "state.pt", 20, stop_after=10)  # saved at 8: two steps are done again
    rest = run_loop(tmp_path / "b" / "state.pt", 20)
    assert first == whole[:10] and rest == whole[8:]
    assert run_loop(tmp_path / "b" / "state.pt", 20) == []
    assert not list(tmp_path.glob("*/*.partial"))


def test_the_log_holds_means_over_the_steps_that_gave_a_value(tmp_path):
    model = torch.nn.Linear(1, 1)
    progress = Progress(tmp_path / "state.pt", model, torch.optim.SGD(model.parameters(), 0.1))
    for step in range(1, 6):
        progress.after_step(step, {"loss": float(step)} | ({"miou": 0.5} if step == 4 else {}), 4, 5)
    lines = [json.loads(line) for line in (tmp_path / "state.jsonl").read_text().splitlines()]
    assert lines == [{"step": 4, "loss": 2.5, "miou": 0.5}, {"step": 5, "loss": 5.0}]


def test_the_learning_rate_rises_then_falls_to_nothing():
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    rates = [cosine_rate(optimizer, 2.0, step, 100) for step in range(101)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert all(a >= b for a, b in zip(rates[4:], rates[5:], strict=False)) and rates[100] == pytest.approx(0, abs=1e-9)
    assert optimizer.param_groups[0]["lr"] == rates[-1]


def test_the_learning_rate_falls_to_the_share_asked_for():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    whole, part = ([cosine_rate(optimizer, 2.0, step, 100, last) for step in range(101)] for last in (0.0, 0.3))
    assert part[-1] == pytest.approx(0.6) and max(part) == pytest.approx(max(whole))
    assert all(b == pytest.approx(0.6 + 0.7 * a) for a, b in zip(whole[5:], part[5:], strict=True))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(tmp_path):
    fine = {"a": torch.tensor(1.0)}
    stop_on_nan(fine, tmp_path, {})
    assert not (tmp_path / "nan_batch.pt").exists()
    with pytest.raises(ValueError, match="loss b is not finite.*nan_batch.pt"):
        stop_on_nan(fine | {"b": torch.tensor(float("nan"))}, tmp_path, {"step": 5, "x": torch.ones(3)})
    assert torch.load(tmp_path / "nan_batch.pt")["step"] == 5


def fake_samples(count: int, dim: int) -> Samples:
    """Samples of random numbers in the layout of real ones."""
    samples = Samples([], Path())
    for seed in range(count):
        rng = np.random.default_rng(seed)
        samples.items.append(
            {
                "patch": rng.normal(size=(12, 8, 3)).astype(np.float16),
                "patch_count": rng.integers(1, 9, 12).astype(np.uint8),
                "context": rng.normal(size=(12, 10, 5)).astype(np.float16),
                "context_count": rng.integers(1, 11, 12).astype(np.uint8),
                "shape": rng.normal(size=(12, 24)).astype(np.float32),
                "position": rng.normal(size=(12, 3)).astype(np.float32),
                "token_superpoint": rng.integers(0, 4, 12).astype(np.int32),
                "point": rng.normal(size=(40, 3)).astype(np.float32),
                "point_label": rng.integers(0, 6, 40).astype(np.int16),
                "point_superpoint": rng.integers(0, 5, 40).astype(np.int32),
                "target_superpoint": np.array([0, 2, 3], np.int32),
                "target_feature": rng.normal(size=(3, dim)).astype(np.float16),
                "target_whole": rng.normal(size=dim).astype(np.float16),
            }
        )
    return samples


MINI = configs.replace(
    MiniConfig(),
    {"steps": 4, "batch": 2, "tokens": 8, "patch_points": 8, "context_points": 8, "save_every": 2, "precision": "fp32"},
)
PIPELINE = configs.replace(Config(), {"tokenizer.width": 8, "sampling.tokens": 12})


@pytest.fixture(scope="module")
def frozen(tiny_model):
    return clip.load(ClipConfig(name=str(tiny_model / "clip"), pretrained=""))


def test_blurring_disturbs_but_keeps_padding_and_place():
    sample = fake_samples(1, 32).items[0]
    drawn = token_samples.sample_tokens(sample, MINI, np.random.default_rng(0), 12, True)
    once, again = (token_samples.jitter(drawn, np.random.default_rng(4), 1.0) for _ in range(2))
    for name in ("patch", "context", "shape"):
        assert once[name].dtype == np.float32 and np.array_equal(once[name], again[name])
        assert not np.array_equal(once[name], drawn[name])
    for points, mask in (("patch", "mask"), ("context", "context_mask")):
        assert (once[points][~drawn[mask]] == drawn[points][~drawn[mask]]).all()
        assert np.array_equal(once[points][..., 3:], drawn[points][..., 3:])
    for name in drawn.keys() - {"patch", "context", "shape"}:
        assert once[name] is drawn[name]
    same = token_samples.jitter(drawn, np.random.default_rng(4), 0.0)
    np.testing.assert_allclose(same["shape"], drawn["shape"], atol=1e-5)
    np.testing.assert_allclose(same["patch"], drawn["patch"], atol=1e-6)


def fit(frozen, run):
    return mini_tokenizer.train(fake_samples(3, 32), fake_samples(2, 32), frozen, PIPELINE, MINI, run).state_dict()


def test_the_tokenizer_resumes_to_the_same_weights_and_leaves_clip_alone(frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(mini_tokenizer, "VALIDATION_BATCHES", 1)
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    whole = fit(frozen, tmp_path / "a")
    tokens_at = mini_tokenizer.tokens_at

    def killed(step, *rest):
        if step == 3:
            raise KeyboardInterrupt
        return tokens_at(step, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mini_tokenizer, "tokens_at", killed)
        fit(frozen, tmp_path / "b")
    again = fit(frozen, tmp_path / "b")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert all(torch.equal(before[name], tensor) for name, tensor in frozen.state_dict().items())


def test_every_loss_reaches_every_part_of_the_tokenizer(frozen):
    from s4token_model.pipeline.tokenizer import Tokenizer

    tokenizer = Tokenizer(PIPELINE.tokenizer, frozen.width)
    batch = fake_samples(3, 32).draw(MINI, np.random.default_rng(0), 12)
    text = torch.nn.functional.normalize(torch.randn(6, 32), dim=-1)
    asked = mini_tokenizer.Asked(torch.arange(6), torch.arange(6))
    losses = mini_tokenizer.losses_of(tokenizer, frozen, batch, text, torch.ones(6), asked, PIPELINE, MINI)
    assert set(losses) == {"local", "global", "text"}
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, list(tokenizer.parameters()), retain_graph=True)
        assert all(torch.isfinite(g).all() for g in gradients), name
        assert sum(bool(g.any()) for g in gradients) == len(gradients), name


def test_pictures_of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(mini_clip, "load_sample", lambda path: path)
    monkeypatch.setattr(mini_clip, "_batch", lambda pool, mini, rng: (sorted(pool), rng.random()))
    monkeypatch.setattr(mini_clip, "CACHE_SCENES", 5)
    monkeypatch.setattr(mini_clip, "CACHE_STEPS", 6)
    paths = [tmp_path / str(k) for k in range(40)]
    whole = mini_clip._batches(paths, MINI, 0)
    expected = [next(whole) for _ in range(15)]
    assert expected[0][0] != expected[6][0]
    for start in (3, 6, 8):
        resumed = mini_clip._batches(paths, MINI, start)
        assert [next(resumed) for _ in range(15 - start)] == expected[start:]


class InProcess:
    """Stands in for a pool of processes."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def imap_unordered(self, function, jobs, _):
        return map(function, jobs)


def test_rooms_with_rare_classes_are_drawn_more_often():
    chair, sink, lamp = (np.full(64, PROCEDURAL.index(name), np.int16) for name in ("chair", "sink", "lamp"))
    labels = [chair] * 6 + [sink] * 2
    assert np.allclose(token_samples.scene_shares(labels, 0.0), 1 / 8, rtol=0.2)
    alike = token_samples.scene_shares(labels, 1.0)
    assert alike.sum() == pytest.approx(1) and alike[6:].sum() == pytest.approx(0.5, abs=0.05)
    both = token_samples.scene_shares([*labels, np.r_[chair, sink], np.r_[chair, sink[:3]], lamp, chair[:0] - 1], 1.0)
    assert both[8] == max(both) and both[9] == pytest.approx(both[0])  # three points of a sink are no sink
    assert 0 < both[10] == both[11] < both[0] / 2
    assert np.allclose(token_samples.scene_shares([lamp, lamp], 1.0), 0.5)


def test_drawing_follows_the_shares_in_training_alone():
    samples = fake_samples(4, 32)
    for item, name in zip(samples.items, ("chair", "chair", "chair", "sink"), strict=True):
        item["point_label"] = np.full_like(item["point_label"], PROCEDURAL.index(name))
    mini, sink = configs.replace(MINI, {"batch": 60}), PROCEDURAL.index("sink")
    for balance, train, low, high in ((1.0, True, 0.3, 0.7), (0.0, True, 0.1, 0.45), (1.0, False, 0.1, 0.45)):
        how = configs.replace(mini, {"scene_balance": balance})
        label = samples.draw(how, np.random.default_rng(0), 12, train).label
        assert low < float((label[:, 0] == sink).float().mean()) < high


def test_the_recipe_end_to_end(tmp_path, monkeypatch):
    mini = pytest.importorskip("s4token_model.training.train_mini", reason="procedural scenes missing")
    from s4token_model.segmenter import Segmenter

    monkeypatch.setattr(mini, "HELD_OUT_SCENES", 1)
    monkeypatch.setattr(mini_tokenizer, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(mini.procedural_samples, "get_context", lambda _: SimpleNamespace(Pool=InProcess))
    monkeypatch.setattr(mini.procedural_samples, "KIND_SHARES", (0.0, 0.0, 0.0, 1.0))  # objects: quick to scan
    small = {"embed_dim": 16, "vision_cfg": mini_clip.ARCHITECTURE["vision_cfg"] | {"layers": 1, "width": 64}}
    small["text_cfg"] = mini_clip.ARCHITECTURE["text_cfg"] | {"layers": 1, "width": 16, "heads": 2}
    monkeypatch.setattr(mini_clip, "ARCHITECTURE", small)
    sizes = "scenes=2 clip_scenes=2 views=2 view_pixels=64 points=64 text_steps=2 clip_steps=2 clip_images=6 steps=2"
    arguments = [*sizes.split(), "batch=2", "tokens=16", "save_every=1", "tokenizer.width=8", "sampling.tokens=32"]
    arguments += [f"run={tmp_path / 'run'}", f"out={tmp_path / 'out'}"]
    mini.main(arguments)
    provenance = json.loads((tmp_path / "out" / "config.json").read_text())["provenance"]
    assert len(provenance["clip_sha256"]) == 64 and provenance["training"]["steps"] == 2
    xyz = np.random.default_rng(0).random((800, 3))
    result = Segmenter.load(tmp_path / "out").segment(xyz)
    assert (result.labels < 20).all()
    before = (tmp_path / "out" / "tokenizer.safetensors").read_bytes()
    mini.main(arguments)  # everything is there: nothing is trained again
    assert (tmp_path / "out" / "tokenizer.safetensors").read_bytes() == before
    with pytest.raises(ValueError, match="begun with other settings"):
        mini.main([*arguments, "tokenizer.width=16"])
    further = [f"start={tmp_path / 'out'}", "rate=1e-7", f"run={tmp_path / 'further'}", f"out={tmp_path / 'third'}"]
    mini.main([*arguments, *further])  # at this rate it hardly leaves where it starts
    pairs = [checkpoint.load(tmp_path / name)[0].state_dict() for name in ("out", "third")]
    assert all(torch.allclose(tensor, pairs[1][name], atol=1e-5) for name, tensor in pairs[0].items())
    found = json.loads((tmp_path / "third" / "config.json").read_text())["provenance"]
    assert found["clip_sha256"] == provenance["clip_sha256"]
    assert found["start_sha256"] == checkpoint.digest(tmp_path / "out" / "tokenizer.safetensors")
    with pytest.raises(ValueError, match=r"tokenizer\.width"):
        mini.main([*arguments, *further[:2], "tokenizer.width=16", f"run={tmp_path / 'fourth'}"])


def test_the_text_loss_of_a_step_is_over_the_words_asked_for(frozen):
    from s4token_model.pipeline.tokenizer import Tokenizer
    from s4token_model.training.text_target import text_loss

    tokenizer = Tokenizer(PIPELINE.tokenizer, frozen.width)
    batch = fake_samples(3, 32).draw(MINI, np.random.default_rng(0), 12)
    text = torch.nn.functional.normalize(torch.randn(6, 32), dim=-1)
    asked = mini_tokenizer.Asked(torch.tensor([0, 2, 3, 5]), torch.tensor([0, -1, 1, 2, -1, 3]))
    given = mini_tokenizer.losses_of(tokenizer, frozen, batch, text, torch.ones(6), asked, PIPELINE, MINI)
    features, _ = frozen.encode_tokens(tokenizer(batch.inputs))
    points = batch.weights @ torch.nn.functional.normalize(features, dim=-1)
    keep = (batch.weights.sum(-1) > 0) & (asked.row[batch.label] >= 0)
    moved = asked.row[batch.label[keep]]
    expected = text_loss(points[keep], text[asked.words], moved, torch.ones(4), PIPELINE.vocabulary.temperature)
    assert torch.isclose(given["text"], MINI.text_weight * expected)


def test_with_streets_some_steps_ask_for_their_words():
    classes = mini_tokenizer.classes_of(configs.replace(MINI, {"street_share": 0.5}))
    assert mini_tokenizer.classes_of(configs.replace(MINI, {"street_share": 0.0})) == INDOOR and classes == PROCEDURAL
    asked = mini_tokenizer.draw_classes(np.random.default_rng(0), classes, True)
    words = [classes[k] for k in asked.words]
    assert words == ["person", *STREET] and len(asked.row) == len(classes)
    assert [int(asked.row[classes.index(name)]) for name in words] == list(range(len(words)))
    assert int((asked.row >= 0).sum()) == len(words)


def test_steps_outdoors_draw_streets_alone():
    samples, mini = fake_samples(6, 32), configs.replace(MINI, {"street_share": 0.5, "street_steps": 0.25})
    assert not any(mini_tokenizer.is_outdoors(step, samples, mini) for step in range(50))  # it holds no street
    streets = fake_samples(6, 32).items
    for item in streets:
        item["point_label"] = item["point_label"] + np.int16(len(INDOOR))
    assert [token_samples.is_outdoors(item) for item in samples.items + streets] == [False] * 6 + [True] * 6
    samples.streets = streets
    assert 0.15 < np.mean([mini_tokenizer.is_outdoors(step, samples, mini) for step in range(400)]) < 0.35
    for outdoors in (False, True):
        batch = samples.draw(mini, np.random.default_rng(0), 12, outdoors=outdoors)
        assert bool((batch.label >= len(INDOOR)).all()) == bool((batch.label >= len(INDOOR)).any()) == outdoors


def test_words_of_a_step_are_everyday_words_half_of_the_time():
    drawn = [mini_tokenizer.draw_classes(np.random.default_rng(k)) for k in range(400)]
    last = len(INDOOR)
    everyday = [bool((d.words == last).any()) for d in drawn]
    assert 0.4 < np.mean(everyday) < 0.6 and 0.15 < np.mean([len(d.words) == last for d in drawn]) < 0.35
    for asked, rooms in zip(drawn, everyday, strict=True):
        named = asked.row >= 0
        words = asked.words[asked.row[named]]
        other = words == last
        assert torch.equal(words[~other], named.nonzero().flatten()[~other]) and bool(other.any()) == rooms
