// 3 x 3 convolution of a field, weights as literals, border left alone; a thread slides down a strip of rows and keeps
// the three rows it needs in registers.
#define STRIP 8

__device__ float across(const float* row, float left, float centre, float right, float sum)
{
    return fmaf(right, row[1], fmaf(centre, row[0], fmaf(left, row[-1], sum)));
}

extern "C" __global__ void conv2d(const float* __restrict__ in, float* __restrict__ out, int height, int width)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x + 1;
    int first = (blockIdx.y * blockDim.y + threadIdx.y) * STRIP + 1;
    if (x >= width - 1) return;
    for (int y = first; y < first + STRIP && y < height - 1; ++y) {
        const float* at = in + y * width + x;
        float sum = across(at - width, 0.25f, -0.375f, 0.5f, 0.0f);
        sum = across(at, -0.125f, 0.75f, 0.1f, sum);
        out[y * width + x] = across(at + width, 0.3f, -0.2f, 0.6f, sum);
    }
}
