// L2 bandwidth: 16-byte loads that bypass the L1 data cache (.CG), over a region that stays in the L2. Every block
// begins at another place; eight independent loads per round. `quads` is a power of two.
#define LOADS 8

extern "C" __global__ void l2_bandwidth(const uint4* __restrict__ in, unsigned* __restrict__ out, int quads, int rounds)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x, stride = gridDim.x * blockDim.x;
    unsigned sum = 0;
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int k = 0; k < LOADS; ++k) {
            uint4 value = __ldcg(in + ((thread + (round * LOADS + k) * stride) & (quads - 1)));
            sum += (value.x ^ value.y) + (value.z ^ value.w);
        }
    }
    out[thread] = sum;
}
