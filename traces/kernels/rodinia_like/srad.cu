// Speckle-reducing anisotropic diffusion: per iteration, the variance of the image (one block), a diffusion
// coefficient per pixel from its gradients, and the update by the divergence of coefficient times gradient. At the
// edge a pixel stands in for its missing neighbour.
#define THREADS 256

extern "C" __global__ __launch_bounds__(THREADS) void statistics(const float* __restrict__ image, float* variation,
                                                                 int count)
{
    __shared__ float sums[THREADS], squares[THREADS];
    int thread = threadIdx.x;
    float sum = 0.0f, square = 0.0f;
    for (int i = thread; i < count; i += THREADS) {
        sum += image[i];
        square = fmaf(image[i], image[i], square);
    }
    sums[thread] = sum;
    squares[thread] = square;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (thread < half) {
            sums[thread] += sums[thread + half];
            squares[thread] += squares[thread + half];
        }
        __syncthreads();
    }
    if (thread == 0) {
        float mean = sums[0] / (float)count, mean_square = __fmul_rn(mean, mean);
        *variation = (squares[0] / (float)count - mean_square) / mean_square;
    }
}

extern "C" __global__ void coefficients(const float* __restrict__ image, const float* __restrict__ variation,
                                        float4* __restrict__ gradients, float* __restrict__ coefficient, int height,
                                        int width)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int i = y * width + x;
    float here = image[i], q0 = *variation;
    float4 d;
    d.x = (y > 0 ? image[i - width] : here) - here;
    d.y = (y < height - 1 ? image[i + width] : here) - here;
    d.z = (x > 0 ? image[i - 1] : here) - here;
    d.w = (x < width - 1 ? image[i + 1] : here) - here;
    float norm = fmaf(d.x, d.x, fmaf(d.y, d.y, fmaf(d.z, d.z, __fmul_rn(d.w, d.w)))) / __fmul_rn(here, here);
    float laplacian = (d.x + d.y + d.z + d.w) / here;
    float numerator = fmaf(0.5f, norm, -0.0625f * __fmul_rn(laplacian, laplacian));
    float base = fmaf(0.25f, laplacian, 1.0f);
    float q = numerator / __fmul_rn(base, base);
    float value = 1.0f / (1.0f + __fadd_rn(q, -q0) / __fmul_rn(q0, __fadd_rn(1.0f, q0)));
    gradients[i] = d;
    coefficient[i] = fminf(fmaxf(value, 0.0f), 1.0f);
}

extern "C" __global__ void diffuse(float* __restrict__ image, const float4* __restrict__ gradients,
                                   const float* __restrict__ coefficient, int height, int width, float rate)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int i = y * width + x;
    float here = coefficient[i];
    float below = y < height - 1 ? coefficient[i + width] : here, right = x < width - 1 ? coefficient[i + 1] : here;
    float4 d = gradients[i];
    float divergence = fmaf(here, d.x, fmaf(below, d.y, fmaf(here, d.z, __fmul_rn(right, d.w))));
    image[i] = fmaf(0.25f * rate, divergence, image[i]);
}
