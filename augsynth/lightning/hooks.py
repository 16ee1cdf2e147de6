"""The transfer hooks of Lightning, which a Callback does not have: standing around them on the object that has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AFTER, TRANSFER = "on_after_batch_transfer", "transfer_batch_to_device"
# (the hook as it was, the arguments that Lightning gives it) -> the batch.
Around = Callable[..., Any]


class Hook:
    """Stands on one object in place of one of its hooks; hooks of several callbacks stack and leave in any order."""

    def __init__(self, owner: Any, name: str, around: Around) -> None:
        self.owner, self.name, self.around = owner, name, around
        self.inner = getattr(owner, name)
        self.on_instance = name in vars(owner)
        # A bound method and not this object: Lightning compares the __code__ of hooks to see which are overridden.
        setattr(owner, name, self.run)

    def run(self, *arguments: Any) -> Any:
        return self.around(self.inner, *arguments)

    def remove(self) -> None:
        """Put the hook back as it was."""
        outer, hook = None, getattr(getattr(self.owner, self.name), "__self__", None)
        while isinstance(hook, Hook) and hook is not self:
            outer, hook = hook, getattr(hook.inner, "__self__", None)
        if hook is not self:
            return  # somebody has replaced the whole stack since
        if outer is not None:
            outer.inner, outer.on_instance = self.inner, self.on_instance
        elif self.on_instance:
            setattr(self.owner, self.name, self.inner)
        else:
            delattr(self.owner, self.name)


def hook_owner(module: Any, datamodule: Any, name: str = AFTER) -> Any:
    """Return whose hook Lightning calls: the datamodule's where that has one of its own, else the module's.

    Where neither has one, the datamodule: a hook on the module beside a datamodule makes Lightning warn.
    """
    if datamodule is None or (_overrides(module, name) and not _overrides(datamodule, name)):
        return module
    return datamodule


def _overrides(owner: Any, name: str) -> bool:
    return name in vars(owner) or getattr(type(owner), name).__qualname__ != f"DataHooks.{name}"
