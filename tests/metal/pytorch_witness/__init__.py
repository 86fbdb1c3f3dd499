# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's own compiled Metal kernels, run here and held against torch on the CPU (test_pytorch_witness).

Each module has the cases of some families: `CASES`, a tuple of `witness.Case`.
"""
