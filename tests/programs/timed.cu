// Four launches, each between two events; prints their nanoseconds. The exit code is the first argument.
#include <cstdio>
#include <cstdlib>

__global__ void fill(float *data, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        data[i] = sqrtf((float)i);
}

int main(int count, char **arguments)
{
    const int n = 2048;
    float *data;
    cudaEvent_t start, end;
    cudaMalloc(&data, n * sizeof *data);
    cudaEventCreate(&start);
    cudaEventCreate(&end);
    for (int k = 1; k <= 4; k++) {
        float milliseconds;
        cudaEventRecord(start);
        fill<<<n / 256, 256>>>(data, n);
        cudaEventRecord(end);
        cudaEventSynchronize(end);
        cudaEventElapsedTime(&milliseconds, start, end);
        printf("launch %d: %g\n", k, 1e6 * milliseconds);
    }
    return count > 1 ? atoi(arguments[1]) : 0;
}
