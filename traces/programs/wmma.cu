// Matrix product on tensor cores: fragments of 16 x 16 from half-precision numbers in global memory, sums in single
// precision, one fragment of the result for each warp. The inputs are converted to half on the host.
#include "check.h"
#include <cuda_fp16.h>
#include <mma.h>
#include <vector>

using namespace nvcuda;

const int M = 64, N = 96, K = 128, SIDE = 16, WARPS = 4;

// c (M x N by rows) = a (M x K by rows) * b (K x N by columns); blocks of WARPS warps side by side along M.
__global__ void product(const half* a, const half* b, float* c)
{
    const int row = (blockIdx.y * WARPS + threadIdx.x / warpSize) * SIDE, column = blockIdx.x * SIDE;
    wmma::fragment<wmma::matrix_a, SIDE, SIDE, SIDE, half, wmma::row_major> left;
    wmma::fragment<wmma::matrix_b, SIDE, SIDE, SIDE, half, wmma::col_major> right;
    wmma::fragment<wmma::accumulator, SIDE, SIDE, SIDE, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    for (int k = 0; k < K; k += SIDE) {
        wmma::load_matrix_sync(left, a + row * K + k, K);
        wmma::load_matrix_sync(right, b + column * K + k, K);
        wmma::mma_sync(sum, left, right, sum);
    }
    wmma::store_matrix_sync(c + row * N + column, sum, N, wmma::mem_row_major);
}

static std::vector<half> halves(int count, unsigned seed)
{
    std::vector<half> numbers(count);
    for (int i = 0; i < count; i++) numbers[i] = __float2half(((int)(scrambled(seed + i) % 2001) - 1000) / 1000.0f);
    return numbers;
}

static half* on_device(const std::vector<half>& numbers)
{
    half* memory;
    OK(cudaMalloc(&memory, numbers.size() * sizeof(half)));
    OK(cudaMemcpy(memory, numbers.data(), numbers.size() * sizeof(half), cudaMemcpyHostToDevice));
    return memory;
}

int main()
{
    const std::vector<half> a = halves(M * K, 0), b = halves(K * N, M * K);
    std::vector<float> c(M * N);
    const size_t bytes = c.size() * sizeof(float);
    float* device_c;
    OK(cudaMalloc(&device_c, bytes));
    product<<<dim3(N / SIDE, M / (SIDE * WARPS)), WARPS * 32>>>(on_device(a), on_device(b), device_c);
    OK(cudaGetLastError());
    OK(cudaMemcpy(c.data(), device_c, bytes, cudaMemcpyDeviceToHost));

    // products of halves are exact in single precision, so only the sums round
    long wrong = 0;
    for (int row = 0; row < M; row++)
        for (int column = 0; column < N; column++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += (double)__half2float(a[row * K + k]) * __half2float(b[column * K + k]);
            wrong += !close_to(c[row * N + column], sum, 1e-4);
        }
    return verdict(wrong);
}
