// Locks by compare-and-swap. All lanes of all warps want the block's lock in shared memory: the lane that gets it works
// inside the loop, the others try again. For the grid's lock in global memory one lane per warp waits in a loop of its
// own, sleeping between its attempts.
extern "C" __global__ void spin_lock(const int* __restrict__ values, int* lock, volatile int* totals, int* block_sums)
{
    __shared__ int block_lock;
    __shared__ volatile int sum, entries;
    if (threadIdx.x == 0) block_lock = sum = entries = 0;
    __syncthreads();
    int value = values[blockIdx.x * blockDim.x + threadIdx.x];
    for (bool done = false; !done;) {
        if (atomicCAS(&block_lock, 0, 1) == 0) {
            sum = sum + value;
            entries = entries + 1;
            __threadfence_block();
            atomicExch(&block_lock, 0);
            done = true;
        }
    }
    if (threadIdx.x % 32 == 0) {
        while (atomicCAS(lock, 0, 1) != 0) __nanosleep(20);
        __threadfence();
        totals[0] = totals[0] + value;
        totals[1] = totals[1] + 1;
        __threadfence();
        atomicExch(lock, 0);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        block_sums[2 * blockIdx.x] = sum;
        block_sums[2 * blockIdx.x + 1] = entries;
    }
}
