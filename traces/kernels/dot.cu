// Dot product: grid-stride partial sums, a shuffle tree per warp, one global atomic addition per warp.
extern "C" __global__ void dot(const float* __restrict__ a, const float* __restrict__ b, float* result, int n)
{
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum = fmaf(a[i], b[i], sum);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (threadIdx.x % 32 == 0) atomicAdd(result, sum);
}
