// Packed half precision: a fused update, minimum and maximum, comparison and selection, conversions, and a sum kept in
// fp16; two numbers per thread and instruction.
#include <cuda_fp16.h>

extern "C" __global__ void packed_half(const __half2* __restrict__ x, __half2* __restrict__ y,
                                       __half2* __restrict__ bounded, __half2* __restrict__ chosen,
                                       float2* __restrict__ sums, int count, int rounds)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    __half2 scale = __floats2half2_rn(0.75f, -0.5f), low = __floats2half2_rn(-0.25f, -0.25f);
    __half2 value = x[i], result = y[i];
    bounded[i] = __hmin2(__hmax2(value, low), __floats2half2_rn(0.5f, 0.5f));
    chosen[i] = __hmul2(__hgt2(value, result), value);  // the comparison gives 1 or 0
    __half2 sum = value;
    for (int k = 0; k < rounds; ++k) {
        result = __hfma2(scale, value, result);
        sum = __hadd2(sum, result);
        value = __h2div(result, __floats2half2_rn(2.0f, 4.0f));
    }
    y[i] = result;
    sums[i] = __half22float2(sum);
}
