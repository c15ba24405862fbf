// More live values than registers: 80 running values per thread under a limit of 64 registers spill to local memory.
#define VALUES 80

extern "C" __global__ __launch_bounds__(1024) void spills(const unsigned* __restrict__ in, unsigned* __restrict__ out,
                                                          int count, int rounds)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    unsigned values[VALUES];
#pragma unroll
    for (int k = 0; k < VALUES; ++k) values[k] = in[(i + 37 * k) % count];
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int k = 0; k < VALUES; ++k) values[k] = values[k] * 5 + (values[(k + 31) % VALUES] ^ round);
    }
    unsigned sum = 0;
#pragma unroll
    for (int k = 0; k < VALUES; ++k) sum = sum * 3 + values[k];
    out[i] = sum;
}
