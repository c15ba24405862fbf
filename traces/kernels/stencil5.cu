// One sweep of a 5-point stencil over a height x width field; the border is copied.
extern "C" __global__ void stencil5(const float* __restrict__ in, float* __restrict__ out, int height, int width,
                                    float centre, float side)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int i = y * width + x;
    if (x == 0 || y == 0 || x == width - 1 || y == height - 1) {
        out[i] = in[i];
        return;
    }
    float around = (in[i - width] + in[i + width]) + (in[i - 1] + in[i + 1]);
    out[i] = fmaf(side, around, centre * in[i]);
}
