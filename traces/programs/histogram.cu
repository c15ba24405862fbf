// Histogram of bytes in managed memory: host and kernels read and write the same pointers, and a __managed__ variable by
// its name. Atomics in shared memory, whose counters are added to those of the whole at the end of each block.
#include "check.h"
#include <vector>

const int BINS = 256;
__managed__ unsigned largest; // count of any bin

__global__ void histogram(const unsigned char* bytes, int n, unsigned* bins)
{
    __shared__ unsigned own[BINS];
    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) own[bin] = 0;
    __syncthreads();
    const int all = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += all) atomicAdd(own + bytes[i], 1u);
    __syncthreads();
    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x)
        if (own[bin]) atomicAdd(bins + bin, own[bin]);
}

__global__ void find_largest(const unsigned* bins)
{
    atomicMax(&largest, bins[threadIdx.x]);
}

int main()
{
    const int n = 100000;
    unsigned char* bytes;
    unsigned* bins;
    OK(cudaMallocManaged(&bytes, n));
    OK(cudaMallocManaged(&bins, BINS * sizeof *bins));
    std::vector<unsigned> expected(BINS);
    for (int i = 0; i < n; i++) {
        // products crowd at small numbers, so that lanes of a warp often meet in one bin
        bytes[i] = (scrambled(2 * i) & 255) * (scrambled(2 * i + 1) & 255) >> 8;
        expected[bytes[i]]++;
    }
    for (int bin = 0; bin < BINS; bin++) bins[bin] = 0;

    histogram<<<16, 256>>>(bytes, n, bins);
    find_largest<<<1, BINS>>>(bins);
    OK(cudaDeviceSynchronize()); // before the host looks at managed memory

    long wrong = 0;
    unsigned most = 0;
    for (int bin = 0; bin < BINS; bin++) {
        wrong += bins[bin] != expected[bin];
        most = expected[bin] > most ? expected[bin] : most;
    }
    wrong += largest != most;
    OK(cudaFree(bytes));
    OK(cudaFree(bins));
    return verdict(wrong);
}
