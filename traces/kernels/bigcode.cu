// Straight-line code far larger than the instruction caches: PHASES unrolled functions of about 36 KB each, so one
// alone exceeds an L0 cache of 32 KB and all together an L1 of 128 KB. Consecutive blocks run different phases.
// Every step has a constant of its own, which keeps the compiler from rolling the loop up again.
#define PHASES 5
#define STEPS 256

__device__ __forceinline__ unsigned rotate(unsigned value, unsigned by) { return value << by | value >> (32 - by); }

template <unsigned PHASE>
__device__ __noinline__ uint4 scramble(uint4 v)
{
#pragma unroll
    for (unsigned step = 0; step < STEPS; ++step) {
        const unsigned key = (PHASE * STEPS + step + 1) * 2654435761u;
        v.x += v.y ^ key;
        v.w = rotate(v.w ^ v.x, 16);
        v.z += v.w ^ key >> 7;
        v.y = rotate(v.y ^ v.z, 11);
    }
    return v;
}

extern "C" __global__ void bigcode(const uint4* __restrict__ in, uint4* __restrict__ out, int rounds)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    uint4 v = in[thread];
    for (int r = 0; r < rounds; ++r) {
        switch (blockIdx.x % PHASES) {
        case 0: v = scramble<0>(v); break;
        case 1: v = scramble<1>(v); break;
        case 2: v = scramble<2>(v); break;
        case 3: v = scramble<3>(v); break;
        default: v = scramble<4>(v); break;
        }
    }
    out[thread] = v;
}
