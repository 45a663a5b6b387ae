"""The training loop: an interrupted run resumes exactly, the learning rate, one optimizer step, a stop on NaN."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch

from s4token_model.training.loop import (
    Progress,
    cosine_rate,
    loader_processes,
    optimizer_step,
    prefetch,
    stop_on_nan,
)


def line_loss(model, x):
    return (model(x) - x.sum(dim=1, keepdim=True)).square().mean()


def run_loop(path, steps: int, stop_after: int | None = None) -> list[float]:
    """Fit a line by AdamW with batches drawn by step, as the training loops do."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    progress, losses = Progress(path, model, optimizer), []
    for step in range(progress.step, steps):
        cosine_rate(optimizer, 0.1, step, steps)
        x = torch.from_numpy(np.random.default_rng([3, step]).normal(size=(8, 3)).astype(np.float32))
        values = optimizer_step(optimizer, lambda x: {"loss": line_loss(model, x)}, [x], path.parent, step)
        losses.append(float(values["loss"]))
        progress.after_step(step + 1, values, 4, steps)
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


def test_a_loss_may_be_there_in_some_steps_only(tmp_path):
    model = torch.nn.Linear(1, 1)
    progress = Progress(tmp_path / "state.pt", model, torch.optim.SGD(model.parameters(), 0.1))
    for step in range(1, 7):
        # The steps 2, 4 and 6 have it; then it must not be taken for a loss of another step
        values = {"a": torch.tensor(float(step))} | ({"b": torch.tensor(10.0 * step)} if step % 2 == 0 else {})
        logged = progress.after_step(step, values, 6, 6)
    assert logged == {"a": 3.5, "b": 40.0}
    bad = {"a": torch.tensor(1.0), "b": torch.tensor(float("nan"))}
    progress.after_step(7, {"a": torch.tensor(1.0)}, 9, 0)
    progress.after_step(8, bad, 9, 0)
    with pytest.raises(ValueError, match="loss b is not finite"):
        progress.after_step(9, {"a": torch.tensor(1.0)}, 9, 0, batch=lambda step: {"drawn": step})
    assert torch.load(tmp_path / "nan_batch.pt") == {"step": 7, "batch": {"drawn": 7}}


def test_a_loss_that_was_not_read_at_its_step_stops_the_run_when_it_is_logged(tmp_path):
    """As on a GPU: nothing is saved then, and the batch of the bad step is drawn again."""
    model = torch.nn.Linear(1, 1)
    progress = Progress(tmp_path / "state.pt", model, torch.optim.SGD(model.parameters(), 0.1))
    losses = [1.0, 2.0, 3.0, float("inf"), float("nan"), 1.0]
    logged = []
    with pytest.raises(ValueError, match=r"loss a is not finite.*nan_batch\.pt"):
        for step, loss in enumerate(losses):
            values = {"a": torch.tensor(loss), "b": torch.tensor(1.0)}
            logged.append(progress.after_step(step + 1, values, 2, 6, batch=lambda step: {"drawn": step}))
    assert logged == [{}, {"a": 1.5, "b": 1.0}, {}]
    assert torch.load(tmp_path / "state.pt")["step"] == 2
    assert torch.load(tmp_path / "nan_batch.pt") == {"step": 3, "batch": {"drawn": 3}}


def test_the_learning_rate_rises_then_falls_to_nothing():
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    rates = [cosine_rate(optimizer, 2.0, step, 100) for step in range(101)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert all(a >= b for a, b in zip(rates[4:], rates[5:], strict=False)) and rates[100] == pytest.approx(0, abs=1e-9)
    assert optimizer.param_groups[0]["lr"] == rates[-1]


def test_the_learning_rate_falls_to_the_given_fraction():
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


def test_an_optimizer_step_is_the_gradient_of_the_mean_loss_clipped_to_norm_one(tmp_path):
    model = torch.nn.Linear(3, 1)
    before = [p.detach().clone() for p in model.parameters()]
    x = torch.randn(8, 3) * 5
    gradients = torch.autograd.grad(2 * line_loss(model, x), list(model.parameters()))
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    assert norm > 1
    optimizer, contexts = torch.optim.SGD(model.parameters(), 0.1), []

    def no_sync():
        contexts.append(1)
        return torch.enable_grad()

    values = optimizer_step(
        optimizer,
        lambda part: {"a": line_loss(model, part), "b": line_loss(model, part)},
        x.split(2),
        tmp_path,
        0,
        no_sync,
    )
    assert values["a"] == values["b"] == pytest.approx(float(line_loss_of(before, x)), rel=1e-5) and len(contexts) == 3
    for after, start, gradient in zip(model.parameters(), before, gradients, strict=True):
        assert torch.allclose(after, start - 0.1 * gradient / norm, atol=1e-5)
    with pytest.raises(ValueError, match="loss a is not finite"):
        optimizer_step(optimizer, lambda part: {"a": line_loss(model, part) * torch.nan}, [x], tmp_path, 1)


def line_loss_of(parameters, x):
    weight, bias = parameters
    return (x @ weight.T + bias - x.sum(dim=1, keepdim=True)).square().mean()


class Draw:
    """A batch for a step, or an error; as a class, so that any process finds it."""

    def __call__(self, step: int):
        if step == 7:
            raise ValueError("all 3 samples are damaged")
        return [torch.full((2,), step)], {"process": os.getpid()}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_from_a_thread_or_from_processes(workers):
    before = torch.get_rng_state()
    found = list(prefetch(Draw(), range(2, 7), workers))
    assert torch.equal(before, torch.get_rng_state()), "drawing ahead must not change the numbers of the run"
    assert [step for step, _, _ in found] == [2, 3, 4, 5, 6] and all(waited >= 0 for _, _, waited in found)
    assert [batch[0].tolist() for _, (batch, _), _ in found] == [[step] * 2 for step in range(2, 7)]
    processes = {process["process"] for _, (_, process), _ in found}
    assert len(processes) == max(1, workers) and (os.getpid() in processes) == (workers == 0)
    with pytest.raises(ValueError, match="^all 3 samples are damaged$"):
        list(prefetch(Draw(), range(5, 9), workers))


def test_a_gpu_gets_its_part_of_the_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert loader_processes(0, "cpu") == 0 and loader_processes(3, "cpu") == loader_processes(3, "cuda:1") == 3
    assert loader_processes(0, "cuda") == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert loader_processes(0, "cuda") == 7
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert loader_processes(0, "cuda") == 1


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"PK but no archive")
    model = torch.nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"state.pt is damaged \(.*\); delete it to begin anew"):
        Progress(tmp_path / "state.pt", model, torch.optim.SGD(model.parameters(), 0.1))
