// The two products of a biconjugate gradient step: q = A p (one thread per row, so that a warp's loads lie a row
// apart) and s = A^T r (one thread per column, coalesced).
extern "C" __global__ void row_products(const float* __restrict__ a, const float* __restrict__ p,
                                        float* __restrict__ q, int rows, int columns)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int column = 0; column < columns; ++column) sum = fmaf(a[row * columns + column], p[column], sum);
    q[row] = sum;
}

extern "C" __global__ void column_products(const float* __restrict__ a, const float* __restrict__ r,
                                           float* __restrict__ s, int rows, int columns)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    float sum = 0.0f;
    for (int row = 0; row < rows; ++row) sum = fmaf(a[row * columns + column], r[row], sum);
    s[column] = sum;
}
