# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The process in which LLVM reads bitcode for `bitcode_reader`, which starts it by this file's path.

Hostile bitcode can abort, crash or stall LLVM; here that ends this process and nothing else. Per module: u64 size and
the bitcode come in on standard input; u8 status and u64 size go out, and so many bytes. Status 0: a line of JSON (the
variables in threadgroup memory, the external functions) and LLVM's text of the module. Status 1: why not.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Python puts this file's folder first, and names in it (library, kernel) are none of the packages' business.
if __name__ == "__main__" and sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    del sys.path[0]

import json
import os
import re
import resource
import struct
from typing import Any, BinaryIO

# Apple's largest module (139 kB) takes 10 ms and a few MiB.
MEMORY = 2 << 30  # bytes of address space; llvmlite itself maps some 300 MiB
SECONDS = 20  # of processor time for one module
ERRORS = 1 << 20  # bytes that may be written to a file, and standard error is one

NO_LLVM = 90  # the exit status that says so

_ALIGNMENT = re.compile(r", align (\d+)")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (ERRORS, ERRORS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        import llvmlite.binding as llvm
    except ImportError:
        sys.exit(NO_LLVM)
    requests = sys.stdin.buffer
    # What LLVM prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while len(header := requests.read(8)) == 8:
        code = requests.read(struct.unpack("<Q", header)[0])
        _allow(SECONDS)
        try:
            status, answer = 0, _described(llvm, code)
        except (RuntimeError, ValueError, MemoryError) as error:
            status, answer = 1, (str(error) or type(error).__name__).encode("utf-8", "replace")
        _send(answers, status, answer)


def _allow(seconds: int) -> None:
    """So much more processor time; a parent that was killed cannot stop this process any more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _send(answers: BinaryIO, status: int, answer: bytes) -> None:
    answers.write(struct.pack("<BQ", status, len(answer)))
    answers.write(answer)
    answers.flush()


def _described(llvm: Any, code: bytes) -> bytes:
    """Raises RuntimeError for what LLVM cannot read or does not accept as a module."""
    # Of its own, or the names of its types would depend on what was read before.
    module = llvm.parse_bitcode(code, context=llvm.create_context())
    module.verify()
    layout = llvm.create_target_data(module.data_layout)
    summary = {
        "threadgroup": [
            _variable(layout, variable)
            for variable in module.global_variables
            if str(variable.type) == "ptr addrspace(3)" and not variable.is_declaration
        ],
        "externals": [function.name for function in module.functions if function.is_declaration],
    }
    return json.dumps(summary).encode() + b"\n" + str(module).encode()


def _variable(layout: Any, variable: Any) -> dict[str, Any]:
    stated = _ALIGNMENT.search(str(variable).rpartition("=")[2])
    kind = variable.global_value_type
    return {
        "name": variable.name,
        "type": str(kind),
        "size": layout.get_abi_size(kind),
        "align": int(stated[1]) if stated else layout.get_abi_alignment(kind),
    }


if __name__ == "__main__":
    main()
