# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The rewrite rules. Each is a name, a reason, a way to make edits, and an example that is also its test.

A rule looks at tokens and returns edits at token positions; it never searches and replaces text. Rules do not see
each other's edits, and two rules that claim one token are an error, so their order means nothing but for insertions
at one place, which keep the order of `RULES`. What a rule that `removes` takes out, no other rule rewrites.
"""

from porter.port.rules import files, function_constants, instantiations, names
from porter.port.rules.rule import Example, Rule

__all__ = ["RULES", "Example", "Rule"]

RULES: tuple[Rule, ...] = (*files.RULES, *names.RULES, *instantiations.RULES, *function_constants.RULES)
