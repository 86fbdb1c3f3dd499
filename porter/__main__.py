# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`python -m porter` is `steel-port`."""

from porter.cli import main

main()
