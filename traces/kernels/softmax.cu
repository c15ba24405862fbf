// Softmax of each row, one block per row: maximum, sum of exponentials, division. Block of 128 threads.
#define THREADS 128
#define MINUS_INFINITY __int_as_float(0xff800000)

template <typename Combine>
__device__ float block_combine(float value, float neutral, Combine combine)
{
    __shared__ float per_warp[THREADS / 32];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
    __syncthreads();  // the previous call's readers are done
    if (threadIdx.x % 32 == 0) per_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = neutral;
#pragma unroll
    for (int w = 0; w < THREADS / 32; ++w) value = combine(value, per_warp[w]);
    return value;
}

extern "C" __global__ void softmax(const float* __restrict__ in, float* __restrict__ out, int columns)
{
    const float* row = in + blockIdx.x * columns;
    float largest = MINUS_INFINITY, sum = 0.0f;
    for (int i = threadIdx.x; i < columns; i += THREADS) largest = fmaxf(largest, row[i]);
    largest = block_combine(largest, MINUS_INFINITY, [](float a, float b) { return fmaxf(a, b); });
    for (int i = threadIdx.x; i < columns; i += THREADS) sum += expf(row[i] - largest);
    sum = block_combine(sum, 0.0f, [](float a, float b) { return a + b; });
    for (int i = threadIdx.x; i < columns; i += THREADS) out[blockIdx.x * columns + i] = expf(row[i] - largest) / sum;
}
