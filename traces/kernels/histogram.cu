// 256-bin histogram of bytes (four per loaded word): shared-memory atomics in the block, then one global
// atomic addition per bin that is not empty.
#define BINS 256

extern "C" __global__ void histogram(const unsigned* __restrict__ words, unsigned* bins, int n)
{
    __shared__ unsigned local_bins[BINS];
    for (int i = threadIdx.x; i < BINS; i += blockDim.x) local_bins[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        unsigned word = words[i];
#pragma unroll
        for (int shift = 0; shift < 32; shift += 8) atomicAdd(&local_bins[(word >> shift) & 255u], 1u);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < BINS; i += blockDim.x)
        if (local_bins[i] != 0) atomicAdd(&bins[i], local_bins[i]);
}
