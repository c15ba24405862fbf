// Jacobi steps on a rod whose ends are held, cut into strips that overlap by the number of steps: every strip has a
// stream of its own with its copies from and to pinned memory and its launches, and an event by which one more stream
// waits for all of them. On a card the copies of one strip go on beside the steps of another.
#include "check.h"
#include <utility>
#include <vector>

const int STRIPS = 4, STRIP = 6000, STEPS = 6, N = STRIPS * STRIP;

// One step: every cell becomes the mean of itself and its neighbours; the outermost keep their values.
__global__ void step(const float* from, float* to, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    to[i] = i == 0 || i == n - 1 ? from[i] : 0.25f * from[i - 1] + 0.5f * from[i] + 0.25f * from[i + 1];
}

// Sum of all cells: shuffles within a warp, one atomic for each.
__global__ void add_up(const float* cells, int n, double* sum)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    double part = i < n ? cells[i] : 0.0;
    for (int distance = 16; distance; distance /= 2) part += __shfl_down_sync(~0u, part, distance);
    if (threadIdx.x % 32 == 0) atomicAdd(sum, part);
}

int main()
{
    const size_t padded = STRIP + 2 * STEPS;
    float *in, *out, *all;
    double* sum;
    OK(cudaMallocHost(&in, N * sizeof *in));
    OK(cudaMallocHost(&out, N * sizeof *out));
    OK(cudaMalloc(&all, N * sizeof *all));
    OK(cudaMalloc(&sum, sizeof *sum));
    std::vector<float> expected(N), next(N);
    for (int i = 0; i < N; i++) expected[i] = in[i] = scrambled(i) % 4096 / 16.0f;

    cudaStream_t last;
    OK(cudaStreamCreateWithFlags(&last, cudaStreamNonBlocking));
    OK(cudaMemsetAsync(sum, 0, sizeof *sum, last));
    for (int strip = 0; strip < STRIPS; strip++) {
        cudaStream_t stream;
        cudaEvent_t done;
        OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        OK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
        // what the outermost cells of a cut are missing spreads by one cell a step, and never reaches the strip
        const int first = strip ? strip * STRIP - STEPS : 0;
        const int end = strip < STRIPS - 1 ? (strip + 1) * STRIP + STEPS : N;
        float *from, *to;
        OK(cudaMallocAsync(&from, padded * sizeof *from, stream));
        OK(cudaMallocAsync(&to, padded * sizeof *to, stream));
        OK(cudaMemcpyAsync(from, in + first, (end - first) * sizeof *in, cudaMemcpyHostToDevice, stream));
        for (int k = 0; k < STEPS; k++) {
            step<<<(end - first + 255) / 256, 256, 0, stream>>>(from, to, end - first);
            std::swap(from, to);
        }
        const float* result = from + strip * STRIP - first;
        OK(cudaMemcpyAsync(out + strip * STRIP, result, STRIP * sizeof *out, cudaMemcpyDeviceToHost, stream));
        OK(cudaMemcpyAsync(all + strip * STRIP, result, STRIP * sizeof *all, cudaMemcpyDeviceToDevice, stream));
        OK(cudaFreeAsync(from, stream));
        OK(cudaFreeAsync(to, stream));
        OK(cudaEventRecord(done, stream));
        OK(cudaStreamWaitEvent(last, done, 0));
        OK(cudaEventDestroy(done)); // both go when their work is done
        OK(cudaStreamDestroy(stream));
    }
    add_up<<<(N + 255) / 256, 256, 0, last>>>(all, N, sum);
    double total, exact = 0;
    OK(cudaMemcpyAsync(&total, sum, sizeof total, cudaMemcpyDeviceToHost, last));
    OK(cudaStreamSynchronize(last));

    for (int k = 0; k < STEPS; k++) {
        next = expected;
        for (int i = 1; i < N - 1; i++)
            next[i] = 0.25f * expected[i - 1] + 0.5f * expected[i] + 0.25f * expected[i + 1];
        expected.swap(next);
    }
    long wrong = 0;
    for (int i = 0; i < N; i++) {
        wrong += !close_to(out[i], expected[i], 1e-5);
        exact += expected[i];
    }
    return verdict(wrong + !close_to(total, exact, 1e-6));
}
