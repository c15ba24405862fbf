// C = A * B^T of 8-bit integers with 32-bit sums on the tensor cores; a warp makes 16 x 32 results with operands straight
// from global memory. rows is a multiple of 64 (four warps a block), columns of 32, depth of 16.
#include <mma.h>
using namespace nvcuda;

extern "C" __global__ __launch_bounds__(128) void int8_gemm(const signed char* __restrict__ a,
                                                            const signed char* __restrict__ b, int* __restrict__ c,
                                                            int columns, int depth)
{
    int row = (blockIdx.y * 4 + threadIdx.x / 32) * 16, column = blockIdx.x * 32;
    wmma::fragment<wmma::accumulator, 16, 16, 16, int> sums[2];
    for (int h = 0; h < 2; ++h) wmma::fill_fragment(sums[h], 0);
    for (int from = 0; from < depth; from += 16) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, signed char, wmma::row_major> left;
        wmma::load_matrix_sync(left, a + row * depth + from, depth);
        for (int h = 0; h < 2; ++h) {
            wmma::fragment<wmma::matrix_b, 16, 16, 16, signed char, wmma::col_major> right;
            wmma::load_matrix_sync(right, b + (column + 16 * h) * depth + from, depth);
            wmma::mma_sync(sums[h], left, right, sums[h]);
        }
    }
    for (int h = 0; h < 2; ++h)
        wmma::store_matrix_sync(c + row * columns + column + 16 * h, sums[h], columns, wmma::mem_row_major);
}
