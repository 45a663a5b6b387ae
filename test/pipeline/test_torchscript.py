"""A TorchScript archive is read as numbers: its program never runs, and its pickle makes nothing but tensors."""

from __future__ import annotations

import os
import pickle
import zipfile

import clip_files
import pytest
import torch

from s4token_model.pipeline import torchscript

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of torch.jit
TENSORS = {"a.0.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(3), "scale": torch.tensor(2.5)}


@pytest.fixture
def path(tmp_path):
    clip_files.write_torchscript(TENSORS, tmp_path / "a.pt")
    return tmp_path / "a.pt"


def rewritten(path, changes: dict[str, bytes], method: int = zipfile.ZIP_STORED):
    """Replace files of an archive by the ends of their names, and store all by a method of zipfile."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, old in content.items():
            archive.writestr(name, next((new for end, new in changes.items() if name.endswith(end)), old))
    return path


def test_tensors_have_their_names_shapes_and_types(path):
    assert torchscript.is_archive(path)
    found = torchscript.read(path)
    assert found.keys() == {*TENSORS, *clip_files.SIZES}
    assert all(torch.equal(found[name].float(), tensor) for name, tensor in TENSORS.items())
    assert found["a.bias"].dtype == torch.float16 and found["vocab_size"].item() == 49408


def test_views_of_one_storage_are_read_with_their_offsets_and_strides(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    clip_files.write_torchscript({"ln_whole": whole, "ln_column": whole[:, 1], "ln_turned": whole.T}, tmp_path / "a.pt")
    found = torchscript.read(tmp_path / "a.pt")
    assert torch.equal(found["ln_column"], whole[:, 1]) and torch.equal(found["ln_turned"], whole.T)
    assert found["ln_column"].stride() == (4,)


def test_a_traced_model_is_read_as_its_state(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).eval()
    torch.jit.trace(model, torch.ones(2, 4)).save(str(tmp_path / "a.pt"))
    found = torchscript.read(tmp_path / "a.pt")
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())


def test_a_program_that_would_write_a_file_does_not_run(tmp_path):
    class Writer(torch.nn.Module):
        def __init__(self, target: str):
            super().__init__()
            self.weight, self.target = torch.ones(2), target

        @torch.jit.export
        def __getstate__(self):
            return (self.weight, self.target, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
            self.weight, self.target, self.training = state[0], state[1], state[2]
            torch.save(self.weight, self.target)

        def forward(self) -> torch.Tensor:
            return self.weight

    torch.jit.script(Writer(str(tmp_path / "ran"))).save(str(tmp_path / "a.pt"))
    with pytest.raises(AttributeError):  # its state is no table of attributes
        torchscript.read(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()
    torch.jit.load(str(tmp_path / "a.pt"))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("call", [(os.system, ("true",)), (open, ("ran", "w")), (getattr, ("", "join"))])
def test_a_pickle_that_names_anything_else_is_refused_uncalled(call, path, tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return call

    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=f"it names .*{call[0].__name__}, which no weights need"):
        torchscript.read(rewritten(path, {"/data.pkl": pickle.dumps(Evil(), 2)}))
    assert not (tmp_path / "ran").exists()


def test_changed_bytes_wrong_sizes_and_compressed_storages_are_refused(path):
    content = path.read_bytes()
    place = content.index(torch.arange(6.0).half().numpy().tobytes())
    path.write_bytes(content[:place] + b"\1" + content[place + 1 :])
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        torchscript.read(path)
    path.write_bytes(content)
    with pytest.raises(pickle.UnpicklingError, match="holds 3 bytes, not"):
        torchscript.read(rewritten(path, {"/data/0": b"abc"}))
    path.write_bytes(content)
    with pytest.raises(pickle.UnpicklingError, match="holds .* bytes, not"):
        torchscript.read(rewritten(path, {}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="data.pkl is larger than"):
        torchscript.read(rewritten(path, {"/data.pkl": b"0" * (torchscript.PICKLE_LIMIT + 1)}, zipfile.ZIP_DEFLATED))


def test_other_files_are_no_archive(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"PK\3\4")
    assert not torchscript.is_archive(tmp_path / "a.pt") and not torchscript.is_archive(tmp_path / "b.pt")
