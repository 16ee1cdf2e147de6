"""What a worker sends to the loop: the batch by its slot, small tensors inside the message, without a copy more."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from copy import deepcopy
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

# Documented there as the way to teach it a type, although the module has an underscore.
from torch.utils.data._utils.collate import collate as torch_collate
from torch.utils.data._utils.collate import collate_tensor_fn, default_collate_fn_map

from augsynth.data.rows import columns_of
from augsynth.data.slots import Slot, is_active, lend, receive, slot_of, tensor_on

# Up to this size a tensor travels inside the message: a file descriptor costs two processes a handshake.
_SMALL_BYTES = 1 << 16


def collate(samples: list[Any]) -> Any:
    """Collate like `default_collate`; a worker stacks large tensors in slots and small ones in ordinary memory."""
    how: Callable[[Any], Any] = _collate_in_worker if is_active() else default_collate
    table = columns_of(samples)
    # As default_collate does with tuples, but it finds out slowly that they are.
    return how(samples) if table is None else list(map(how, table[1]))


def _collate_in_worker(samples: Any) -> Any:
    return torch_collate(samples, collate_fn_map=_COLLATE)


def post(batch: Any) -> Any:
    """Make a collated batch cheap to send: tensors by their slot, and small ones inside the message.

    Returns the same structure, dicts changed in place; outside a worker the batch itself.
    """
    return _post(batch) if is_active() else batch


def _post(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        return _posted(batch)
    if isinstance(batch, MutableMapping):
        for name in list(batch):
            batch[name] = _post(batch[name])
        return batch
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_post, batch))
    return type(batch)(map(_post, batch)) if type(batch) in (list, tuple) else batch


def _posted(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor as a parcel: where it lies, or copied into a slot if it is large and nowhere shared yet."""
    if type(tensor) is not torch.Tensor or not _is_plain(tensor):
        return tensor
    slot = slot_of(tensor)
    if slot is None and tensor.nbytes > _SMALL_BYTES:
        if tensor.is_shared():  # type: ignore[no-untyped-call]
            return tensor
        tensor = lend(tensor.shape, tensor.dtype).copy_(tensor)
        slot = slot_of(tensor)
    return Parcel.of(tensor, slot)


def _stack(tensors: Sequence[torch.Tensor], *, collate_fn_map: Any = None) -> torch.Tensor:
    first = tensors[0]
    alike = all(_is_plain(t) and t.shape == first.shape and t.dtype == first.dtype for t in tensors)
    if not alike or any(type(t) not in (torch.Tensor, Parcel) for t in tensors):
        stacked: torch.Tensor = collate_tensor_fn(tensors, collate_fn_map=collate_fn_map)
        return stacked
    if first.nbytes * len(tensors) <= _SMALL_BYTES:
        return torch.stack(list(tensors))
    return torch.stack(list(tensors), out=lend((len(tensors), *first.shape), first.dtype))


def rows(images: torch.Tensor) -> list[torch.Tensor]:
    """Return the rows of a batch; `default_collate` gives the batch back for them where it lies in a slot."""
    found = list(images)
    slot = slot_of(images) if found else None
    if slot is not None:
        # default_collate looks up how to collate by the type of the first entry.
        found[0] = Parcel.of(found[0], slot, images)
    return found


def _collate_rows(batch: Sequence[torch.Tensor], *, collate_fn_map: Any = None) -> torch.Tensor:
    """Return the batch of which these tensors are the rows, or stack them where they are not that any more."""
    first = batch[0]
    assert isinstance(first, Parcel)
    images = first.images
    if images is None or len(batch) != len(images) or not all(map(_is_same, batch, images)):
        return _posted(_stack(batch, collate_fn_map=collate_fn_map))
    return _posted(images)


def _is_same(one: Any, other: torch.Tensor) -> bool:
    if not isinstance(one, torch.Tensor) or one.dtype != other.dtype:
        return False
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape and one.stride() == other.stride()


def _is_plain(tensor: torch.Tensor) -> bool:
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.requires_grad:
        return False
    return not (tensor.is_quantized or tensor.is_complex())


class Parcel(torch.Tensor):
    """A worker's tensor that a queue sends by its slot, or by value without one; it arrives as a plain tensor.

    What is computed from it is a plain tensor too, and pickling or copying it anywhere else treats it as one.
    images: the batch whose first row it is, if it is one.
    """

    slot: Slot | None = None
    images: torch.Tensor | None = None
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def of(cls, tensor: torch.Tensor, slot: Slot | None, images: torch.Tensor | None = None) -> Parcel:
        """Return the same tensor as a parcel."""
        parcel = tensor.as_subclass(cls)
        parcel.slot, parcel.images = slot, images
        return parcel

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.as_subclass(torch.Tensor).__reduce_ex__(protocol)  # type: ignore[no-untyped-call]

    def __deepcopy__(self, memo: Any) -> torch.Tensor:
        return deepcopy(self.as_subclass(torch.Tensor), memo)


def _send(parcel: Parcel) -> tuple[Callable[..., torch.Tensor], tuple[Any, ...]]:
    """Reduce a parcel for a queue: its handle while it still lies in its slot, else its bytes."""
    slot, shape = parcel.slot, tuple(parcel.shape)
    if slot is not None and parcel.data_ptr() == slot.address and parcel.is_contiguous():
        handle = slot.handle()
        if handle is not None:
            return receive, (*handle, shape, parcel.dtype)
    values = parcel.as_subclass(torch.Tensor).contiguous().view(-1)
    return _unpack, (values.view(torch.uint8).numpy().tobytes(), shape, parcel.dtype)


ForkingPickler.register(Parcel, _send)
default_collate_fn_map[Parcel] = _collate_rows
_COLLATE = {**default_collate_fn_map, torch.Tensor: _stack}


def _unpack(data: bytes, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return tensor_on(np.frombuffer(bytearray(data), np.uint8), shape, dtype)
