"""One-line faults in how `wrap` takes loaders, streams and data modules."""

from __future__ import annotations

from faults import Mutant


def _fault(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"{name} (wrapping)", file, old, new, (test,))


MUTANTS = [
    _fault(
        "a sampler that shares is shared again",
        "data/sampler.py",
        'if hasattr(self.order, "rank") and (',
        "if False and (",
        "test_wrap_loader.py::test_a_sampler_of_the_users_own_that_shares_is_not_shared_again",
    ),
    _fault(
        "a copied loader remembers the bare dataset",
        "data/rewrap.py",
        'if name.startswith(("__pl_", "__dataset"))]:',
        "if False]:",
        "test_wrap_loader.py::test_what_lightning_remembers_of_a_loader_is_forgotten_with_its_dataset",
    ),
    _fault(
        "an index twice in an epoch under one key",
        "data/rewrap.py",
        "seen[int(index)] += 1",
        "pass",
        "test_wrap_loader.py::test_a_batch_sampler_of_the_users_own_gets_keys",
    ),
    _fault(
        "an epoch that workers do not see",
        "data/epochs.py",
        "dtype=torch.int64).share_memory_()",
        "dtype=torch.int64)",
        "test_wrap_stream.py::test_the_epoch_advances_with_each_pass_and_set_epoch_reaches_running_workers",
    ),
    _fault(
        "every pass the same epoch",
        "data/epochs.py",
        "self.board[place] = now + 1 - self.board[0]",
        "pass",
        "test_wrap_stream.py::test_the_epoch_advances_with_each_pass_and_set_epoch_reaches_running_workers",
    ),
    _fault(
        "a range dealt out to the wrapper alone",
        "data/passing.py",
        "setattr(self.dataset, name, value)",
        "object.__setattr__(self, name, value)",
        "test_wrap_stream.py::test_a_worker_init_function_deals_out_the_dataset_below",
    ),
    _fault(
        "a resumed stream that reads from its beginning",
        "data/stream.py",
        'for _ in islice(source, state["count"] - known):',
        "for _ in ():",
        "test_wrap_stream.py::test_a_stream_without_a_state_goes_on_behind_the_last_sample",
    ),
    _fault(
        "a state that says where the next chunk begins",
        "data/stream.py",
        'position["count"] = count',
        'position["count"] = first + len(samples)',
        "test_wrap_huggingface.py::test_a_streamed_dataset_resumes_by_its_own_state",
    ),
    _fault(
        "samples that differ taken for alike",
        "data/stream.py",
        "return len(set(map(_structure, samples))) == 1",
        "return True",
        "test_wrap_stream.py::test_a_text_that_only_some_samples_have_is_edited_there",
    ),
    _fault(
        "a datamodule's own method on the object first",
        "lightning/datamodule.py",
        'theirs = self.__dict__.get("train_dataloader") or super().train_dataloader',
        "theirs = super().train_dataloader",
        "test_wrap_datamodule.py::test_a_datamodule_made_from_datasets_is_wrapped_too",
    ),
    _fault(
        "a named tuple is a plain one",
        "data/rows.py",
        "set(map(type, samples)) != {tuple}",
        "not isinstance(samples[0], tuple)",
        "test_rows.py::test_what_is_no_list_of_equal_tuples_has_no_columns",
    ),
    _fault(
        "a column of two types has the first one's",
        "native/module.c",
        "if ((PyObject *)Py_TYPE(entry) != kind) kind = Py_None;",
        "",
        "test_rows.py::test_columns_hold_the_entries_and_name_their_type",
    ),
    _fault(
        "an image where only some samples have a tensor is handed on",
        "data/wrap.py",
        "all(kind is torch.Tensor or kind in PLAIN for kind in table[0])",
        "True",
        "test_wrap.py::test_a_pipeline_that_does_nothing_still_makes_tensors_of_what_is_none",
    ),
    _fault(
        "an order by chance begun anew after a resume",
        "data/sampler.py",
        'self._order_seed = state.get("order_seed")',
        "pass",
        "test_wrap_resume.py::test_an_order_that_chance_began_goes_on_as_it_began",
    ),
]
