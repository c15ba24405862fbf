// 3 x 3 x 3 convolution of a volume with weights in constant memory; a thread walks along z through its column.
__constant__ float weights[27] = {
    0.5f, -0.25f, 0.125f, 0.1f, -0.2f, 0.3f, -0.4f, 0.6f, 0.7f, -0.8f, 0.9f, 0.05f, 0.15f, 1.0f,
    -0.35f, 0.45f, -0.55f, 0.65f, 0.75f, -0.85f, 0.95f, -0.02f, 0.04f, 0.06f, -0.08f, 0.12f, 0.14f,
};

extern "C" __global__ void conv3d(const float* __restrict__ in, float* __restrict__ out, int depth, int height,
                                  int width)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x + 1;
    int y = blockIdx.y * blockDim.y + threadIdx.y + 1;
    if (x >= width - 1 || y >= height - 1) return;
    for (int z = 1; z < depth - 1; ++z) {
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < 27; ++k) {
            int at = ((z + k / 9 - 1) * height + y + k / 3 % 3 - 1) * width + x + k % 3 - 1;
            sum = fmaf(weights[k], in[at], sum);
        }
        out[(z * height + y) * width + x] = sum;
    }
}
