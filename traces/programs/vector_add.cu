// Vector addition, the least that a program does: cudaMalloc, cudaMemcpy both ways, one launch, cudaGetLastError.
// The length is no multiple of the block, so the last block has idle threads.
#include "check.h"
#include <vector>

__global__ void vector_add(const float* a, const float* b, float* sum, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) sum[i] = a[i] + b[i];
}

int main(int count, char** arguments)
{
    const int n = count > 1 ? atoi(arguments[1]) : 50000, block = 256;
    const size_t bytes = n * sizeof(float);
    std::vector<float> a(n), b(n), sum(n);
    for (int i = 0; i < n; i++) {
        a[i] = scrambled(i) * 0.001f;
        b[i] = scrambled(i + n) * 0.01f;
    }

    float *device_a, *device_b, *device_sum;
    OK(cudaMalloc(&device_a, bytes));
    OK(cudaMalloc(&device_b, bytes));
    OK(cudaMalloc(&device_sum, bytes));
    OK(cudaMemcpy(device_a, a.data(), bytes, cudaMemcpyHostToDevice));
    OK(cudaMemcpy(device_b, b.data(), bytes, cudaMemcpyHostToDevice));
    vector_add<<<(n + block - 1) / block, block>>>(device_a, device_b, device_sum, n);
    OK(cudaGetLastError());
    OK(cudaMemcpy(sum.data(), device_sum, bytes, cudaMemcpyDeviceToHost));

    long wrong = 0;
    for (int i = 0; i < n; i++) wrong += sum[i] != a[i] + b[i];
    OK(cudaFree(device_a));
    OK(cudaFree(device_b));
    OK(cudaFree(device_sum));
    return verdict(wrong);
}
