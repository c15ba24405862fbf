// Arithmetic peak: CHAINS independent multiply-add chains per thread, so that neither the latency of one
// chain nor memory limits the issue rate. The factors are loaded, which keeps the compiler from folding.
#define CHAINS 16
#define UNROLL 8

extern "C" __global__ void ffma(const float* __restrict__ start, const float* __restrict__ factors,
                                float* __restrict__ out, int rounds)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    float scale = factors[0], shift = factors[1], x[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; ++c) x[c] = start[thread] + (float)c;

    for (int r = 0; r < rounds; ++r) {
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) {
#pragma unroll
            for (int c = 0; c < CHAINS; ++c) x[c] = fmaf(x[c], scale, shift);
        }
    }

    float sum = x[0];
#pragma unroll
    for (int c = 1; c < CHAINS; ++c) sum += x[c];
    out[thread] = sum;
}
