// Layer normalisation of fp16 rows: mean and variance in fp32 by shuffles and shared memory, scale and shift per column.
// One block of 256 threads per row; the row stays in registers between its passes, up to 8 numbers a thread.
#include <cuda_fp16.h>
#define THREADS 256
#define PAIRS 4

__device__ float block_sum(float value)
{
    __shared__ float sums[THREADS / 32];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    float total = 0.0f;
#pragma unroll
    for (int k = 0; k < THREADS / 32; ++k) total += sums[k];
    return total;
}

extern "C" __global__ __launch_bounds__(THREADS) void layernorm(const __half2* __restrict__ in,
                                                                const float2* __restrict__ scale,
                                                                const float2* __restrict__ shift,
                                                                __half2* __restrict__ out, int pairs, float epsilon)
{
    const __half2* row = in + (long long)blockIdx.x * pairs;
    float2 values[PAIRS];
    float sum = 0.0f, squares = 0.0f;
#pragma unroll
    for (int k = 0; k < PAIRS; ++k) {
        int i = threadIdx.x + k * THREADS;
        values[k] = i < pairs ? __half22float2(row[i]) : make_float2(0.0f, 0.0f);
        sum += values[k].x + values[k].y;
    }
    float mean = block_sum(sum) / (float)(2 * pairs);
#pragma unroll
    for (int k = 0; k < PAIRS; ++k) {
        if (threadIdx.x + k * THREADS < pairs) {
            float x = values[k].x - mean, y = values[k].y - mean;
            squares += x * x + y * y;
        }
    }
    float factor = rsqrtf(block_sum(squares) / (float)(2 * pairs) + epsilon);
#pragma unroll
    for (int k = 0; k < PAIRS; ++k) {
        int i = threadIdx.x + k * THREADS;
        if (i >= pairs) break;
        float2 s = scale[i], t = shift[i];
        out[(long long)blockIdx.x * pairs + i] =
            __floats2half2_rn((values[k].x - mean) * factor * s.x + t.x, (values[k].y - mean) * factor * s.y + t.y);
    }
}
