// Loads with a stride: neighbouring threads read words `stride` apart, wrapping at n (a power of two), so a
// warp touches from 4 to 32 sectors.
extern "C" __global__ void strided(const float* __restrict__ in, float* __restrict__ out, int n, int stride, int loads)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int step = gridDim.x * blockDim.x;
    float sum = 0.0f;
    for (int l = 0; l < loads; ++l) sum += in[(i + l * step) * stride & n - 1];
    out[i] = sum;
}
