"""A DataModule of datasets and pipelines, for those who have none of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset

from augsynth.data.sampler import loader
from augsynth.data.wrap import AugmentedDataset, wrap
from augsynth.lightning._pl import pl
from augsynth.lightning.on_device import AugmentOnDevice
from augsynth.pipeline import Pipeline

OnDevice = Pipeline | AugmentOnDevice | Sequence[AugmentOnDevice] | None


class AugmentedDataModule(pl.LightningDataModule):
    """Datasets in; training batches augmented in the workers, on the device, or both, and resumed exactly.

    train, val, test, predict: map-style datasets; the last three are loaded as they are. pipeline: of each training
    sample, in the workers; train may be wrapped already. on_device: a pipeline of whole training batches, or an
    `AugmentOnDevice`, `MixOnDevice`, or several in their order. batch_size, num_workers: of all loaders. seed: of the
    order of training samples, by default the pipeline's. collate_fn: of validation and test; of training too, if given.
    The training loader is `augsynth.loader`: after a resume at any step batches are bit-equal to those of a whole run.
    Where both Lightnings are installed, import yours before augsynth.
    Raises: TypeError for a stream, ValueError for a train that is wrapped beside a pipeline.
    """

    def __init__(
        self,
        # Of Dataset[Any] LightningCLI would make a Dataset, and not the class that the user names.
        train: Dataset,  # type: ignore[type-arg]
        val: Dataset | None = None,  # type: ignore[type-arg]
        test: Dataset | None = None,  # type: ignore[type-arg]
        predict: Dataset | None = None,  # type: ignore[type-arg]
        *,
        pipeline: Pipeline | None = None,
        on_device: OnDevice = None,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        pin_memory: bool = False,
        persistent_workers: bool = False,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self.train, self.pipeline = _wrapped(train, pipeline, seed)
        self.val, self.test, self.predict = val, test, predict
        self.on_device = _callbacks(on_device)
        self.batch_size, self.seed, self.shuffle, self.drop_last = batch_size, seed, shuffle, drop_last
        self.collate_fn = collate_fn
        self._options: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory}
        self._options["persistent_workers"] = persistent_workers and num_workers > 0
        self._hide()

    def _hide(self) -> None:
        """Let Lightning, which looks whether a loader is overridden, see none for which there is no data."""
        for name in ("val", "test", "predict"):
            if getattr(self, name) is None:
                hook = f"{name}_dataloader"
                setattr(self, hook, MethodType(getattr(pl.LightningDataModule, hook), self))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.endswith("_dataloader")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._hide()

    def setup(self, stage: str) -> None:
        """Let batches be augmented on the device."""
        if stage == "fit" and self.trainer is not None:
            for callback in self.on_device:
                callback.setup(self.trainer, self.trainer.lightning_module, stage)

    def teardown(self, stage: str) -> None:
        """Leave the model and the batches alone again."""
        self._release()

    def on_exception(self, exception: BaseException) -> None:
        """Leave the model and the batches alone again, for Lightning calls no teardown then."""
        self._release()

    def train_dataloader(self) -> DataLoader[Any]:
        """Return `augsynth.loader` of the training data."""
        options = {"shuffle": self.shuffle, "drop_last": self.drop_last, "seed": self.seed, **self._options}
        return loader(self.train, self.batch_size, collate_fn=self.collate_fn, **options)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation data as it is."""
        return self._plain("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test data as it is."""
        return self._plain("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return the data to predict as it is."""
        return self._plain("predict")

    def state_dict(self) -> dict[str, Any]:
        """Return what makes the batches, in words; where training stands, the loader's own state says."""
        on_device = [(repr(callback.pipeline), str(callback.strength)) for callback in self.on_device]
        order = {name: str(getattr(self, name)) for name in ("batch_size", "seed", "shuffle", "drop_last")}
        return {"pipeline": repr(self.pipeline), "on_device": repr(on_device), **order}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warn where the batches that follow are made otherwise than those before."""
        changed = [name for name, value in self.state_dict().items() if state_dict.get(name) != value]
        for name in changed:
            pl.utilities.rank_zero_warn(
                f"AugmentedDataModule: the checkpoint was saved with {name}={state_dict.get(name)}, now "
                f"{self.state_dict()[name]}: the batches from here on are not those of an uninterrupted run"
            )

    def _plain(self, name: str) -> DataLoader[Any]:
        dataset = getattr(self, name)
        if dataset is None:
            raise ValueError(f"AugmentedDataModule: there is no {name} data; give {name}=")
        return DataLoader(dataset, batch_size=self.batch_size, collate_fn=self.collate_fn, **self._options)

    def _release(self) -> None:
        for callback in self.on_device:
            callback.release()


def _wrapped(train: Any, pipeline: Pipeline | None, seed: int | None) -> tuple[AugmentedDataset, Pipeline]:
    if isinstance(train, IterableDataset) or not hasattr(train, "__getitem__"):
        raise TypeError(
            f"AugmentedDataModule: train is a {type(train).__name__}, which cannot be indexed; give a map-style "
            "dataset, or ag.wrap the stream in a DataModule of your own"
        )
    if isinstance(train, AugmentedDataset):
        if pipeline is not None:
            raise ValueError(
                "AugmentedDataModule: train is wrapped already; leave pipeline out, or give what ag.wrap was given"
            )
        return train, train.pipeline
    pipeline = Pipeline([], seed=seed or 0) if pipeline is None else pipeline
    return wrap(train, pipeline), pipeline


def _callbacks(on_device: OnDevice) -> list[AugmentOnDevice]:
    if on_device is None:
        return []
    if isinstance(on_device, AugmentOnDevice):
        return [on_device]
    several = list(on_device) if isinstance(on_device, (list, tuple)) else [AugmentOnDevice(on_device)]  # type: ignore[arg-type]
    for callback in several:
        if not isinstance(callback, AugmentOnDevice):
            raise TypeError(
                f"AugmentedDataModule: on_device holds a {type(callback).__name__}; give a pipeline, or a list of "
                "AugmentOnDevice and MixOnDevice"
            )
    return several
