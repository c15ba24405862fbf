// C = A * B with the tensor cores through the warp matrix functions: fp16 operands staged in shared memory, fp32 sums.
// A block of four warps makes 64 x 32 results, a warp 32 x 16 of them. rows is a multiple of 64, columns and depth of 32.
#include <cuda_fp16.h>
#include <mma.h>
using namespace nvcuda;

#define ROWS 64
#define COLUMNS 32
#define DEPTH 32
#define PITCH (DEPTH + 8)  // 16 bytes of padding spread the rows over the banks

extern "C" __global__ __launch_bounds__(128) void wmma_gemm(const __half* __restrict__ a, const __half* __restrict__ b,
                                                            float* __restrict__ c, int columns, int depth)
{
    __shared__ __align__(16) __half a_tile[ROWS * PITCH];
    __shared__ __align__(16) __half b_tile[DEPTH * (COLUMNS + 8)];
    int thread = threadIdx.x, warp = thread / 32;
    int first_row = blockIdx.y * ROWS, first_column = blockIdx.x * COLUMNS;
    int row = warp / 2 * 32, column = warp % 2 * 16;

    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums[2];
    for (int h = 0; h < 2; ++h) wmma::fill_fragment(sums[h], 0.0f);
    for (int from = 0; from < depth; from += DEPTH) {
        for (int i = thread; i < ROWS * DEPTH / 8; i += 128) {
            int y = i / (DEPTH / 8), x = i % (DEPTH / 8) * 8;
            *(uint4*)(a_tile + y * PITCH + x) = *(const uint4*)(a + (first_row + y) * depth + from + x);
        }
        int y = thread / (COLUMNS / 8), x = thread % (COLUMNS / 8) * 8;
        *(uint4*)(b_tile + y * (COLUMNS + 8) + x) = *(const uint4*)(b + (from + y) * columns + first_column + x);
        __syncthreads();
        for (int k = 0; k < DEPTH; k += 16) {
            wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> right;
            wmma::load_matrix_sync(right, b_tile + k * (COLUMNS + 8) + column, COLUMNS + 8);
            for (int h = 0; h < 2; ++h) {
                wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> left;
                wmma::load_matrix_sync(left, a_tile + (row + 16 * h) * PITCH + k, PITCH);
                wmma::mma_sync(sums[h], left, right, sums[h]);
            }
        }
        __syncthreads();
    }
    for (int h = 0; h < 2; ++h) {
        float* to = c + (first_row + row + 16 * h) * columns + first_column + column;
        wmma::store_matrix_sync(to, sums[h], columns, wmma::mem_row_major);
    }
}
