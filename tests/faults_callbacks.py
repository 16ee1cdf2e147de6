"""One-line faults in the callbacks and the DataModule for Lightning."""

from __future__ import annotations

from faults import Mutant


def _fault(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"{name} (callbacks)", f"lightning/{file}", old, new, (test,))


MUTANTS = [
    _fault(
        "progress forgets the place in the epoch",
        "schedule.py",
        "share = min(before / batches, 1.0) if 0 < batches < math.inf else 0.0",
        "share = 0.0",
        "test_schedule.py::test_every_batch_is_augmented_by_the_strength_of_its_progress",
    ),
    _fault(
        "progress by steps of all optimizers",
        "schedule.py",
        "share = min(before / batches, 1.0) if 0 < batches < math.inf else 0.0",
        "share = min(trainer.global_step / batches, 1.0) if 0 < batches < math.inf else 0.0",
        "test_schedule.py::test_progress_counts_what_ends_the_training_first",
    ),
    _fault(
        "a batch of another precision than the Trainer's",
        "on_device.py",
        "return trainer.precision_plugin.convert_input(self._each(batch, trainer))",
        "return self._each(batch, trainer)",
        "test_schedule.py::test_other_precisions_and_accumulated_gradients",
    ),
    _fault(
        "normalized images clamped in a mix",
        "mix_on_device.py",
        'replace(self.pipeline, engine="torch", clamp=False)',
        'replace(self.pipeline, engine="torch", value_range=(-9.0, 2.0))',
        "test_mix_on_device.py::test_normalized_images_are_mixed_without_a_clamp",
    ),
    _fault(
        "a picture per batch while gradients accumulate",
        "grid.py",
        "return step % self.every_n_steps == 0 and step != self._last",
        "return step % self.every_n_steps == 0 and batch_idx != self._last",
        "test_sample_grid.py::test_so_many_steps_count_a_step_once",
    ),
    _fault(
        "a checkpoint taken for waiting",
        "throughput.py",
        'checkpoint: Any) -> None:\n        """Forget when the wait began: this is none."""\n        self._began',
        'checkpoint: Any) -> None:\n        """Forget when the wait began: this is none."""\n        self._lost',
        "test_throughput.py::test_validation_and_checkpoints_are_no_waiting",
    ),
    _fault(
        "the device waited for in each step",
        "throughput.py",
        "mark = self._timeline.mark()\n        if self._open is not None:",
        "self._timeline.wait_for(mark := self._timeline.mark())\n        if self._open is not None:",
        "test_throughput.py::test_a_device_that_lags_behind_is_waited_for_only_once_at_the_end",
    ),
    _fault(
        "an overflow that takes energy back",
        "meters.py",
        "now - self.last if now >= self.last else now - self.last + self.wrap + 1",
        "now - self.last",
        "test_energy.py::test_packages_and_memory_count_once_and_an_overflow_is_none",
    ),
    _fault(
        "cores counted beside their package",
        "meters.py",
        'if what.startswith("package") or what == "dram":',
        "if True:",
        "test_energy.py::test_packages_and_memory_count_once_and_an_overflow_is_none",
    ),
    _fault(
        "a checkpoint with the joules of the last epoch",
        "energy.py",
        "            self._sum(self._trainer)",
        "            pass",
        "test_energy.py::test_the_sums_go_on_after_a_resume",
    ),
    _fault(
        "a bad start taken for a collapse",
        "quality.py",
        "return self._was_good and self._below >= self.patience",
        "return self._below >= self.patience",
        "test_quality_monitor.py::test_a_collapse_stops_the_training_but_a_bad_start_does_not",
    ),
    _fault(
        "the order of samples without the seed of the DataModule",
        "data.py",
        "collate_fn=self.collate_fn, **options)",
        'collate_fn=self.collate_fn, **{**options, "seed": int(self.trainer.current_epoch)})',
        "test_augmented_datamodule.py::test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_bit_for_bit",
    ),
    _fault(
        "several loaders under the same draws",
        "on_device.py",
        "self._calls = self._calls + 1 if self._batch == (epoch, number) else 0",
        "self._calls = 0",
        "test_several_loaders.py::test_the_batch_of_each_loader_is_augmented_with_draws_of_its_own",
    ),
    _fault(
        "only the first of several loaders",
        "on_device.py",
        "for name in names:",
        "for name in names[:1]:",
        "test_several_loaders.py::test_the_batch_of_each_loader_is_augmented_with_draws_of_its_own",
    ),
    _fault(
        "an energy counter read in every step for nothing",
        "energy.py",
        "if meter.overflows:",
        "if True:",
        "test_energy.py::test_only_counters_that_overflow_are_read_in_every_step",
    ),
]
