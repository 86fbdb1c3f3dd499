# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An audit made by hand, of files of our own, for the tests of what shows one."""

from __future__ import annotations

from porter.audit.model import (
    Audit,
    Change,
    Finding,
    Lines,
    Match,
    NoticeJudgement,
    Passage,
    PassedOver,
    Remark,
    UpstreamFile,
    Verdict,
)

OURS = """// a file of ours
#include <metal_stdlib>
kernel void scale(device float* left [[buffer(0)]], uint at [[thread_position_in_grid]]) {
  float value = left[at] * 2.0f;
  left[at] = value + 1.0f;
}
// its end
"""
THEIRS = """// an imagined upstream
kernel void twice(
    device float* data [[buffer(0)]],
    uint gid [[thread_position_in_grid]]) {
  float value = data[gid] * 2.0f;
  data[gid] = value + 1.0f;
}
"""
UPSTREAM = UpstreamFile("mlx/backend/metal/kernels/twice.metal", "d" * 64, ("v0.30.1", "v0.30.6"), THEIRS)


def finding(
    path: str = "src/scale.metal",
    verdict: Verdict = Verdict.NONE,
    *,
    reason: str = "the file says nothing of where it is from",
    changes: tuple[Change, ...] = (),
    revisions: tuple[str, ...] = ("v0.29.0", "v0.30.1", "v0.30.6"),
    found: tuple[tuple[str, int], ...] = (),
) -> Finding:
    passage = Passage(Lines(3, 6), Lines(2, 7), 40, identical=False)
    match = Match(path, UPSTREAM.path, UPSTREAM.sha256, (passage,), 0.64, revisions)
    return Finding(match, NoticeJudgement(verdict, reason, found), changes)


FIX = Change("f" * 40, "2026-05-12", "Fix the last row", is_fix=True, lines=(Lines(4, 5),))
FEATURE = Change("e" * 40, "2026-04-01", "Faster scaling", is_fix=False, lines=(Lines(3, 3),))


def audit(*findings: Finding, passed_over: tuple[PassedOver, ...] = (), remarks: tuple[Remark, ...] = ()) -> Audit:
    return Audit(3, 1200, findings, passed_over, "MLX v0.29.0 to v0.32.1, 10 releases", {"index": 0.25}, remarks)
