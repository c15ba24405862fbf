// Threads take a lock by compare-and-swap, in shared memory for a block's own sums and in global memory for those of
// the grid. All lanes of a warp want the same lock, so that a lane that holds it must go on while the others spin.
__device__ void take(int* lock)
{
    while (atomicCAS(lock, 0, 1) != 0) __nanosleep(20);
    __threadfence();
}

__device__ void release(int* lock)
{
    __threadfence();
    atomicExch(lock, 0);
}

extern "C" __global__ void spin_lock(const int* __restrict__ values, int* lock, volatile int* totals, int* block_sums,
                                     int participants)
{
    __shared__ int block_lock;
    __shared__ volatile int sum, entries;
    if (threadIdx.x == 0) block_lock = sum = entries = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x, value = values[i];
    take(&block_lock);
    sum = sum + value;
    entries = entries + 1;
    release(&block_lock);
    if (threadIdx.x % 32 < participants) {
        take(lock);
        totals[0] = totals[0] + value;
        totals[1] = totals[1] + 1;
        release(lock);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        block_sums[2 * blockIdx.x] = sum;
        block_sums[2 * blockIdx.x + 1] = entries;
    }
}
