# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Generators of cases, one module a family; porter/prove/launch.py says what one must have."""
