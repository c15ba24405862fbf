// Inclusive prefix sum of integers in three launches: scan_blocks over the data (which also stores each
// block's total), scan_blocks over the totals (one block), add_totals. Block of 256 threads: a shuffle scan
// in each warp, then one warp scans the warps' totals.
#define THREADS 256

__device__ int warp_scan(int value)
{
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
        int below = __shfl_up_sync(0xffffffffu, value, distance);
        if (lane >= distance) value += below;
    }
    return value;
}

extern "C" __global__ void scan_blocks(const int* in, int* out, int* totals, int n)
{
    __shared__ int warp_totals[32];
    int i = blockIdx.x * THREADS + threadIdx.x;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int value = warp_scan(i < n ? in[i] : 0);
    if (lane == 31) warp_totals[warp] = value;
    __syncthreads();
    if (warp == 0) warp_totals[lane] = warp_scan(lane < THREADS / 32 ? warp_totals[lane] : 0);
    __syncthreads();
    if (warp > 0) value += warp_totals[warp - 1];
    if (i < n) out[i] = value;
    if (threadIdx.x == THREADS - 1) totals[blockIdx.x] = value;
}

extern "C" __global__ void add_totals(int* data, const int* totals, int n)
{
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (blockIdx.x > 0 && i < n) data[i] += totals[blockIdx.x - 1];
}
