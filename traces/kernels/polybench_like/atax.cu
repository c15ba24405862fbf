// y = A^T (A x): a warp sums each row of A x by shuffles, then a thread each column of the transposed product.
extern "C" __global__ void rows_times_vector(const float* __restrict__ a, const float* __restrict__ x,
                                             float* __restrict__ out, int rows, int columns)
{
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int column = lane; column < columns; column += 32) sum = fmaf(a[row * columns + column], x[column], sum);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (lane == 0) out[row] = sum;
}

extern "C" __global__ void columns_times_vector(const float* __restrict__ a, const float* __restrict__ x,
                                                float* __restrict__ out, int rows, int columns)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    float sum = 0.0f;
    for (int row = 0; row < rows; ++row) sum = fmaf(a[row * columns + column], x[row], sum);
    out[column] = sum;
}
