# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal kernels as any textbook has them; how they are written down, `kernel_templates` says."""

METAL = (
    """
kernel void $matmul(
    device const %T%* $lhs [[buffer(0)]],
    device const %T%* $rhs [[buffer(1)]],
    device %T%* $dst [[buffer(2)]],
    constant uint3& $shape [[buffer(3)]],
    uint2 $group [[threadgroup_position_in_grid]],
    uint2 $local [[thread_position_in_threadgroup]])
{
    threadgroup float $sa[%N%][%N%<|| + 1|>];
    threadgroup float $sb[%N%][%N%<|| + 1|>];
    const uint $row = $group.y * %N% + $local.y;
    const uint $col = $group.x * %N% + $local.x;
    float $sum = 0.0f;
    for (uint $step = 0; $step < $shape.z; $step += %N%) {
        <|$sa[$local.y][$local.x] = ($row < $shape.x && $step + $local.x < $shape.z)
            ? float($lhs[$row * $shape.z + $step + $local.x]) : 0.0f;|if ($row < $shape.x
            && $step + $local.x < $shape.z) {
            $sa[$local.y][$local.x] = $lhs[$row * $shape.z + $step + $local.x];
        } else {
            $sa[$local.y][$local.x] = 0;
        }|>
        $sb[$local.y][$local.x] = ($col < $shape.y && $step + $local.y < $shape.z)
            ? float($rhs[($step + $local.y) * $shape.y + $col]) : 0.0f;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        <|#pragma unroll|// inner product of the two tiles|>
        for (uint $i = 0; $i < %N%; <|++$i|$i += 1|>) {
            $sum <|+= $sa[$local.y][$i] * $sb[$i][$local.x]|= fma($sa[$local.y][$i], $sb[$i][$local.x], $sum)|>;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if ($row < $shape.x && $col < $shape.y) {
        $dst[$row * $shape.y + $col] = %T%($sum);
    }
}
""",
    """
kernel void $softmax(
    const device %T%* $src [[buffer(0)]],
    device %T%* $dst [[buffer(1)]],
    constant uint& $width [[buffer(2)]],
    uint $row [[threadgroup_position_in_grid]],
    uint $tid [[thread_index_in_threadgroup]],
    uint $count [[threads_per_threadgroup]])
{
    threadgroup float $scratch[%N%];
    const device %T%* $line = $src + $row * $width;
    float $peak = -INFINITY;
    for (uint $j = $tid; $j < $width; $j += $count) {
        $peak = max($peak, float($line[$j]));
    }
    $scratch[$tid] = $peak;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint $half = $count / 2; $half > 0; <|$half /= 2|$half >>= 1|>) {
        if ($tid < $half) {
            $scratch[$tid] = max($scratch[$tid], $scratch[$tid + $half]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    $peak = $scratch[0];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float $total = 0;
    for (uint $j = $tid; $j < $width; $j += $count) {
        $total += <|exp|metal::exp|precise::exp|>(float($line[$j]) - $peak);
    }
    $scratch[$tid] = $total;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint $half = $count / 2; $half > 0; $half >>= 1) {
        if ($tid < $half) $scratch[$tid] += $scratch[$tid + $half];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    const float $scale = 1.0f / $scratch[0];
    for (uint $j = $tid; $j < $width; $j += $count) {
        $dst[$row * $width + $j] = %T%(exp(float($line[$j]) - $peak) * $scale);
    }
}
""",
    """
struct $Args {
    uint $rows;
    uint $features;
    float $epsilon;
};

kernel void $layernorm(
    device const %T%* $x1 [[buffer(0)]],
    device const %T%* $gain [[buffer(1)]],
    device const %T%* $shift [[buffer(2)]],
    device %T%* $y1 [[buffer(3)]],
    constant $Args& $args [[buffer(4)]],
    uint $row [[threadgroup_position_in_grid]],
    uint $lane [[thread_index_in_simdgroup]])
{
    if ($row >= $args.$rows) return;
    const uint $start = $row * $args.$features;
    float $mean = 0, $square = 0;
    for (uint $c = $lane; $c < $args.$features; $c += 32) {
        const float $value = $x1[$start + $c];
        $mean += $value;
        $square += $value * $value;
    }
    $mean = simd_sum($mean) / $args.$features;
    <|$square = simd_sum($square) / $args.$features - $mean * $mean;|$square = simd_sum($square);
    $square /= float($args.$features);
    $square -= $mean * $mean;|>
    const float $inv = rsqrt(<|max($square, 0.0f)|$square|> + $args.$epsilon);
    for (uint $c = $lane; $c < $args.$features; $c += 32) {
        const float $unit = (float($x1[$start + $c]) - $mean) * $inv;
        $y1[$start + $c] = %T%($unit * float($gain[$c]) + float($shift[$c]));
    }
}
""",
    """
kernel void $bitonic(
    device <|uint|int|float|>* $keys [[buffer(0)]],
    constant uint& $length [[buffer(1)]],
    constant uint2& $phase [[buffer(2)]],
    uint $id [[thread_position_in_grid]])
{
    const uint $mate = $id ^ $phase.y;
    if ($mate <= $id || $mate >= $length) {
        return;
    }
    const bool $up = ($id & $phase.x) == 0;
    const auto $one = $keys[$id];
    const auto $two = $keys[$mate];
    if (($one > $two) == $up) {
        $keys[$id] = $two;
        $keys[$mate] = $one;
    }
}
""",
    """
template <typename $Elem, int $WIDTH>
kernel void $convolve(
    texture2d<float, access::read> $image [[texture(0)]],
    device $Elem* $result [[buffer(0)]],
    constant float* $taps [[buffer(1)]],
    uint2 $pixel [[thread_position_in_grid]])
{
    const uint $w1 = $image.get_width(), $h1 = $image.get_height();
    if ($pixel.x >= $w1 || $pixel.y >= $h1) return;
    float4 $colour = float4(0);
    for (int $dy = -$WIDTH / 2; $dy <= $WIDTH / 2; ++$dy) {
        for (int $dx = -$WIDTH / 2; $dx <= $WIDTH / 2; ++$dx) {
            const uint $px = clamp(int($pixel.x) + $dx, 0, int($w1) - 1);
            const uint $py = clamp(int($pixel.y) + $dy, 0, int($h1) - 1);
            $colour += $image.read(uint2($px, $py)) * $taps[($dy + $WIDTH / 2) * $WIDTH + $dx + $WIDTH / 2];
        }
    }
    $result[$pixel.y * $w1 + $pixel.x] = $Elem($colour.x * 0.299f + $colour.y * 0.587f + $colour.z * 0.114f);
}
""",
    """
kernel void $attend(
    device const %T%* $q [[buffer(0)]],
    device const %T%* $k [[buffer(1)]],
    device const %T%* $v [[buffer(2)]],
    device %T%* $o [[buffer(3)]],
    constant int& $seq [[buffer(4)]],
    constant float& $alpha [[buffer(5)]],
    uint2 $where [[threadgroup_position_in_grid]],
    uint $lane [[thread_index_in_simdgroup]])
{
    constexpr int $D = <|64|96|128|>;
    const int $base = $where.y * $seq * $D;
    float $query[$D / 32], $out[$D / 32];
    for (int $i = 0; $i < $D / 32; ++$i) {
        $query[$i] = float($q[$base + $where.x * $D + $lane + $i * 32]) * $alpha;
        $out[$i] = 0;
    }
    float $top = -1e30f, $norm = 0;
    for (int $t = 0; $t < <|$seq|int($where.x) + 1|>; ++$t) {
        float $score = 0;
        for (int $i = 0; $i < $D / 32; ++$i) {
            $score += $query[$i] * float($k[$base + $t * $D + $lane + $i * 32]);
        }
        $score = simd_sum($score);
        const float $grown = max($top, $score);
        const float $decay = exp($top - $grown);
        const float $weight = exp($score - $grown);
        $norm = $norm * $decay + $weight;
        for (int $i = 0; $i < $D / 32; ++$i) {
            $out[$i] = $out[$i] * $decay + $weight * float($v[$base + $t * $D + $lane + $i * 32]);
        }
        $top = $grown;
    }
    for (int $i = 0; $i < $D / 32; ++$i) {
        $o[$base + $where.x * $D + $lane + $i * 32] = %T%($out[$i] / $norm);
    }
}
""",
    """
kernel void $strided(
    device const %T%* $from [[buffer(0)]],
    device %T%* $into [[buffer(1)]],
    constant long* $strides [[buffer(2)]],
    constant int* $extent [[buffer(3)]],
    constant int& $rank [[buffer(4)]],
    uint $gid [[thread_position_in_grid]])
{
    uint $rest = $gid;
    long $place = 0;
    for (int $axis = $rank - 1; $axis >= 0; <|--$axis|$axis -= 1|>) {
        $place += long($rest % uint($extent[$axis])) * $strides[$axis];
        $rest /= uint($extent[$axis]);
    }
    const float $z1 = float($from[$place]);
    $into[$gid] = %T%(<|$z1 / (1.0f + exp(-$z1))|max($z1, 0.0f)|tanh($z1) * $z1|$z1 > 0 ? $z1 : 0.01f * $z1|>);
}
""",
    """
inline float $group_sum(float $mine, threadgroup float* $box, uint $warp, uint $lane, uint $warps) {
    $mine = simd_sum($mine);
    if ($lane == 0) $box[$warp] = $mine;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    $mine = $lane < $warps ? $box[$lane] : 0.0f;
    return simd_sum($mine);
}

kernel void $norm2(
    device const float* $data [[buffer(0)]],
    device atomic_float* $answer [[buffer(1)]],
    constant uint& $n [[buffer(2)]],
    uint $gid [[thread_position_in_grid]],
    uint $all [[threads_per_grid]],
    uint $warp [[simdgroup_index_in_threadgroup]],
    uint $lane [[thread_index_in_simdgroup]],
    uint $warps [[simdgroups_per_threadgroup]])
{
    threadgroup float $box[32];
    float $part = 0;
    for (uint $i = $gid; $i < $n; $i += $all) {
        $part += $data[$i] * $data[$i];
    }
    $part = $group_sum($part, $box, $warp, $lane, $warps);
    if ($warp == 0 && $lane == 0) {
        atomic_fetch_add_explicit($answer, $part, memory_order_relaxed);
    }
}
""",
)
