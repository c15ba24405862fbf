// Gaussian elimination without pivots, two launches per column: the multipliers of the rows below, then the update of
// the matrix and the right-hand side. A first launch makes the diagonal dominant.
extern "C" __global__ void strengthen_diagonal(float* a, int n, float by)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i * n + i] += by;
}

extern "C" __global__ void multipliers(const float* __restrict__ a, float* __restrict__ factors, int n, int column)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x + column + 1;
    if (row < n) factors[row] = a[row * n + column] / a[column * n + column];
}

extern "C" __global__ void eliminate(float* a, float* b, const float* __restrict__ factors, int n, int column)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x + column;
    int row = blockIdx.y * blockDim.y + threadIdx.y + column + 1;
    if (x >= n || row >= n) return;
    float factor = factors[row];
    a[row * n + x] = fmaf(-factor, a[column * n + x], a[row * n + x]);
    if (x == column) b[row] = fmaf(-factor, b[column], b[row]);
}
