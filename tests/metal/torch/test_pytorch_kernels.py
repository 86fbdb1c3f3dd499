# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's own Metal code, out of the installed torch's headers, run through torch.mps.compile_shader.

`#include` of a header of torch is resolved by compile_shader itself. The witness is torch on the CPU.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
import torch

import porter.metal

INCLUDE = Path(torch.__file__).parent / "include"
KERNELS = "ATen/native/mps/kernels"
START = "#include <metal_stdlib>\nusing namespace metal;\n#include <c10/metal/common.h>\n#include <c10/metal/utils.h>\n"


@pytest.fixture(autouse=True, scope="module")
def device() -> None:
    porter.metal.enable_torch()


def compiled(*includes: str, source: str = ""):
    return torch.mps.compile_shader(START + "".join(f"#include <{name}>\n" for name in includes) + source)


HEADERS = [
    *(f"c10/metal/{path.name}" for path in sorted((INCLUDE / "c10/metal").glob("*.h"))),
    *(f"{KERNELS}/{path.name}" for path in sorted((INCLUDE / KERNELS).glob("*.h"))),
]


def test_the_headers_are_there() -> None:
    assert len(HEADERS) >= 29  # of torch 2.13


# SortTopK.h includes SortMerge.h and SortRadix.h, whose instantiations (about 300 kernels) are compiled once, there.
@pytest.mark.parametrize("name", [name for name in HEADERS if Path(name).stem not in ("SortMerge", "SortRadix")])
def test_every_header_compiles(name) -> None:
    library = compiled(name, source="kernel void probe(device float* out) { out[0] = 1; }\n")
    assert "probe" in dir(library)


UNARY = """
struct cube_functor {
  template <typename T>
  inline T operator()(const T x) { return x * x * x; }
};
REGISTER_UNARY_OP(cube, float, float);
REGISTER_UNARY_OP(cube, half, half);
REGISTER_UNARY_OP(cube, int, int);
"""


@pytest.mark.parametrize(("dtype", "name"), [(torch.float32, "float"), (torch.float16, "half"), (torch.int32, "int")])
def test_elementwise_kernels(dtype, name) -> None:
    library = compiled("c10/metal/indexing.h", source=UNARY)
    values = torch.arange(-15, 16).to(dtype)  # cubes below 2**12: two roundings in half, the same on the CPU
    expected = values * values * values
    there = values.to("mps")
    for variant in ("dense", "dense_scalar"):
        out = torch.zeros_like(there)
        arguments = [out, there] + ([len(values)] if variant == "dense" else [])
        threads = math.ceil(len(values) / 4) if variant == "dense" else len(values)
        getattr(library, f"cube_{variant}_{name}_{name}")(*arguments, threads=threads, arg_casts="int32")
        assert torch.equal(out.cpu(), expected)


def test_an_elementwise_kernel_over_strides() -> None:
    library = compiled("c10/metal/indexing.h", source=UNARY)
    values = torch.arange(24.0).reshape(4, 6).to("mps")
    inputs, out = values.t(), torch.zeros(6, 4, device="mps")
    # Sizes innermost first, strides in bytes.
    sizes, strides, out_strides = [4, 6], [24, 4], [4, 16]
    library.cube_strided_float_float(
        out, inputs, sizes, strides, out_strides, 2, threads=(4, 6), arg_casts={5: "int32"}
    )
    assert torch.equal(out.cpu(), values.cpu().t() ** 3)


def test_a_threadgroups_sum() -> None:
    library = compiled(
        "c10/metal/reduction_utils.h",
        source="kernel void total(device float* out, constant float* x, uint i [[thread_position_in_threadgroup]], "
        "uint n [[threads_per_threadgroup]], uint g [[threadgroup_position_in_grid]], "
        "uint at [[thread_position_in_grid]]) { threadgroup float scratch[32]; "
        "float sum = ::c10::metal::threadgroup_sum(scratch, x[at], i, n); if (i == 0) { out[g] = sum; } }\n",
    )
    values = torch.arange(2048.0)
    out = torch.zeros(4, device="mps")
    library.total(out, values.to("mps"), threads=2048, group_size=512)
    assert torch.equal(out.cpu(), values.view(4, 512).sum(1))  # integers below 2**24: exact in any order


