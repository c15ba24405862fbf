// C = alpha * A * B + beta * C, row major, one thread per element, operands straight from global memory.
extern "C" __global__ void gemm(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c,
                                int rows, int columns, int depth, float alpha, float beta)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    float sum = beta * c[row * columns + column];
    for (int k = 0; k < depth; ++k) sum = fmaf(alpha * a[row * depth + k], b[k * columns + column], sum);
    c[row * columns + column] = sum;
}
