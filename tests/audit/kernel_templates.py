# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels as any textbook has them, written for these tests and related to no project.

`$name` becomes a name that is drawn anew for each kernel, `%N%` a size, `%T%` a type, and of `<|one|other|>` one is
taken. METAL and CUDA are kernels, HELPERS are device functions that either may use, HOST is for the host's C++.
"""

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

CUDA = (
    """
template <int $TILE>
__global__ void $gemm(const %C%* __restrict__ $a, const %C%* __restrict__ $b, %C%* $c, int $m, int $n, int $k) {
  __shared__ %C% $ta[$TILE][$TILE];
  __shared__ %C% $tb[$TILE][$TILE];
  const int $r = blockIdx.y * $TILE + threadIdx.y;
  const int $s = blockIdx.x * $TILE + threadIdx.x;
  %C% $acc = 0;
  for (int $p = 0; $p < ($k + $TILE - 1) / $TILE; ++$p) {
    const int $ka = $p * $TILE + threadIdx.x;
    const int $kb = $p * $TILE + threadIdx.y;
    $ta[threadIdx.y][threadIdx.x] = ($r < $m && $ka < $k) ? $a[$r * $k + $ka] : %C%(0);
    $tb[threadIdx.y][threadIdx.x] = ($kb < $k && $s < $n) ? $b[$kb * $n + $s] : %C%(0);
    __syncthreads();
<|#pragma unroll
|>    for (int $i = 0; $i < $TILE; ++$i) $acc += $ta[threadIdx.y][$i] * $tb[$i][threadIdx.x];
    __syncthreads();
  }
  if ($r < $m && $s < $n) $c[$r * $n + $s] = <|$acc|$acc + $c[$r * $n + $s]|>;
}
""",
    """
__global__ void $reduce(const float* $in, float* $out, unsigned $n) {
  extern __shared__ float $buf[];
  unsigned $t = threadIdx.x;
  unsigned $i = blockIdx.x * (blockDim.x * 2) + $t;
  float $mine = $i < $n ? $in[$i] : <|0.0f|-FLT_MAX|>;
  if ($i + blockDim.x < $n) $mine <|+= $in[$i + blockDim.x]|= fmaxf($mine, $in[$i + blockDim.x])|>;
  $buf[$t] = $mine;
  __syncthreads();
  for (unsigned $s = blockDim.x / 2; $s > 32; $s >>= 1) {
    if ($t < $s) $buf[$t] = $mine = $mine + $buf[$t + $s];
    __syncthreads();
  }
  if ($t < 32) {
    for (int $d = 16; $d > 0; $d /= 2) $mine += __shfl_down_sync(0xffffffff, $mine, $d);
  }
  if ($t == 0) $out[blockIdx.x] = $mine;
}
""",
    """
__global__ void $blelloch(int* $dst, const int* $src, int $n) {
  __shared__ int $tmp[2 * %N%];
  int $t = threadIdx.x, $off = 1;
  $tmp[2 * $t] = $src[2 * $t];
  $tmp[2 * $t + 1] = $src[2 * $t + 1];
  for (int $d = $n >> 1; $d > 0; $d >>= 1) {
    __syncthreads();
    if ($t < $d) {
      int $ai = $off * (2 * $t + 1) - 1;
      int $bi = $off * (2 * $t + 2) - 1;
      $tmp[$bi] += $tmp[$ai];
    }
    $off *= 2;
  }
  if ($t == 0) $tmp[$n - 1] = 0;
  for (int $d = 1; $d < $n; $d *= 2) {
    $off >>= 1;
    __syncthreads();
    if ($t < $d) {
      int $ai = $off * (2 * $t + 1) - 1;
      int $bi = $off * (2 * $t + 2) - 1;
      int $swap = $tmp[$ai];
      $tmp[$ai] = $tmp[$bi];
      $tmp[$bi] += $swap;
    }
  }
  __syncthreads();
  $dst[2 * $t] = $tmp[2 * $t];
  $dst[2 * $t + 1] = $tmp[2 * $t + 1];
}
""",
    """
struct $Block4 {
  %C% $scale;
  unsigned char $bytes[<|16|32|>];
};

__device__ float $dot4(const $Block4& $blk, const float* $vec) {
  float $s = 0.f;
  for (int $i = 0; $i < <|16|32|>; $i++) {
    const int $low = ($blk.$bytes[$i] & 0x0f) - 8;
    const int $high = ($blk.$bytes[$i] >> 4) - 8;
    $s += $low * $vec[2 * $i] + $high * $vec[2 * $i + 1];
  }
  return $s * float($blk.$scale);
}

__global__ void $matvec4(const $Block4* $weights, const float* $vec, float* $out, int $rows, int $blocks) {
  const int $row = blockIdx.x * blockDim.y + threadIdx.y;
  if ($row >= $rows) return;
  float $sum = 0.f;
  for (int $b = threadIdx.x; $b < $blocks; $b += 32)
    $sum += $dot4($weights[$row * $blocks + $b], $vec + $b * <|32|64|>);
  for (int $d = 16; $d; $d >>= 1) $sum += __shfl_xor_sync(~0u, $sum, $d);
  if (threadIdx.x == 0) $out[$row] = $sum;
}
""",
    """
