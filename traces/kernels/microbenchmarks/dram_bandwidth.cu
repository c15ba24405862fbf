// DRAM bandwidth: a stream far larger than the L2 is copied, read only and written only, 16 bytes per thread and
// access, in a grid-stride loop.
extern "C" __global__ void stream_copy(const uint4* __restrict__ in, uint4* __restrict__ out, int quads)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < quads; i += gridDim.x * blockDim.x) out[i] = in[i];
}

extern "C" __global__ void stream_read(const uint4* __restrict__ in, unsigned* __restrict__ sums, int quads)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned sum = 0;
    for (int i = thread; i < quads; i += gridDim.x * blockDim.x) {
        uint4 value = in[i];
        sum += (value.x ^ value.y) + (value.z ^ value.w);
    }
    sums[thread] = sum;
}

extern "C" __global__ void stream_write(uint4* __restrict__ out, int quads)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < quads; i += gridDim.x * blockDim.x)
        out[i] = make_uint4(i, ~i, i + 1, i << 8);
}
