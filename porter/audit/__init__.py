# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What in a tree is derived from MLX, and whether every derived line carries its notice."""
