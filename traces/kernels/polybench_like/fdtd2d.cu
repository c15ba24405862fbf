// Finite-difference time domain in two dimensions: three launches a time step update the electric field's two
// components and then the magnetic field. The upper border of `ey` is driven by a signal, one value per step.
extern "C" __global__ void update_ey(float* __restrict__ ey, const float* __restrict__ hz,
                                     const float* __restrict__ signal, int height, int width, int step)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int i = y * width + x;
    ey[i] = y == 0 ? signal[step] : fmaf(-0.5f, hz[i] - hz[i - width], ey[i]);
}

extern "C" __global__ void update_ex(float* __restrict__ ex, const float* __restrict__ hz, int height, int width)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x == 0 || x >= width || y >= height) return;
    int i = y * width + x;
    ex[i] = fmaf(-0.5f, hz[i] - hz[i - 1], ex[i]);
}

extern "C" __global__ void update_hz(float* __restrict__ hz, const float* __restrict__ ex,
                                     const float* __restrict__ ey, int height, int width)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width - 1 || y >= height - 1) return;
    int i = y * width + x;
    float curl = (ex[i + 1] - ex[i]) + (ey[i + width] - ey[i]);
    hz[i] = fmaf(-0.7f, curl, hz[i]);
}