__global__ void $transpose(const %C%* $in, %C%* $out, int $width, int $height) {
  __shared__ %C% $pad[%N%][%N% + 1];
  int $x1 = blockIdx.x * %N% + threadIdx.x;
  int $y1 = blockIdx.y * %N% + threadIdx.y;
  for (int $j = 0; $j < %N%; $j += <|8|4|>)
    if ($x1 < $width && $y1 + $j < $height)
      $pad[threadIdx.y + $j][threadIdx.x] = $in[($y1 + $j) * $width + $x1];
  __syncthreads();
  $x1 = blockIdx.y * %N% + threadIdx.x;
  $y1 = blockIdx.x * %N% + threadIdx.y;
  for (int $j = 0; $j < %N%; $j += <|8|4|>)
    if ($x1 < $height && $y1 + $j < $width)
      $out[($y1 + $j) * $height + $x1] = $pad[threadIdx.x][threadIdx.y + $j];
}
""",
    """
__global__ void $histogram(const unsigned char* $image, unsigned* $bins, size_t $count) {
  __shared__ unsigned $local[256];
  for (int $i = threadIdx.x; $i < 256; $i += blockDim.x) $local[$i] = 0;
  __syncthreads();
  size_t $stride = size_t(gridDim.x) * blockDim.x;
  for (size_t $p = size_t(blockIdx.x) * blockDim.x + threadIdx.x; $p < $count; $p += $stride)
    atomicAdd(&$local[$image[$p]], 1u);
  __syncthreads();
  for (int $i = threadIdx.x; $i < 256; $i += blockDim.x)
    if ($local[$i]) atomicAdd(&$bins[$i], $local[$i]);
}
""",
    """
__global__ void $stencil(const %C%* __restrict__ $old, %C%* __restrict__ $fresh, int $nx, int $ny, %C% $coef) {
  const int $i = blockIdx.x * blockDim.x + threadIdx.x + 1;
  const int $j = blockIdx.y * blockDim.y + threadIdx.y + 1;
  if ($i >= $nx - 1 || $j >= $ny - 1) return;
  const int $at = $j * $nx + $i;
  const %C% $mid = $old[$at];
  const %C% $lap = $old[$at - 1] + $old[$at + 1] + $old[$at - $nx] + $old[$at + $nx] - 4 * $mid;
  $fresh[$at] = $mid + $coef * $lap;
}
""",
)

HELPERS = (
    """
inline float $gelu(float $x1) {
  const float $inner = 0.7978845608f * ($x1 + 0.044715f * $x1 * $x1 * $x1);
  return 0.5f * $x1 * (1.0f + tanh($inner));
}
""",
    """
inline uint $mix(uint $s) {
  $s ^= $s >> 16;
  $s *= 0x7feb352du;
  $s ^= $s >> 15;
  $s *= 0x846ca68bu;
  return $s ^ ($s >> 16);
}
""",
    """
template <typename $A>
inline $A $blend($A $p, $A $q, float $t) {
  return <|$p + ($q - $p) * $t|$p * (1 - $t) + $q * $t|>;
}
""",
    """
inline int $ceil_div(int $p, int $q) {
  return ($p + $q - 1) / $q;
}
""",
    """
inline void $swap_if(bool $cond, thread float& $p, thread float& $q) {
  const float $keep = $p;
  $p = $cond ? $q : $p;
  $q = $cond ? $keep : $q;
}
""",
    """
struct $Range {
  int $first;
  int $count;
  bool $holds(int $i) const { return $i >= $first && $i < $first + $count; }
};
""",
)

HOST = (
    """
class $Pool {
 public:
  explicit $Pool(std::size_t $limit) : $limit_m($limit) {}

  void* $take(std::size_t $bytes) {
    std::lock_guard<std::mutex> $guard($lock_m);
    auto $it = $free_m.lower_bound($bytes);
    if ($it != $free_m.end() && $it->first < 2 * $bytes) {
      void* $block = $it->second;
      $free_m.erase($it);
      return $block;
    }
    $used_m += $bytes;
    return $used_m > $limit_m ? nullptr : std::malloc($bytes);
  }

 private:
  std::size_t $limit_m, $used_m = 0;
  std::multimap<std::size_t, void*> $free_m;
  std::mutex $lock_m;
};
""",
    """
std::vector<int> $row_major(const std::vector<int>& $dims) {
  std::vector<int> $steps($dims.size());
  int $run = 1;
  for (int $i = static_cast<int>($dims.size()) - 1; $i >= 0; --$i) {
    $steps[$i] = $run;
    $run *= $dims[$i];
  }
  return $steps;
}
""",
    """
bool $read_all(const std::string& $name, std::vector<char>& $bytes) {
  std::ifstream $file($name, std::ios::binary);
  if (!$file) {
    std::cerr << "cannot open " << $name << std::endl;
    return false;
  }
  $file.seekg(0, std::ios::end);
  $bytes.resize($file.tellg());
  $file.seekg(0);
  return bool($file.read($bytes.data(), $bytes.size()));
}
""",
    """
double $median(std::vector<double> $samples) {
  if ($samples.empty()) throw std::invalid_argument("no samples");
  auto $mid = $samples.begin() + $samples.size() / 2;
  std::nth_element($samples.begin(), $mid, $samples.end());
  return *$mid;
}
""",
    """
template <typename $Fn>
void $each_chunk(std::size_t $total, unsigned $workers, $Fn&& $fn) {
  std::vector<std::thread> $crew;
  const std::size_t $per = ($total + $workers - 1) / $workers;
  for (unsigned $w = 0; $w < $workers; ++$w) {
    const std::size_t $lo1 = $w * $per, $hi1 = std::min($total, $lo1 + $per);
    if ($lo1 < $hi1) $crew.emplace_back([=, &$fn] { $fn($lo1, $hi1); });
  }
  for (auto& $one : $crew) $one.join();
}
""",
)
