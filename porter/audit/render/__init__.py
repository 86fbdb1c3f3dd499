# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Audit -> what a person or another tool reads: text, JSON, SARIF, and a page that needs nothing but a browser."""