@pytest.mark.parametrize(("kind", "dtype"), [("float", torch.float32), ("int", torch.int32), ("half", torch.float16)])
def test_atomic_sums(kind, dtype) -> None:
    library = compiled(
        "c10/metal/atomic.h",
        source=f"using namespace c10::metal;\nkernel void count(device AtomicType_t<{kind}>* out, "
        f"uint i [[thread_position_in_grid]]) {{ AtomicType<{kind}>::atomic_add(out, i % 3, {kind}(1)); }}\n",
    )
    out = torch.zeros(4, dtype=dtype, device="mps")
    library.count(out, threads=900, group_size=100)
    assert out.tolist() == [300, 300, 300, 0]


def philox(seed: int, index: int) -> list[int]:
    """Philox4x32 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

    As PyTorch's Metal code has it: high words come before low ones, and there are nine rounds where it says ten.
    """
    counter, key = [0, 0, index >> 32, index & 0xFFFFFFFF], [seed >> 32, seed & 0xFFFFFFFF]
    for _ in range(9):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ key[0],
            second & 0xFFFFFFFF,
            (first >> 32) ^ counter[3] ^ key[1],
            first & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def test_random_bits_are_philoxs() -> None:
    library = compiled(
        "c10/metal/random.h",
        source="kernel void draw(device uint4* out, constant long& seed, uint i [[thread_position_in_grid]]) "
        "{ out[i] = ::c10::metal::philox4::rand(seed, i); }\n",
    )
    seed = 0x1234567890
    out = torch.zeros(8, 4, dtype=torch.int32, device="mps")
    library.draw(out, seed, threads=8)
    assert [[word & 0xFFFFFFFF for word in row] for row in out.tolist()] == [philox(seed, i) for i in range(8)]


# A function, torch's own of the same name, where it is compared, and roundings on the longest path of its
# approximation: terms of its polynomials (special_math.h), twice, and as many again for what comes before and after.
SPECIAL = {
    "erf": (torch.erf, (-4, 4), 40),
    "erfinv": (torch.erfinv, (-0.99, 0.99), 40),
    "i0": (torch.special.i0, (-8, 8), 120),
    "i0e": (torch.special.i0e, (-8, 8), 120),
    "i1": (torch.special.i1, (-8, 8), 120),
    "digamma": (torch.digamma, (2.0, 20), 80),
    "bessel_j0_forward": (torch.special.bessel_j0, (0, 2), 80),
    "modified_bessel_i0_forward": (torch.special.modified_bessel_i0, (-8, 8), 120),
    "modified_bessel_k0_forward": (torch.special.modified_bessel_k0, (0.1, 8), 120),
    "erfcx": (torch.special.erfcx, (-2, 10), 80),
    # These call themselves.
    "log_gamma": (torch.lgamma, (2.5, 20), 80),
    "bessel_j1_forward": (torch.special.bessel_j1, (0, 2), 80),
}


@pytest.fixture(scope="module")
def special():
    kernels = "".join(
        f"kernel void run_{name}(device float* out, constant float* x, uint i [[thread_position_in_grid]]) "
        f"{{ out[i] = ::c10::metal::{name}(x[i]); }}\n"
        for name in SPECIAL
    )
    return compiled("c10/metal/special_math.h", source=kernels)


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions(special, name) -> None:
    function, (low, high), roundings = SPECIAL[name]
    x = torch.linspace(low, high, 401)
    out = torch.zeros(401, device="mps")
    getattr(special, f"run_{name}")(out, x.to("mps"))
    expected = function(x.double())
    assert torch.allclose(out.cpu().double(), expected, rtol=roundings * 2**-24, atol=roundings * 2**-24)


