// L1 data cache bandwidth: every block reads the same few kilobytes again and again, with 4 and with 16 bytes per
// thread and eight independent loads per round. `words` is a power of two.
#define LOADS 8

extern "C" __global__ void l1_words(const unsigned* __restrict__ in, unsigned* __restrict__ out, int words, int rounds)
{
    int thread = threadIdx.x, size = blockDim.x;
    unsigned sum = 0;
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int k = 0; k < LOADS; ++k) sum += __ldca(in + ((thread + (round * LOADS + k) * size) & (words - 1)));
    }
    out[blockIdx.x * size + thread] = sum;
}

extern "C" __global__ void l1_quads(const uint4* __restrict__ in, unsigned* __restrict__ out, int quads, int rounds)
{
    int thread = threadIdx.x, size = blockDim.x;
    unsigned sum = 0;
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int k = 0; k < LOADS; ++k) {
            uint4 value = __ldca(in + ((thread + (round * LOADS + k) * size) & (quads - 1)));
            sum += (value.x ^ value.y) + (value.z ^ value.w);
        }
    }
    out[blockIdx.x * size + thread] = sum;
}
