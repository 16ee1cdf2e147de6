"""One-line faults in what is done with generated samples: made ahead, judged, exported."""

from __future__ import annotations

from faults import Mutant


def _fault(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"{name} (generated)", file, old, new, (test,))


MUTANTS = [
    _fault(
        "a sample of another epoch taken for this one",
        "data/pool.py",
        "before != _NONE if epoch is None else before == epoch",
        "before != _NONE",
        "test_made_ahead.py::test_what_is_made_ahead_is_what_would_have_been_made_then",
    ),
    _fault(
        "each rank makes everything",
        "data/sampler.py",
        "synthetic.refresh(self._keys.epoch, rows)",
        "synthetic.refresh(self._keys.epoch)",
        "test_made_ahead.py::test_ranks_make_their_own_share_and_together_the_whole",
    ),
    _fault(
        "an epoch that is over is waited for",
        "data/pool.py",
        "over or time.monotonic() > end",
        "time.monotonic() > end",
        "test_made_ahead.py::test_nobody_waits_for_an_epoch_that_is_over",
    ),
    _fault(
        "the same noise at every try",
        "generators/filtering.py",
        "target[open_rows], _seed(seed, number), **",
        "target[open_rows], seed, **",
        "test_filtering.py::test_every_sample_is_of_its_label_and_those_that_pass_at_once_stay",
    ),
    _fault(
        "provenance of the first try",
        "generators/filtering.py",
        "provenance[row] = other.provenance[place]",
        "pass",
        "test_filtering.py::test_a_sample_does_not_depend_on_the_others_and_its_provenance_makes_it_again",
    ),
    _fault(
        "half an export left behind",
        "exporting/export.py",
        "shutil.rmtree(partial, ignore_errors=True)",
        "pass",
        "test_export.py::test_nothing_is_left_behind_by_an_error_or_ctrl_c",
    ),
    _fault(
        "time of writing in the shards",
        "exporting/writers.py",
        "entry.size = len(content)",
        "entry.size, entry.mtime = len(content), __import__('time').time_ns() % 10**9",
        "test_export.py::test_the_same_call_writes_the_same_bytes",
    ),
    _fault(
        "folders by their names alone",
        "exporting/writers.py",
        "and plain == sorted(set(plain)):",
        "and len(plain) == len(set(plain)):",
        "test_export.py::test_folders_sort_as_their_labels_do",
    ),
    _fault(
        "truncation unsaid",
        "generators/base.py",
        "said, truncation)",
        "said)",
        "test_export.py::test_the_provenance_in_a_file_makes_its_image_again",
    ),
    _fault(
        "noise of the user's network not of the sample's key",
        "generators/adapted.py",
        'rng.normal("latent", self.latent_dim)',
        'keys_of(len(target), seed, None, epoch).normal("latent", self.latent_dim)',
        "test_adapted.py::test_the_noise_is_that_of_the_key_and_the_labels_are_int64",
    ),
]
