"""A slot is written again when nobody reads it any more, and not before; the worker and the loop in one process."""

from __future__ import annotations

import copy
import errno
import gc
import io
import os
import pickle
import threading
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_transport import BATCH, SIDE, Pictures, pipeline
from torch.utils.data import default_collate

from augsynth import transforms as T
from augsynth.data import parcel, slots
from augsynth.data.sampler import KeyedSampler
from augsynth.data.wrap import collate, wrap
from augsynth.pipeline import Pipeline

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="slots need memfd_create"),
    # Python 3.12 warns of fork in a process with threads, and torch has some.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let this process play the worker as well as the loop; gives its pool."""
    monkeypatch.setattr(slots, "get_worker_info", lambda: "a worker")
    monkeypatch.setattr(slots, "_own", slots.Pool())
    monkeypatch.setattr(slots, "_opened", {})
    return slots._own


def send(value: Any) -> Any:
    """Through the pickler of multiprocessing's queues, and out again."""
    return pickle.loads(bytes(ForkingPickler.dumps(value)))


def numbered(value: int, size: int = 100_000, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    """A batch of this value in a slot, ready to send."""
    tensor = slots.lend((2, size // 2), dtype).fill_(value)
    sent: torch.Tensor = parcel.post(tensor)
    return sent


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.float16])
def test_every_output_dtype_crosses(worker: Any, dtype: torch.dtype) -> None:
    steps = Pipeline([T.RandomCrop(SIDE)], dtype=dtype, seed=1)
    keys = list(KeyedSampler(range(BATCH)))
    images, _ = send(collate(wrap(Pictures(), steps).__getitems__(keys)))
    assert len(worker.slots) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "is_active", lambda: False)
        expected, _ = collate(wrap(Pictures(), steps).__getitems__(keys))
    assert images.dtype == expected.dtype == dtype
    assert torch.equal(images, expected)


def test_the_engine_renders_into_the_slot_and_nothing_copies(worker: Any) -> None:
    samples = wrap(Pictures(), pipeline()).__getitems__([0, 1, 2])
    assert samples.images is not None
    assert samples.images.data_ptr() == worker.slots[0].address == collate(samples)[0].data_ptr()


@pytest.mark.parametrize("ready", [True, False], ids=["torch engine", "loose samples"])
def test_what_is_not_in_a_slot_is_copied_into_one(worker: Any, ready: bool) -> None:
    data = wrap(Pictures(), pipeline(engine="torch"))
    samples = data.__getitems__([0, 1, 2]) if ready else [data[0], data[1], data[2]]
    expected = torch.stack([image for image, _ in samples])
    images, labels = collate(samples)
    assert images.data_ptr() == worker.slots[0].address
    assert torch.equal(send(images), expected)
    assert labels.tolist() == [0, 1, 2]


def test_large_tensors_beside_the_image_are_stacked_in_a_slot_and_small_ones_nowhere_shared(worker: Any) -> None:
    samples = [(torch.zeros(3, 4, 4), {"map": torch.full((40_000,), i), "few": torch.ones(2)}) for i in range(2)]
    _, beside = collate(samples)
    assert beside["map"].data_ptr() == worker.slots[0].address
    assert torch.equal(send(beside["map"])[:, 0], torch.arange(2))
    assert not beside["few"].is_shared()
    assert len(worker.slots) == 1


def test_the_main_process_and_threads_use_no_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not slots.is_active()
    monkeypatch.setattr(slots, "get_worker_info", lambda: "a worker")
    assert slots.is_active()
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(slots.is_active()))
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_slot_is_free_when_the_last_view_dies_and_not_before(worker: Any) -> None:
    batch = send(numbered(1))
    view, array = batch[1:], batch[0].numpy()
    del batch
    assert not worker.slots[0].is_free()
    del view
    assert not worker.slots[0].is_free()
    del array
    assert worker.slots[0].is_free()
    assert send(numbered(2)).data_ptr() != worker.slots[0].address  # mapped once more, as in another process
    assert len(worker.slots) == 1


