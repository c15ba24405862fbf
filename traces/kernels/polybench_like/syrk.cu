// C = alpha * A * A^T + beta * C, only the lower triangle: blocks above the diagonal leave at once, those on it
// diverge.
extern "C" __global__ void syrk(const float* __restrict__ a, float* __restrict__ c, int n, int depth, float alpha,
                                float beta)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= n || column > row) return;
    float sum = beta * c[row * n + column];
    for (int k = 0; k < depth; ++k) sum = fmaf(alpha * a[row * depth + k], a[column * depth + k], sum);
    c[row * n + column] = sum;
}
