// LU decomposition in place without pivots, in blocks of 16: a diagonal block, then the blocks to its right and below
// it, then the rest of the matrix. A first launch makes the diagonal dominant. n is a multiple of 16.
#define B 16

extern "C" __global__ void strengthen_diagonal(float* a, int n, float by)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i * n + i] += by;
}

extern "C" __global__ __launch_bounds__(B) void diagonal_block(float* a, int n, int from)
{
    __shared__ float block[B][B + 1];
    int lane = threadIdx.x;
    float* corner = a + from * n + from;
    for (int row = 0; row < B; ++row) block[row][lane] = corner[row * n + lane];
    __syncthreads();
    for (int k = 0; k < B - 1; ++k) {
        if (lane > k) {
            float factor = block[lane][k] / block[k][k];
            block[lane][k] = factor;
            for (int column = k + 1; column < B; ++column) block[lane][column] -= factor * block[k][column];
        }
        __syncthreads();
    }
    for (int row = 0; row < B; ++row) corner[row * n + lane] = block[row][lane];
}

// Half of the threads solve a block of the row (unit lower triangle), the other half a block of the column (upper).
extern "C" __global__ __launch_bounds__(2 * B) void border_blocks(float* a, int n, int from)
{
    __shared__ float corner[B][B + 1], right[B][B + 1], below[B][B + 1];
    int lane = threadIdx.x % B;
    int other = from + (blockIdx.x + 1) * B;
    bool upper = threadIdx.x < B;
    for (int row = 0; row < B; ++row) {
        if (upper) corner[row][lane] = a[(from + row) * n + from + lane];
        if (upper) right[row][lane] = a[(from + row) * n + other + lane];
        else below[row][lane] = a[(other + row) * n + from + lane];
    }
    __syncthreads();
    if (upper) {
        for (int row = 1; row < B; ++row)
            for (int k = 0; k < row; ++k) right[row][lane] -= corner[row][k] * right[k][lane];
    } else {
        for (int column = 0; column < B; ++column) {
            for (int k = 0; k < column; ++k) below[lane][column] -= below[lane][k] * corner[k][column];
            below[lane][column] /= corner[column][column];
        }
    }
    __syncthreads();
    for (int row = 0; row < B; ++row) {
        if (upper) a[(from + row) * n + other + lane] = right[row][lane];
        else a[(other + row) * n + from + lane] = below[row][lane];
    }
}

extern "C" __global__ __launch_bounds__(B* B) void inner_blocks(float* a, int n, int from)
{
    __shared__ float left[B][B], above[B][B];
    int x = threadIdx.x, y = threadIdx.y;
    int row = from + (blockIdx.y + 1) * B + y, column = from + (blockIdx.x + 1) * B + x;
    left[y][x] = a[row * n + from + x];
    above[y][x] = a[(from + y) * n + column];
    __syncthreads();
    float sum = 0.0f;
    for (int k = 0; k < B; ++k) sum += left[y][k] * above[k][x];
    a[row * n + column] -= sum;
}
