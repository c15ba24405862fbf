// A 3 x 3 convolution layer as a matrix product: im2col writes the neighbourhood of every pixel (zero beyond the edge)
// as a column, and a tiled product with the filters, 32 x 64 results per block and 2 x 4 per thread, finishes it.
#define ROWS 32
#define COLUMNS 64
#define DEPTH 8

extern "C" __global__ void im2col(const float* __restrict__ image, float* __restrict__ matrix, int channels, int height,
                                  int width)
{
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, channel = blockIdx.y, pixels = height * width;
    if (pixel >= pixels) return;
    int y = pixel / width, x = pixel % width;
#pragma unroll
    for (int k = 0; k < 9; ++k) {
        int from_y = y + k / 3 - 1, from_x = x + k % 3 - 1;
        bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
        matrix[(channel * 9 + k) * pixels + pixel] = inside ? image[(channel * height + from_y) * width + from_x] : 0.0f;
    }
}

extern "C" __global__ __launch_bounds__(256) void filter_product(const float* __restrict__ filters,
                                                                 const float* __restrict__ matrix,
                                                                 const float* __restrict__ bias, float* __restrict__ out,
                                                                 int rows, int columns, int depth)
{
    __shared__ float filter_tile[DEPTH][ROWS + 1];
    __shared__ float matrix_tile[DEPTH][COLUMNS];
    int thread = threadIdx.x, x = thread % 16, y = thread / 16;
    int first_row = blockIdx.y * ROWS, first_column = blockIdx.x * COLUMNS;
    float sums[2][4];
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j) sums[i][j] = first_row + 2 * y + i < rows ? bias[first_row + 2 * y + i] : 0.0f;
    for (int from = 0; from < depth; from += DEPTH) {
        int row = first_row + thread / DEPTH, k = from + thread % DEPTH;
        filter_tile[thread % DEPTH][thread / DEPTH] = row < rows && k < depth ? filters[row * depth + k] : 0.0f;
        for (int i = thread; i < DEPTH * COLUMNS; i += 256) {
            int column = first_column + i % COLUMNS, down = from + i / COLUMNS;
            matrix_tile[i / COLUMNS][i % COLUMNS] =
                column < columns && down < depth ? matrix[down * columns + column] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; ++k)
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    sums[i][j] = fmaf(filter_tile[k][2 * y + i], matrix_tile[k][x + 16 * j], sums[i][j]);
        __syncthreads();
    }
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j) {
            int row = first_row + 2 * y + i, column = first_column + x + 16 * j;
            if (row < rows && column < columns) out[row * columns + column] = fmaxf(sums[i][j], 0.0f);
        }
}