def test_no_batch_changes_whatever_is_kept_and_in_which_order_it_is_dropped(worker: Any) -> None:
    order = np.random.default_rng(0)
    kept: dict[int, torch.Tensor] = {}
    for value in range(200):
        kept[value] = send(numbered(value))[value % 2 :]
        if order.random() < 0.5:
            kept.pop(int(order.choice(list(kept))))
        while len(kept) > 6:
            kept.pop(int(order.choice(list(kept))))
        assert all(bool((batch == v).all()) for v, batch in kept.items())
    assert len(worker.slots) <= 8


def test_a_batch_on_its_way_is_not_overwritten(worker: Any) -> None:
    messages = [bytes(ForkingPickler.dumps(numbered(value))) for value in range(4)]
    assert len(worker.slots) == 4
    assert [int(pickle.loads(message)[0, 0]) for message in messages] == [0, 1, 2, 3]
    assert all(slot.is_free() for slot in worker.slots)


def test_a_batch_that_is_never_sent_gives_its_slot_back(worker: Any) -> None:
    held = numbered(1)
    assert not worker.slots[0].is_free()
    del held
    assert worker.slots[0].is_free()


def test_a_batch_that_is_sent_twice_is_free_when_both_copies_are_gone(worker: Any) -> None:
    batch = numbered(7)
    one, two = send(batch), send(batch)
    del batch, one
    assert not worker.slots[0].is_free()
    assert (two == 7).all()
    del two
    assert worker.slots[0].is_free()


def test_a_batch_that_is_sent_all_too_often_goes_by_value(worker: Any) -> None:
    batch = numbered(7)
    copies = [send(batch) for _ in range(70)]
    assert all((each == 7).all() for each in copies)
    del batch, copies
    assert worker.slots[0].is_free()


def test_smaller_batches_reuse_a_slot_and_larger_ones_replace_it(worker: Any) -> None:
    assert send(numbered(1, 100_000)).shape == (2, 50_000)
    assert send(numbered(2, 70_000)).shape == (2, 35_000)
    assert len(worker.slots) == 1
    first = worker.slots[0]
    assert (send(numbered(3, 900_000)) == 3).all()
    assert len(worker.slots) == 1
    assert worker.slots[0] is not first
    assert len(slots._opened) == 1  # the loop has let go of the small one too


def test_slots_that_nobody_needs_any_more_give_their_memory_back(worker: Any) -> None:
    kept = [send(numbered(value)) for value in range(10)]
    files = [os.dup(slot.fd) for slot in worker.slots]
    del kept
    for value in range(40):
        send(numbered(value))
    assert len(worker.slots) == 1
    assert sorted(os.fstat(fd).st_size > slots.PAGESIZE for fd in files) == [False] * 9 + [True]
    for fd in files:
        os.close(fd)


def test_the_end_of_a_worker_gives_back_what_the_loop_does_not_hold(worker: Any) -> None:
    held, free = send(numbered(5)), send(numbered(6))
    del free
    files = [os.dup(slot.fd) for slot in worker.slots]
    worker.close()
    assert [os.fstat(fd).st_size > slots.PAGESIZE for fd in files] == [True, False]
    assert (held == 5).all()
    for fd in files:
        os.close(fd)


@pytest.mark.parametrize("change", ["filtered", "replaced", "cropped", "reordered"])
def test_default_collate_stacks_rows_that_were_tampered_with(worker: Any, change: str) -> None:
    images = [image for image, _ in wrap(Pictures(), pipeline()).__getitems__([0, 1, 2])]
    changed = {
        "filtered": images[:2],
        "replaced": [images[0], torch.zeros_like(images[1]), images[2]],
        "cropped": [images[0], *(image[:, :, :40] for image in images[1:])],
        "reordered": [images[0], images[2], images[1]],
    }[change]
    if change == "cropped":
        with pytest.raises(RuntimeError, match="equal size"):
            default_collate(changed)
        return
    collated = send(default_collate(changed))
    assert type(collated) is torch.Tensor
    assert torch.equal(collated, torch.stack([image.as_subclass(torch.Tensor) for image in changed]))