@pytest.mark.parametrize("descending", [False, True])
def test_the_sort_of_one_block(descending) -> None:
    library = compiled(f"{KERNELS}/SortMerge.h")
    torch.manual_seed(0)
    values = torch.randint(0, 20, (5, 100)).float()  # with many ties
    there = values.to("mps")
    out, places = torch.zeros_like(there), torch.zeros(5, 100, dtype=torch.int64, device="mps")
    library.sort_block_float_tptg32_stable(
        there, out, places, 100, [1, 100], descending, threads=(32, 5, 1), group_size=(32, 1, 1),
        arg_casts={3: "int32", 5: "int8"},
    )  # fmt: skip
    expected = torch.sort(values, dim=1, descending=descending, stable=True)
    assert torch.equal(out.cpu(), expected.values)
    assert torch.equal(places.cpu(), expected.indices)


def test_attention_over_one_query() -> None:
    library = compiled(f"{KERNELS}/DecodeAttention.h")
    torch.manual_seed(0)
    heads, keys, width = 4, 70, 64
    query, key, value = torch.randn(heads, 1, width), torch.randn(heads, keys, width), torch.randn(heads, keys, width)
    out = torch.zeros(heads, 1, width, device="mps")
    scale = width**-0.5
    nothing = torch.zeros(4, dtype=torch.int32, device="mps")
    library.sdpa_vector_float_64_64_masknone(
        query.to("mps"), key.to("mps"), value.to("mps"), out, 1, keys,
        [width, keys * width, keys * width, 0],  # strides of a head of q, k and v; a uint3 is 16 bytes
        [width, width, width, 0],
        scale, nothing, [0, 0, 0, 0],
        [heads * width, heads * keys * width, heads * keys * width, heads],
        threads=(1024 * heads, 1, 1), group_size=(1024, 1, 1),
        arg_casts=dict.fromkeys((4, 5, 6, 7, 10, 11), "int32"),
    )  # fmt: skip
    expected = torch.softmax(query.double() @ key.double().mT * scale, -1) @ value.double()
    # Scores are sums of 64 products of numbers below 4, |score| below 8: an error of 64 * 2**-24 * 8 in the exponent,
    # the same relative error in each weight, and 70 more roundings in the weighted sum of numbers below 5.
    tolerance = (64 * 2**-24 * 8 + 70 * 2**-24) * 5
    assert (out.cpu().double() - expected).abs().max() <= tolerance


@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_tiles(causal) -> None:
    library = compiled(f"{KERNELS}/PrefillAttention.h")
    torch.manual_seed(0)
    batch, heads, length, width = 2, 2, 50, 32  # a whole tile of 32 rows and a part of one
    query, key, value = (torch.randn(batch, heads, length, width) for _ in range(3))
    out = torch.zeros(batch, heads, length, width, device="mps")
    scale, softcapping = width**-0.5, 1.0
    strides = [heads * length * width, length * width, width]
    params = struct.pack("<6i2f12i", batch, heads, width, length, length, 1, scale, softcapping, *strides * 4)
    nothing = torch.zeros(4, dtype=torch.int32, device="mps")
    kernel = getattr(library, f"prefill_attention_float32_bq32_bk32_bd32_wm4_wn1_hm0_dc{int(causal)}_maskfloat32")
    kernel(
        *(one.to("mps") for one in (query, key, value)), out,
        torch.frombuffer(bytearray(params), dtype=torch.uint8).to("mps"), nothing, nothing,
        threads=(2 * 128, heads, batch), group_size=(128, 1, 1),
    )  # fmt: skip
    scores = query.double() @ key.double().mT * scale
    if causal:
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -torch.inf)
    expected = torch.softmax(scores, -1) @ value.double()
    # As above, with sums of 32 products for the scores, |score| below 8, and 50 keys; the kernel takes exp2 of scores
    # times log2(e), two roundings more of numbers below 12.
    tolerance = (32 * 2**-24 * 8 + 2 * 2**-24 * 12 + 50 * 2**-24) * 5
    assert (out.cpu().double() - expected).abs().max() <= tolerance
