# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sources -> Corpus: what upstream's files declare, and whether specs/ says the same."""