def test_pickles_and_copies_inside_a_worker_hold_the_pixels_and_no_handle(worker: Any) -> None:
    batch = numbered(9)
    stored = pickle.dumps(batch)
    file = io.BytesIO()
    torch.save(batch, file)
    copied = copy.deepcopy(batch)
    batch.fill_(0)
    file.seek(0)
    for restored in (pickle.loads(stored), torch.load(file), copied):
        assert type(restored) is torch.Tensor
        assert (restored == 9).all()


def test_the_user_may_pickle_share_and_send_a_batch_on(worker: Any) -> None:
    batch = send(numbered(4))
    stored = pickle.loads(pickle.dumps(batch))
    on = send(batch)  # torch's own way: moves the batch to shared memory of its own
    assert worker.slots[0].is_free()
    numbered(8)
    assert (stored == 4).all()
    assert (on == 4).all()
    assert (batch == 4).all()


def test_another_thread_may_give_a_batch_back_as_the_one_that_pins_memory_does(worker: Any) -> None:
    pinned: list[torch.Tensor] = []
    for value in range(5):
        message = bytes(ForkingPickler.dumps(numbered(value)))
        thread = threading.Thread(target=lambda data=message: pinned.append(pickle.loads(data).clone()))
        thread.start()
        thread.join()
    assert [int(batch[0, 0]) for batch in pinned] == list(range(5))
    assert len(worker.slots) == 1


def test_a_forked_childs_copy_gives_nothing_back(worker: Any) -> None:
    batch = send(numbered(3))
    if (child := os.fork()) == 0:
        del batch
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert not worker.slots[0].is_free()
    assert (batch == 3).all()


def test_a_batch_that_a_forked_child_may_still_read_is_never_overwritten(worker: Any) -> None:
    batch = send(numbered(3))
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.read(read, 1)
        # Through numpy: torch's threads do not survive a fork.
        os._exit(0 if bool((batch.numpy() == 3).all()) else 1)
    first = worker.slots[0]
    del batch
    assert (send(numbered(4)) == 4).all()
    assert first not in worker.slots
    os.write(write, b"x")
    assert os.waitpid(child, 0)[1] == 0


def refuse(fd: int, size: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_shared_memory_a_batch_arrives_all_the_same_with_one_warning(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "reserve", refuse)
    data = wrap(Pictures(), pipeline())
    keys = list(KeyedSampler(data))[:3]
    before, message = open_files(), r"no shared memory for a batch of 0\.2 MB .*No space left.*--shm-size"
    with pytest.warns(UserWarning, match=message) as seen:
        batches = [send(collate(data.__getitems__(keys))) for _ in range(3)]
    assert len(seen) == 1
    assert open_files() == before
    monkeypatch.setattr(slots, "is_active", lambda: False)
    expected, labels = collate(data.__getitems__(keys))
    for images, numbers in batches:
        assert type(images) is torch.Tensor
        assert torch.equal(images, expected)
        assert torch.equal(numbers, labels)


def test_slots_that_exist_go_on_when_no_more_can_be_had(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held = send(numbered(1))
    monkeypatch.setattr(slots, "reserve", refuse)
    with pytest.warns(UserWarning, match="no shared memory"):
        assert (send(numbered(2)) == 2).all()
    address = worker.slots[0].address
    del held
    assert numbered(3).data_ptr() == address


def test_a_batch_that_was_cut_before_it_is_collated_crosses(worker: Any) -> None:
    samples = wrap(Pictures(), pipeline()).__getitems__([0, 1, 2])
    images, labels = send(collate(samples[:2]))
    assert torch.equal(images, torch.stack([image for image, _ in samples])[:2])
    assert labels.tolist() == [0, 1]


def test_a_loop_that_keeps_everything_gets_by_value_what_has_no_slot(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_MOST_SLOTS", 3)
    kept = [send(numbered(value)) for value in range(6)]
    assert len(worker.slots) == 3
    assert [int(batch.amin()) for batch in kept] == [int(batch.amax()) for batch in kept] == list(range(6))


def test_without_a_file_descriptor_a_batch_goes_by_value(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots.reduction, "DupFd", lambda fd: refuse(fd, 0))
    assert (send(numbered(5)) == 5).all()
    assert worker.slots[0].is_free()
