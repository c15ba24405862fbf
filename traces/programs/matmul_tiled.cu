// Matrix product through 16 x 16 tiles in shared memory, timed as benchmarks do: one launch to warm up, then events
// around several, and the rate printed. Simulated, the rate is that of the simulated time, since events count its
// cycles, and launches that are not simulated take as long as those that were.
#include "check.h"
#include <vector>

const int TILE = 16;

// c = a * b, all of them n x n by rows; n is a multiple of the tile.
__global__ void matmul_tiled(const float* a, const float* b, float* c, int n)
{
    __shared__ float tile_a[TILE][TILE], tile_b[TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = 0.0f;
    for (int start = 0; start < n; start += TILE) {
        tile_a[y][x] = a[row * n + start + x];
        tile_b[y][x] = b[(start + y) * n + column];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; k++) sum += tile_a[y][k] * tile_b[k][x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}

int main()
{
    const int n = 96, repeats = 3;
    std::vector<float> a(n * n), b(n * n), c(n * n);
    for (int i = 0; i < n * n; i++) {
        a[i] = scrambled(i) % 1000 * 0.001f;
        b[i] = scrambled(i + n * n) % 1000 * 0.001f;
    }

    const size_t bytes = a.size() * sizeof(float);
    float *device_a, *device_b, *device_c;
    OK(cudaMalloc(&device_a, bytes));
    OK(cudaMalloc(&device_b, bytes));
    OK(cudaMalloc(&device_c, bytes));
    OK(cudaMemcpy(device_a, a.data(), bytes, cudaMemcpyHostToDevice));
    OK(cudaMemcpy(device_b, b.data(), bytes, cudaMemcpyHostToDevice));

    const dim3 grid(n / TILE, n / TILE), block(TILE, TILE);
    cudaEvent_t start, end;
    OK(cudaEventCreate(&start));
    OK(cudaEventCreate(&end));
    matmul_tiled<<<grid, block>>>(device_a, device_b, device_c, n);
    OK(cudaEventRecord(start));
    for (int k = 0; k < repeats; k++) matmul_tiled<<<grid, block>>>(device_a, device_b, device_c, n);
    OK(cudaEventRecord(end));
    OK(cudaEventSynchronize(end));
    float milliseconds = 0;
    OK(cudaEventElapsedTime(&milliseconds, start, end));
    printf("%.4f GFLOP/s\n", 2.0 * n * n * n * repeats / (milliseconds * 1e6));

    OK(cudaMemcpy(c.data(), device_c, bytes, cudaMemcpyDeviceToHost));
    long wrong = 0;
    for (int row = 0; row < n; row++)
        for (int column = 0; column < n; column++) {
            double sum = 0;
            for (int k = 0; k < n; k++) sum += (double)a[row * n + k] * b[k * n + column];
            wrong += !close_to(c[row * n + column], sum, 1e-5);
        }
    return verdict(wrong);
}
