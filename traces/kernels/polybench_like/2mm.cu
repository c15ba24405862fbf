// D = beta * D + (alpha * A * B) * C in two launches of one product through 16 x 16 tiles in shared memory.
#define TILE 16

extern "C" __global__ void tiled_product(const float* __restrict__ left, const float* __restrict__ right,
                                         float* __restrict__ out, int rows, int columns, int depth, float scale,
                                         float keep)
{
    __shared__ float left_tile[TILE][TILE], right_tile[TILE][TILE + 1];
    int x = threadIdx.x, y = threadIdx.y;
    int column = blockIdx.x * TILE + x, row = blockIdx.y * TILE + y;
    float sum = 0.0f;
    for (int from = 0; from < depth; from += TILE) {
        left_tile[y][x] = row < rows && from + x < depth ? left[row * depth + from + x] : 0.0f;
        right_tile[y][x] = column < columns && from + y < depth ? right[(from + y) * columns + column] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; ++k) sum = fmaf(left_tile[y][k], right_tile[k][x], sum);
        __syncthreads();
    }
    if (row < rows && column < columns) {
        float* to = out + row * columns + column;
        *to = fmaf(keep, *to, scale * sum);
    }
}
