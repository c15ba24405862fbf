// G = (A * B) * (C * D) in three launches; a thread makes four neighbouring results with 16-byte loads of its right
// operand. The number of columns is a multiple of 4 and the pointers are 16-byte aligned.
extern "C" __global__ void product_by_four(const float* __restrict__ left, const float4* __restrict__ right,
                                           float4* __restrict__ out, int rows, int quads, int depth)
{
    int quad = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || quad >= quads) return;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    for (int k = 0; k < depth; ++k) {
        float factor = left[row * depth + k];
        float4 values = right[k * quads + quad];
        sum.x = fmaf(factor, values.x, sum.x);
        sum.y = fmaf(factor, values.y, sum.y);
        sum.z = fmaf(factor, values.z, sum.z);
        sum.w = fmaf(factor, values.w, sum.w);
    }
    out[row * quads + quad] = sum;
}
