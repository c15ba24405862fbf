// Arithmetic peak without operand reuse: CHAINS independent chains per thread, each with factors of its own, so
// that consecutive instructions share no register and the register file's read ports set the pace. `ffma` is the
// counterpart whose chains share their factors.
#define CHAINS 8
#define UNROLL 16

template <typename Step>
__device__ __forceinline__ float run(const float* __restrict__ start, const float* __restrict__ factors, int thread,
                                     int rounds, Step step)
{
    float x[CHAINS], y[CHAINS], z[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; ++c) {
        x[c] = start[thread] * (0.125f * (c + 1));
        y[c] = factors[c];
        z[c] = factors[CHAINS + c];
    }
    for (int r = 0; r < rounds; ++r) {
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) {
#pragma unroll
            for (int c = 0; c < CHAINS; ++c) x[c] = step(x[c], y[c], z[c]);
        }
    }
    float sum = x[0];
#pragma unroll
    for (int c = 1; c < CHAINS; ++c) sum += x[c];
    return sum;
}

// One FFMA with three registers per step.
extern "C" __global__ void multiply_add(const float* __restrict__ start, const float* __restrict__ factors,
                                        float* __restrict__ out, int rounds)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    out[thread] = run(start, factors, thread, rounds, [](float x, float y, float z) { return fmaf(x, y, z); });
}

// The logistic map: an FFMA and an FMUL per step; values stay in 0..z/y while z <= 4.
extern "C" __global__ void multiply_multiply_add(const float* __restrict__ start, const float* __restrict__ factors,
                                                 float* __restrict__ out, int rounds)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    out[thread] = run(start, factors, thread, rounds, [](float x, float y, float z) { return fmaf(-y, x, z) * x; });
}
