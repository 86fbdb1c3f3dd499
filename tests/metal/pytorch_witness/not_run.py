# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Families that no case runs, and why. A test holds this list against the library: nothing is missing or too much.

Kernels of these load (they are translated, optimised and compiled by the sweep that docs/pytorch-witness.md tells of).
"""

_OPEN = "loads; no case is written yet: what its host code binds was not worked out"

NOT_RUN = dict.fromkeys(
    (
        "applyPivots",
        "assert_async_#",
        "build_row_ptr_from_sorted_rows_by_batch",
        "cdist_backward_T_p#_tg#",
        "compute_offsets_and_counts",
        "compute_output_positions_kernel",
        "count_nonzero_prefix_sum_T",
        "dense_sparse_mul_kernel_T",
        "dirichlet_grad_T",
        "embedding_dense_backward_T_#",
        "embedding_dense_backward_count_T_#",
        "fused_gather_mul_kernel_T",
        "histogramdd_T",
        "intersect_binary_search",
        "mark_segments",
        "orgqr_T",
        "prefix_sum_blocks",
        "randperm_dedup_islands_T",
        "scatter_nonzero_indices_T",
        "softmax_sparse_backward_T",
        "softmax_sparse_forward_T",
        "spmm_bmm_coo_rows_grouped_T",
        "standard_gamma_grad_T",
    ),
    _OPEN,
)
