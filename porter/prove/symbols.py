# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Names of the IR, for a person to read."""

from __future__ import annotations

import ctypes
import ctypes.util
import re


def readable(symbol: str) -> str:
    """`mlx::steel::BlockLoader<...>::next` for a symbol of the IR; the symbol itself where nothing can say it."""
    mangled = symbol.lstrip("@").strip('"')
    try:
        library = ctypes.CDLL(ctypes.util.find_library("stdc++") or "libstdc++.so.6")
        demangle, release = library.__cxa_demangle, ctypes.CDLL(None).free
    except (OSError, AttributeError):
        return mangled
    demangle.restype = ctypes.c_void_p
    release.argtypes = [ctypes.c_void_p]
    status = ctypes.c_int()
    # Older C++ libraries do not know _Float16 (DF16_); half (Dh) is as good for a reader.
    address = demangle(mangled.replace("DF16_", "Dh").encode(), None, None, ctypes.byref(status))
    if not address or status.value != 0:
        return mangled
    text = ctypes.string_at(address).decode()
    release(address)
    return text


def simple_name(symbol: str) -> str:
    """`BlockLoader::next` of `mlx::steel::BlockLoader<float, 4>::next() const`: the last two names, no arguments."""
    bare = readable(symbol)
    while (shorter := re.sub(r"<[^<>]*>", "", bare)) != bare:
        bare = shorter
    names = bare.split("(")[0].split()[-1].split("::")
    return "::".join(names[-2:])
