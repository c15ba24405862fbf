// y = alpha * x + y with a grid-stride loop: every thread handles several elements.
extern "C" __global__ void saxpy(int n, float alpha, const float* __restrict__ x, float* __restrict__ y)
{
    int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) y[i] = fmaf(alpha, x[i], y[i]);
}
