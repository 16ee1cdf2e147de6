"""Synthetic samples made an epoch ahead: in the main process, once, for all workers and for each rank its own."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from test_synthetic import Painter, Real
from torch.utils.data import DataLoader, Sampler, Subset, get_worker_info

import augsynth as ag
from augsynth.data.pool import Pool
from augsynth.data.sampler import synthetic_of
from augsynth.errors import AugsynthError
from augsynth.lightning.callbacks import RefreshSynthetic
from augsynth.rng import KeyedIndex

REAL = [0, 1, 2, 3] * 3


class Homebody(Painter):
    """Refuses to work in a worker."""

    def generate(self, *arguments: Any, **options: Any) -> Any:
        assert get_worker_info() is None, "generation belongs into the main process"
        return super().generate(*arguments, **options)

    def checkpoint_hash(self) -> str:
        return "home"


class Far(torch.nn.Module):
    """A generator whose weights are on a device that workers cannot use."""

    num_classes, image_shape = 4, (1, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, device="meta"))

    def checkpoint_hash(self) -> str:
        return "far"

    def generate(self, *arguments: Any, **options: Any) -> Any:
        return Painter().generate(*arguments, **options)


def levels(batch: Any) -> list[int]:
    images = batch[0] if isinstance(batch, (list, tuple)) else batch
    return [int(image.max()) for image in images]


def as_tensor(image: np.ndarray, label: int) -> Any:
    return torch.from_numpy(image[None]), label


def blended(generator: Any, **options: Any) -> Any:
    return ag.blend(Real(REAL, as_tensor), generator, 0.5, gate=None, **options)


def epoch_of(loader: Any) -> dict[int, int]:
    """Return level by position, in the order of an unshuffled loader."""
    return dict(enumerate(level for batch in loader for level in levels(batch)))


def test_what_is_made_ahead_is_what_would_have_been_made_then() -> None:
    painter = Painter()
    mixed = blended(painter, seed=3)
    keys = [KeyedIndex(i, epoch=2) for i in range(len(mixed))]
    now = mixed.__getitems__(keys)
    painter.calls.clear()
    mixed.refresh(2)
    assert painter.calls == [12]
    ahead = mixed.__getitems__(keys)
    assert painter.calls == [12]
    for (one, label), (other, same) in zip(now, ahead, strict=True):
        assert torch.equal(one, other)
        assert label == same
    assert mixed[KeyedIndex(20, epoch=5)][0].max() == now[20][0].max() + 21
    assert painter.calls == [12, 1]


def test_only_what_is_missing_is_made_and_clear_forgets() -> None:
    painter = Painter()
    mixed = blended(painter)
    painter.calls.clear()
    mixed.refresh(0, rows=[0, 3, 12, 20])
    mixed.refresh(0)
    mixed.refresh(0)
    assert painter.calls == [2, 10]
    mixed.generated.clear()
    mixed.refresh(0)
    assert painter.calls == [2, 10, 12]


def test_samples_are_fresh_after_so_many_epochs() -> None:
    mixed = blended(Painter(), fresh=3)
    level = [int(mixed[KeyedIndex(15, epoch=epoch)][0].max()) for epoch in range(7)]
    assert level[:3] == [level[0]] * 3
    assert np.diff(level).tolist() == [0, 0, 7, 0, 0, 7]
    mixed.refresh(4)
    assert [int(mixed[KeyedIndex(15, epoch=epoch)][0].max()) for epoch in range(7)] == level
    made = mixed.provenance(15, epoch=5)
    assert made.epoch == 1
    for wrong in (-1, 0.5, "yes"):
        with pytest.raises(ValueError, match="must be True, False, or a number of epochs"):
            blended(Painter(), fresh=wrong)


@pytest.mark.parametrize("start", ["fork", "forkserver"])
@pytest.mark.parametrize("persistent", [False, True])
def test_workers_of_our_loader_only_read(start: str, persistent: bool) -> None:
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": persistent, "multiprocessing_context": start}
    found = ag.loader(ag.wrap(blended(Homebody()), ag.Pipeline([])), 5, **options)
    alone = ag.loader(ag.wrap(blended(Painter()), ag.Pipeline([])), 5)
    for _ in range(3):
        assert epoch_of(found) == epoch_of(alone)


def test_ranks_make_their_own_share_and_together_the_whole() -> None:
    painters = [Painter(), Painter()]
    loaders = [
        ag.loader(ag.wrap(blended(p), ag.Pipeline([])), 4, shuffle=True, num_replicas=2, rank=rank)
        for rank, p in enumerate(painters)
    ]
    for painter in painters:
        painter.calls.clear()
    batches = [list(loader) for loader in loaders]
    made = [painter.calls[0] for painter in painters]
    assert [len(painter.calls) for painter in painters] == [1, 1]
    assert sum(made) == 12
    seen = sorted(level for loader in batches for batch in loader for level in levels(batch))
    whole = ag.loader(ag.wrap(blended(Painter()), ag.Pipeline([])), 24)
    assert seen == sorted(levels(next(iter(whole))))


def test_a_resumed_epoch_makes_what_is_left() -> None:
    painter = Painter()
    loader = ag.loader(ag.wrap(blended(painter), ag.Pipeline([])), 6)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    state = loader.state_dict()
    painter = Painter()
    again = ag.loader(ag.wrap(blended(painter), ag.Pipeline([])), 6)
    again.load_state_dict(state)
    painter.calls.clear()
    assert levels(next(iter(again))) == levels(next(batches))
    assert painter.calls == [6]


class Net(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 4)
        self.seen: list[list[int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        if batch_idx == 0 or not self.seen:
            self.seen.append([])
        self.seen[-1] += levels(batch)
        loss: torch.Tensor = self.layer(batch[0].flatten(1).float() / 255).square().mean()
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.01)


def trainer(path: Path, **options: Any) -> pl.Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(
        max_epochs=3, accelerator="cpu", enable_checkpointing=False, default_root_dir=path, **quiet, **options
    )


@pytest.mark.parametrize("persistent", [False, True])
def test_the_callback_serves_any_dataloader(tmp_path: Path, persistent: bool) -> None:
    net, mixed = Net(), blended(Homebody(), seed=1)
    loader = DataLoader(mixed, 6, num_workers=2, persistent_workers=persistent, multiprocessing_context="fork")
    trainer(tmp_path, callbacks=[RefreshSynthetic()]).fit(net, loader)
    expected = [[int(mixed[KeyedIndex(i, epoch=e)][0].max()) for i in range(24)] for e in range(3)]
    assert net.seen == expected
    assert expected[0] != expected[1]


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_the_callback_makes_the_samples_of_an_epoch_that_goes_on_in_the_middle(tmp_path: Path) -> None:
    class Kept(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if (trainer.current_epoch, batch_idx) == (1, 1):
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    mixed = blended(Homebody(), seed=1)
    trainer(tmp_path, callbacks=[RefreshSynthetic(), Kept()]).fit(Net(), DataLoader(mixed, 6))
    net, mixed = Net(), blended(Homebody(), seed=1)
    loader = DataLoader(mixed, 6, num_workers=1, multiprocessing_context="fork")
    again = trainer(tmp_path, callbacks=[RefreshSynthetic()])
    again.fit(net, loader, ckpt_path=tmp_path / "middle.ckpt")
    assert again.current_epoch == 3
    expected = [int(mixed[KeyedIndex(i, epoch=2)][0].max()) for i in range(24)]
    assert net.seen[-1] == expected


def test_the_callback_serves_the_data_of_a_module_that_it_was_given(tmp_path: Path) -> None:
    mixed = blended(Homebody(), seed=1)

    class Data(pl.LightningDataModule):
        def train_dataloader(self) -> Any:
            return DataLoader(mixed, 6, num_workers=1, multiprocessing_context="fork")

    net = Net()
    trainer(tmp_path, callbacks=[RefreshSynthetic(mixed)]).fit(net, datamodule=Data())
    assert [len(seen) for seen in net.seen] == [24] * 3
    with pytest.raises(TypeError, match="no training data set is one of blend"):
        RefreshSynthetic(Real(REAL))


def test_the_callback_says_where_there_is_nothing_to_refresh(tmp_path: Path) -> None:
    data = Real(REAL, as_tensor)
    with pytest.raises(TypeError, match="no training data set is one of blend, balance or SyntheticDataset: Real"):
        trainer(tmp_path, callbacks=[RefreshSynthetic()]).fit(Net(), DataLoader(data, 6))


def test_it_is_found_in_subsets_and_under_a_pipeline() -> None:
    mixed = blended(Painter())
    found, rows = synthetic_of(ag.wrap(Subset(mixed, [1, 13, 14, 20]), ag.Pipeline([])))
    assert found is mixed
    assert rows is not None
    assert rows.tolist() == [1, 13, 14, 20]
    rows = synthetic_of(Subset(Subset(mixed, [15, 16, 1]), [2, 0, 1]), np.array([0, 2]))[1]
    assert rows is not None
    assert rows.tolist() == [1, 16]
    assert synthetic_of(Real(REAL)) == (None, None)


def test_a_generator_on_another_device_is_named_where_a_worker_would_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augsynth.data.synthetic._PATIENCE", 0.05)
    mixed = blended(Far())
    loader = DataLoader(mixed, 6, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(AugsynthError, match=r"not made the samples that a worker needs.*RefreshSynthetic\(\)"):
        list(loader)
    mixed.refresh(0)
    assert len(epoch_of(loader)) == 24


def test_a_worker_waits_for_samples_that_it_cannot_make() -> None:
    mixed = blended(Far())
    batches = iter(DataLoader(mixed, 6, num_workers=1, multiprocessing_context="fork"))
    mixed.refresh(3)
    expected = [int(mixed[KeyedIndex(i, epoch=3)][0].max()) for i in range(24)]
    assert [level for batch in batches for level in levels(batch)] == expected


def test_nobody_waits_for_an_epoch_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, rows = Pool("memory", "", 4, (1, 2, 2), torch.uint8), np.arange(4)
    pool.put(rows, torch.zeros(4, 1, 2, 2, dtype=torch.uint8), epoch=2)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("it waits"))
    assert pool.wait(rows, 2, 60.0)
    assert not pool.wait(rows, 1, 60.0)
    with pytest.raises(pytest.fail.Exception, match="it waits"):
        pool.wait(rows, 3, 60.0)


def test_an_epoch_that_is_broken_off_does_not_hold_up_the_next() -> None:
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "multiprocessing_context": "fork"}
    found = ag.loader(ag.wrap(blended(Painter()), ag.Pipeline([])), 3, **options)
    for epoch in range(3):
        found.set_epoch(epoch)
        next(iter(found))
    alone = ag.loader(ag.wrap(blended(Painter()), ag.Pipeline([])), 3)
    for loader in (found, alone):
        loader.set_epoch(5)
    assert epoch_of(found) == epoch_of(alone)


def test_a_sampler_of_ones_own_is_asked_once_an_epoch() -> None:
    class Counting(Sampler[int]):
        asked = 0

        def __iter__(self) -> Iterator[int]:
            self.asked += 1
            return iter([13, 2, 20])

        def __len__(self) -> int:
            return 3

    order = Counting()
    loader = ag.loader(ag.wrap(blended(Painter()), ag.Pipeline([])), 3, sampler=order)
    for _ in range(3):
        list(loader)
    assert order.asked == 3


def test_other_weights_make_other_samples_and_a_copy_shares_none() -> None:
    class Trained(Homebody):
        state = "first"

        def checkpoint_hash(self) -> str:
            return self.state

    painter = Trained()
    mixed = blended(painter)
    mixed.refresh(0)
    painter.calls.clear()
    painter.state = "second"
    mixed.refresh(0)
    assert painter.calls == [12]
    copied = copy.deepcopy(mixed)
    copied.clear()
    mixed.refresh(0)
    assert painter.calls == [12]


def test_another_seed_makes_other_samples() -> None:
    painter = Painter()
    mixed = blended(painter)
    mixed.refresh(0)
    mixed.generated.seed = 9
    painter.calls.clear()
    mixed.refresh(0)
    assert painter.calls == [12]


def test_labels_are_integers() -> None:
    with pytest.raises(TypeError, match=r"labels must be integers \(N,\), got torch.float"):
        ag.SyntheticDataset(Painter(), [0.7, 1.2])  # type: ignore[list-item]
    assert len(ag.SyntheticDataset(Painter(), np.int64(3))) == 12  # type: ignore[arg-type]


def test_a_folder_keeps_a_fixed_set_for_the_next_run(tmp_path: Path) -> None:
    first = blended(Homebody(), fresh=False, seed=4, cache=tmp_path / "kept")
    first.refresh(7)
    painter = Homebody()
    again = blended(painter, fresh=False, seed=4, cache=tmp_path / "kept")
    painter.calls.clear()
    again.refresh(0)
    assert painter.calls == []
    assert all(torch.equal(again[i][0], first[i][0]) for i in range(24))
    other = blended(painter, fresh=False, seed=5, cache=tmp_path / "kept")
    painter.calls.clear()
    other.refresh(0)
    assert painter.calls == [12]
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_folder_needs_a_generator_that_can_be_told_from_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"this Painter has no checkpoint_hash\(\)"):
        blended(Painter(), cache=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(AugsynthError, match="cannot keep generated samples in"):
        blended(Homebody(), cache=tmp_path / "file").refresh(0)


def test_a_copy_and_a_child_see_what_is_written_later() -> None:
    pool = Pool("memory", "", 4, (1, 2, 2), torch.uint8)
    copied, rows = pickle.loads(pickle.dumps(pool)), np.array([1, 3])
    pool.put(rows, torch.full((2, 1, 2, 2), 9, dtype=torch.uint8), epoch=6)
    images, there = copied.get(np.arange(4), 6)
    assert there.tolist() == [False, True, False, True]
    assert images[1].tolist() == [[[9, 9], [9, 9]]]
    assert copied.get(rows, 5)[1].tolist() == [False, False]
    assert copied.get(np.arange(4), None)[1].tolist() == [False, True, False, True]
    handle = pool.paths["images"]
    del pool
    assert not handle.exists()


def test_a_copy_that_outlives_its_original_has_memory_of_its_own_and_touches_no_other_file(tmp_path: Path) -> None:
    pool = Pool("memory", "", 4, (1, 2, 2), torch.uint8)
    copied, handle = pickle.loads(pickle.dumps(pool)), int(pool.paths["images"].name)
    del pool
    path = tmp_path / "precious"
    path.write_bytes(b"abc")
    with path.open("r+b") as stream:
        os.dup2(stream.fileno(), handle)
        copied.put(np.array([2]), torch.full((1, 1, 2, 2), 9, dtype=torch.uint8), epoch=0)
        if stream.fileno() != handle:
            os.close(handle)
    assert path.read_bytes() == b"abc"
    assert copied.get(np.arange(4), 0)[1].tolist() == [False, False, True, False]


def test_a_row_that_is_written_while_it_is_read_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, row = Pool("memory", "", 1, (1, 2, 2), torch.uint8), np.array([0])
    pool.put(row, torch.zeros(1, 1, 2, 2, dtype=torch.uint8), epoch=1)
    stored, epochs = pool._opened()

    class Slow:
        def __getitem__(self, rows: Any) -> Any:
            epochs[rows] = 0
            return stored[rows]

    monkeypatch.setattr(pool, "_maps", (Slow(), epochs))
    assert not pool.get(row, 1)[1].any()


def test_float_images_are_kept_as_floats() -> None:
    real = Real(REAL, lambda image, label: (torch.from_numpy(image[None]).float() / 255, label))
    mixed = ag.blend(real, Painter(), 0.5, gate=None)
    now = mixed[KeyedIndex(14, epoch=1)][0]
    mixed.refresh(1)
    assert torch.equal(mixed[KeyedIndex(14, epoch=1)][0], now)
    assert (now.max() * 255).frac() > 0.3
