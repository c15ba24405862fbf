// x1 += A y1 and x2 += A^T y2 for a square matrix; both walk 32 x 32 tiles that a warp of each block brings into
// shared memory with coalesced loads, the first reading its tile by rows, the second by columns.
#define TILE 32

__device__ float tile_sum(const float* a, const float* y, float sum, int n, int first, bool transposed)
{
    __shared__ float tile[TILE][TILE + 1];
    int lane = threadIdx.x;
    for (int from = 0; from < n; from += TILE) {
        for (int k = 0; k < TILE; ++k) {
            int row = (transposed ? from : first) + k, column = (transposed ? first : from) + lane;
            tile[k][lane] = row < n && column < n ? a[row * n + column] : 0.0f;
        }
        __syncwarp();
        for (int k = 0; k < TILE && from + k < n; ++k)
            sum = fmaf(transposed ? tile[k][lane] : tile[lane][k], y[from + k], sum);
        __syncwarp();
    }
    return sum;
}

extern "C" __global__ __launch_bounds__(TILE) void add_product(const float* __restrict__ a,
                                                               const float* __restrict__ y, float* __restrict__ x,
                                                               int n, int transposed)
{
    int first = blockIdx.x * TILE, i = first + threadIdx.x;
    float start = i < n ? x[i] : 0.0f;
    float sum = transposed ? tile_sum(a, y, start, n, first, true) : tile_sum(a, y, start, n, first, false);
    if (i < n) x[i] = sum;
}
