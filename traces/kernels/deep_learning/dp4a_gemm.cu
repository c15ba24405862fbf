// C = A * B^T of 8-bit integers with 32-bit sums by four-way dot products outside the tensor cores: 32 x 32 results a
// block through shared memory, 2 x 2 a thread. rows and columns are multiples of 32, depth of 32.
#define TILE 32
#define WORDS 8

extern "C" __global__ __launch_bounds__(256) void dp4a_gemm(const int* __restrict__ a, const int* __restrict__ b,
                                                            int* __restrict__ c, int columns, int words)
{
    __shared__ int a_tile[TILE][WORDS + 1], b_tile[TILE][WORDS + 1];
    int thread = threadIdx.x, x = thread % 16, y = thread / 16;
    int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    int load_row = thread / WORDS, load_word = thread % WORDS;
    int sums[2][2] = {};
    for (int from = 0; from < words; from += WORDS) {
        a_tile[load_row][load_word] = a[(first_row + load_row) * words + from + load_word];
        b_tile[load_row][load_word] = b[(first_column + load_row) * words + from + load_word];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < WORDS; ++k)
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int j = 0; j < 2; ++j)
                    sums[i][j] = __dp4a(a_tile[y + 16 * i][k], b_tile[x + 16 * j][k], sums[i][j]);
        __syncthreads();
    }
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j)
            c[(first_row + y + 16 * i) * columns + first_column + x + 16 * j] = sums[i][j];
}
