# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels as any textbook has them, written for these tests and related to no project.

`$name` becomes a name that is drawn anew for each kernel, `%N%` a size, `%T%` a type, and of `<|one|other|>` one is
taken. CUDA (and METAL of `metal_templates`) are kernels, HELPERS are device functions that either may use, HOST is for
the host's C++.
"""

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
