// Work captured once and replayed: a stream is captured with a memset, copies and two kernels, of which the second runs in
// another stream that an event forks off and another event joins again. The graph is instantiated and launched several
// times; nothing happens while it is captured.
#include "check.h"
#include <vector>

const int N = 10000, REPLAYS = 5;

// numbers = 3 * numbers + increments modulo 2^32
__global__ void advance(unsigned* numbers, const unsigned* increments, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) numbers[i] = 3 * numbers[i] + increments[i];
}

__global__ void count_odd(const unsigned* numbers, int n, unsigned* odd)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned found = __popc(__ballot_sync(~0u, i < n && numbers[i] % 2));
    if (threadIdx.x % 32 == 0) atomicAdd(odd, found);
}

int main()
{
    const size_t bytes = N * sizeof(unsigned);
    std::vector<unsigned> start(N), increments(N), numbers(N), odd(REPLAYS);
    for (int i = 0; i < N; i++) {
        start[i] = scrambled(i);
        increments[i] = scrambled(i + N);
    }
    unsigned *device_numbers, *device_increments, *source, *device_odd, *seen;
    OK(cudaMalloc(&device_numbers, bytes));
    OK(cudaMalloc(&device_increments, bytes));
    OK(cudaMalloc(&source, bytes));
    OK(cudaMalloc(&device_odd, sizeof *device_odd));
    OK(cudaMallocHost(&seen, sizeof *seen));
    OK(cudaMemcpy(device_numbers, start.data(), bytes, cudaMemcpyHostToDevice));
    OK(cudaMemcpy(source, increments.data(), bytes, cudaMemcpyHostToDevice));
    OK(cudaDeviceSynchronize()); // streams that do not block do not wait for copies of the default stream

    cudaStream_t stream, other;
    cudaEvent_t fork, join;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    OK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    OK(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    cudaGraph_t graph;
    cudaGraphExec_t replayed;
    const int blocks = (N + 255) / 256;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    OK(cudaMemsetAsync(device_odd, 0, sizeof *device_odd, stream));
    OK(cudaMemcpyAsync(device_increments, source, bytes, cudaMemcpyDeviceToDevice, stream));
    advance<<<blocks, 256, 0, stream>>>(device_numbers, device_increments, N);
    OK(cudaEventRecord(fork, stream));
    OK(cudaStreamWaitEvent(other, fork, 0));
    count_odd<<<blocks, 256, 0, other>>>(device_numbers, N, device_odd);
    OK(cudaEventRecord(join, other));
    OK(cudaStreamWaitEvent(stream, join, 0));
    OK(cudaMemcpyAsync(seen, device_odd, sizeof *seen, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaGraphInstantiate(&replayed, graph, 0));

    size_t nodes = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &nodes));
    for (int k = 0; k < REPLAYS; k++) {
        OK(cudaGraphLaunch(replayed, stream));
        OK(cudaStreamSynchronize(stream));
        odd[k] = *seen;
    }
    OK(cudaGraphExecDestroy(replayed));
    OK(cudaGraphDestroy(graph));

    OK(cudaMemcpy(numbers.data(), device_numbers, bytes, cudaMemcpyDeviceToHost));
    long wrong = nodes != 5; // events that join streams in a capture are no nodes
    for (int k = 0; k < REPLAYS; k++) {
        unsigned expected = 0;
        for (int i = 0; i < N; i++) expected += (start[i] = 3 * start[i] + increments[i]) % 2;
        wrong += odd[k] != expected;
    }
    for (int i = 0; i < N; i++) wrong += numbers[i] != start[i];
    return verdict(wrong);
}
