// Sum of integers by launches until one number is left, each of whose blocks replaces 512 numbers by their sum: the host
// decides the grid of every launch from the one before, and swaps two buffers. Dynamic shared memory, then shuffles.
#include "check.h"
#include <utility>
#include <vector>

const int BLOCK = 256;

__global__ void sum_blocks(const unsigned* in, unsigned* out, int n)
{
    extern __shared__ unsigned partial[];
    const int thread = threadIdx.x, i = blockIdx.x * 2 * BLOCK + thread;
    partial[thread] = (i < n ? in[i] : 0) + (i + BLOCK < n ? in[i + BLOCK] : 0);
    __syncthreads();
    for (int half = BLOCK / 2; half >= 32; half /= 2) {
        if (thread < half) partial[thread] += partial[thread + half];
        __syncthreads();
    }
    if (thread < 32) {
        unsigned sum = partial[thread];
        for (int distance = 16; distance; distance /= 2) sum += __shfl_down_sync(~0u, sum, distance);
        if (thread == 0) out[blockIdx.x] = sum;
    }
}

int main()
{
    const int n = 300007; // three launches: 586 sums, 2, then 1
    std::vector<unsigned> numbers(n);
    unsigned expected = 0;
    for (int i = 0; i < n; i++) expected += numbers[i] = scrambled(i);

    unsigned *from, *to;
    OK(cudaMalloc(&from, n * sizeof *from));
    OK(cudaMalloc(&to, n * sizeof *to));
    OK(cudaMemcpy(from, numbers.data(), n * sizeof *from, cudaMemcpyHostToDevice));
    int left = n, launches = 0;
    while (left > 1) {
        const int blocks = (left + 2 * BLOCK - 1) / (2 * BLOCK);
        sum_blocks<<<blocks, BLOCK, BLOCK * sizeof(unsigned)>>>(from, to, left);
        OK(cudaGetLastError());
        std::swap(from, to);
        left = blocks;
        launches++;
    }
    unsigned sum;
    OK(cudaMemcpy(&sum, from, sizeof sum, cudaMemcpyDeviceToHost));
    printf("%d launches\n", launches);
    return verdict((sum != expected) + (launches != 3));
}
