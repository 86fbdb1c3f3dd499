# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`torch.UntypedStorage(..., device="mps")`, which loading, copying and pickling tensors go through.

A build of torch for Linux refuses that device in C++ ("Storage device not recognized"), so the constructor is led
another way, for this device alone.
"""

from __future__ import annotations

from typing import Any

import torch


def install() -> None:
    """Let UntypedStorage be made on the device, and torch.mps see its memory from the host."""
    storage: Any = torch.UntypedStorage
    make = storage.__new__

    def new(cls: Any, *args: Any, device: Any = None, **options: Any) -> Any:
        if cls is not storage or device is None or torch.device(device).type != "mps":
            # StorageBase takes no device that is None.
            return make(cls, *args, **options) if device is None else make(cls, *args, device=device, **options)
        if len(args) > 1 or options:
            raise TypeError("an UntypedStorage of the mps device is made of a size in bytes, or of a sequence of bytes")
        content = args[0] if args else 0
        if isinstance(content, int):
            return torch.empty(content, dtype=torch.uint8, device="mps").untyped_storage()
        return torch.tensor(list(content), dtype=torch.uint8, device="mps").untyped_storage()

    storage.__new__ = staticmethod(new)
    native: Any = torch._C
    native._mps_host_alias_storage = _host_alias


def _host_alias(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    whole = torch.empty(0, dtype=torch.uint8, device="mps").set_(storage)
    alias: torch.Tensor = torch.ops.porter_mps.host_alias(whole)
    return alias.untyped_storage()
