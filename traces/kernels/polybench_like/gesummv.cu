// y = alpha * A x + beta * B x: a block of 128 threads per row, sums folded through shared memory.
#define THREADS 128

extern "C" __global__ __launch_bounds__(THREADS) void gesummv(const float* __restrict__ a,
                                                              const float* __restrict__ b,
                                                              const float* __restrict__ x, float* __restrict__ y,
                                                              int n, float alpha, float beta)
{
    __shared__ float2 sums[THREADS];
    int thread = threadIdx.x, row = blockIdx.x;
    float2 sum = make_float2(0.0f, 0.0f);
    for (int k = thread; k < n; k += THREADS) {
        float factor = x[k];
        sum.x = fmaf(a[row * n + k], factor, sum.x);
        sum.y = fmaf(b[row * n + k], factor, sum.y);
    }
    sums[thread] = sum;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (thread < half) {
            sums[thread].x += sums[thread + half].x;
            sums[thread].y += sums[thread + half].y;
        }
        __syncthreads();
    }
    if (thread == 0) y[row] = fmaf(alpha, sums[0].x, beta * sums[0].y);
}
