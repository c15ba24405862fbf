// Device code that prints and allocates: a linked list for each thread by new, of a length of its own; a row of numbers
// by malloc, filled by one launch and freed by the next; printf of several types from one thread of each block. The heap
// is made larger first.
#include "check.h"
#include <vector>

const int BLOCKS = 4, THREADS = 64, ALL = BLOCKS * THREADS;

struct Link {
    int number;
    Link* next;
    __device__ Link(int number, Link* next) : number(number), next(next) {}
};

// One list of i % 7 links for each thread; the sums of their squares go into rows that the blocks allocate.
__global__ void make(int** rows)
{
    __shared__ int* row;
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x == 0) row = (int*)malloc(THREADS * sizeof *row);
    __syncthreads();
    Link* list = nullptr;
    for (int k = 1; k <= i % 7; k++) list = new Link(k, list);
    int sum = 0;
    while (list) {
        Link* next = list->next;
        sum += list->number * list->number;
        delete list;
        list = next;
    }
    if (row) row[threadIdx.x] = sum; // null where the heap is full
    if (threadIdx.x == 0) {
        rows[blockIdx.x] = row;
        const double kilobytes = THREADS * sizeof *row / 1e3;
        printf("block %u: %s of %.3f kB, %d threads\n", blockIdx.x, row ? "row" : "no row", kilobytes, THREADS);
    }
}

__global__ void take(int** rows, int* out)
{
    const int* row = rows[blockIdx.x];
    out[blockIdx.x * blockDim.x + threadIdx.x] = row ? row[threadIdx.x] : -1;
    __syncthreads();
    if (threadIdx.x == 0) free(rows[blockIdx.x]);
}

int main()
{
    const size_t asked = 16 << 20;
    size_t heap = 0;
    OK(cudaDeviceSetLimit(cudaLimitMallocHeapSize, asked));
    OK(cudaDeviceGetLimit(&heap, cudaLimitMallocHeapSize));
    int **rows, *device_out;
    OK(cudaMalloc(&rows, BLOCKS * sizeof *rows));
    OK(cudaMalloc(&device_out, ALL * sizeof *device_out));
    make<<<BLOCKS, THREADS>>>(rows);
    OK(cudaDeviceSynchronize()); // what kernels printed comes out
    take<<<BLOCKS, THREADS>>>(rows, device_out);
    std::vector<int> out(ALL);
    OK(cudaMemcpy(out.data(), device_out, ALL * sizeof(int), cudaMemcpyDeviceToHost));

    long wrong = heap < asked;
    for (int i = 0; i < ALL; i++) {
        const int k = i % 7;
        wrong += out[i] != k * (k + 1) * (2 * k + 1) / 6; // sum of the squares of 1 to k
    }
    return verdict(wrong);
}
