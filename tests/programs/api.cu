// What the runtime API promises, call by call: each check prints its name if it fails. Exit code: failures.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

static int failures;
#define CHECK(name, condition) \
    do { \
        if (!(condition)) { \
            failures++; \
            printf("FAILED %s: %s\n", name, #condition); \
        } \
    } while (0)
#define OK(call) CHECK("status", (call) == cudaSuccess)

__constant__ int table[4];
__device__ int counter = 5;
__device__ __managed__ int shared_count = 7;
struct Pair { short a; double b; };

__global__ void add(int *data, int value, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        data[i] += value;
}
__global__ void structs(int *out, Pair pair, char c) { *out = pair.a + (int)pair.b + c; }
__global__ void symbols(int *out)
{
    out[threadIdx.x] = table[threadIdx.x] + counter;
    if (threadIdx.x == 0)
        shared_count += 100;
}
template <int N> __global__ void templated(int *out) { *out = N; }
namespace {
__global__ void hidden(int *out) { *out = 31; }
}

static void memory()
{
    int *device, *managed, *pinned, *plain = (int *)malloc(1000 * sizeof(int)), host[1000];
    OK(cudaMalloc(&device, sizeof host));
    OK(cudaMemset(device, 0, sizeof host));
    add<<<4, 256>>>(device, 3, 1000);
    OK(cudaMemcpy(host, device, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("memset and kernel", host[0] == 3 && host[999] == 3);
    OK(cudaMallocManaged(&managed, sizeof host));
    for (int i = 0; i < 1000; i++)
        managed[i] = i;
    add<<<4, 256>>>(managed, 1, 1000);
    OK(cudaDeviceSynchronize());
    CHECK("managed", managed[999] == 1000);
    OK(cudaMallocHost(&pinned, sizeof host));
    pinned[7] = 1;
    add<<<4, 256>>>(pinned, 1, 1000);
    OK(cudaDeviceSynchronize());
    CHECK("pinned", pinned[7] == 2 && pinned[8] == 1);
    memset(plain, 0, 1000 * sizeof(int));
    OK(cudaHostRegister(plain, 1000 * sizeof(int), cudaHostRegisterMapped));
    int *seen;
    OK(cudaHostGetDevicePointer(&seen, plain, 0));
    add<<<4, 256>>>(seen, 9, 1000);
    OK(cudaDeviceSynchronize());
    CHECK("registered", plain[0] == 9 && plain[999] == 9);
    OK(cudaHostUnregister(plain));
    plain[0] = 1;

    size_t pitch;
    char *rows, back[30];
    OK(cudaMallocPitch(&rows, &pitch, 10, 3));
    OK(cudaMemset2D(rows, pitch, 'x', 10, 3));
    OK(cudaMemcpy2D(back, 10, rows, pitch, 10, 3, cudaMemcpyDeviceToHost));
    CHECK("pitched", pitch >= 10 && back[29] == 'x');
    cudaPitchedPtr box;
    OK(cudaMalloc3D(&box, make_cudaExtent(8, 4, 2)));
    OK(cudaMemset3D(box, 1, make_cudaExtent(8, 4, 2)));
    char cube[64] = {};
    cudaMemcpy3DParms volume = {};
    volume.srcPtr = box;
    volume.dstPtr = make_cudaPitchedPtr(cube, 8, 8, 4);
    volume.extent = make_cudaExtent(8, 4, 2);
    volume.kind = cudaMemcpyDeviceToHost;
    OK(cudaMemcpy3D(&volume));
    CHECK("3D", cube[0] == 1 && cube[63] == 1);

    cudaPointerAttributes what;
    OK(cudaPointerGetAttributes(&what, device + 5));
    CHECK("pointer", what.type == cudaMemoryTypeDevice && what.devicePointer == device + 5);
    OK(cudaPointerGetAttributes(&what, host));
    CHECK("host pointer", what.type == cudaMemoryTypeUnregistered);
    CHECK("too much", cudaMemcpy(host, device, sizeof host + 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK("last error", cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
    void *huge;
    CHECK("no room", cudaMalloc(&huge, (size_t)1 << 44) == cudaErrorMemoryAllocation);
    cudaGetLastError();
    OK(cudaFree(device));
    CHECK("freed twice", cudaFree(device) == cudaErrorInvalidValue);
    cudaGetLastError();
    OK(cudaFree(nullptr));
    int *again;
    OK(cudaMallocAsync(&again, sizeof host, 0));
    OK(cudaMemcpy(host, again, sizeof host, cudaMemcpyDeviceToHost));
    OK(cudaFreeAsync(again, 0));
    OK(cudaFreeHost(pinned));
    OK(cudaFree(managed));
}

static void code()
{
    int values[4] = {1, 2, 3, 4}, host[4], *out;
    OK(cudaMalloc(&out, sizeof host));
    OK(cudaMemcpyToSymbol(table, values, sizeof values));
    int ten = 10;
    OK(cudaMemcpyToSymbol(counter, &ten, sizeof ten));
    CHECK("managed variable", shared_count == 7);
    symbols<<<1, 4>>>(out);
    OK(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("symbols", host[0] == 11 && host[3] == 14 && shared_count == 107);
    values[1] = 50; // a bank that changes between launches of one kernel
    OK(cudaMemcpyToSymbol(table, values + 1, sizeof(int), sizeof(int)));
    symbols<<<1, 4>>>(out);
    OK(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("symbols again", host[1] == 60 && host[2] == 13);
    int read;
    OK(cudaMemcpyFromSymbol(&read, counter, sizeof read));
    CHECK("from symbol", read == 10);
    size_t bytes;
    OK(cudaGetSymbolSize(&bytes, table));
    CHECK("size", bytes == sizeof values);
    void *place;
    OK(cudaGetSymbolAddress(&place, counter));
    OK(cudaMemcpy(&read, place, sizeof read, cudaMemcpyDeviceToHost));
    CHECK("symbol's address", read == 10 && cudaFree(place) == cudaErrorInvalidValue);
    cudaGetLastError();
    structs<<<1, 1>>>(out, Pair{20, 3.5}, 4);
    OK(cudaMemcpy(host, out, sizeof(int), cudaMemcpyDeviceToHost));
    CHECK("struct by value", host[0] == 27);
    templated<42><<<1, 1>>>(out);
    OK(cudaMemcpy(host, out, sizeof(int), cudaMemcpyDeviceToHost));
    CHECK("template", host[0] == 42);
    hidden<<<1, 1>>>(out);
    OK(cudaMemcpy(host, out, sizeof(int), cudaMemcpyDeviceToHost));
    CHECK("unnamed namespace", host[0] == 31);
    cudaFuncAttributes facts;
    OK(cudaFuncGetAttributes(&facts, add));
    CHECK("attributes", facts.numRegs > 0 && facts.maxThreadsPerBlock == 1024 && facts.binaryVersion == 86);
    int ctas;
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&ctas, add, 256, 0));
    CHECK("occupancy", ctas == 6);
    int grid, block;
    OK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, add, 0, 0));
    CHECK("block size", block == 768 && grid == 2 * 84);
    add<<<1, 2048>>>(out, 1, 1);
    CHECK("configuration", cudaGetLastError() == cudaErrorInvalidConfiguration);
    add<<<1, 1>>>(out, 1, 1);
    OK(cudaDeviceSynchronize());
}

static void note(void *text) { strcat((char *)text, "h"); }
static void note_status(cudaStream_t, cudaError_t status, void *text) { strcat((char *)text, status ? "?" : "c"); }

static void streams()
{
    cudaStream_t one, two;
    cudaEvent_t start, end;
    char order[8] = "";
    int *data, host = 0;
    OK(cudaStreamCreate(&one));
    OK(cudaStreamCreateWithFlags(&two, cudaStreamNonBlocking));
    OK(cudaEventCreate(&start));
    OK(cudaEventCreate(&end));
    OK(cudaMalloc(&data, sizeof host));
    OK(cudaMemsetAsync(data, 0, sizeof host, one));
    OK(cudaEventRecord(start, one));
    add<<<1, 1, 0, one>>>(data, 5, 1);
    OK(cudaLaunchHostFunc(one, note, order));
    OK(cudaStreamAddCallback(one, note_status, order, 0));
    OK(cudaEventRecord(end, one));
    OK(cudaStreamWaitEvent(two, end, 0));
    add<<<1, 1, 0, two>>>(data, 6, 1);
    OK(cudaMemcpyAsync(&host, data, sizeof host, cudaMemcpyDeviceToHost, two));
    OK(cudaStreamSynchronize(two));
    CHECK("order", host == 11 && !strcmp(order, "hc"));
    float time = -1;
    OK(cudaEventElapsedTime(&time, start, end));
    CHECK("time", time >= 0);
    OK(cudaStreamQuery(one));

    cudaGraph_t graph;
    cudaGraphExec_t exec;
    OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeGlobal));
    add<<<1, 1, 0, one>>>(data, 1, 1);
    OK(cudaEventRecord(start, one));
    OK(cudaStreamWaitEvent(two, start, 0));
    add<<<1, 1, 0, two>>>(data, 2, 1);
    OK(cudaEventRecord(end, two));
    OK(cudaStreamWaitEvent(one, end, 0));
    OK(cudaLaunchHostFunc(one, note, order));
    OK(cudaStreamEndCapture(one, &graph));
    size_t nodes;
    OK(cudaGraphGetNodes(graph, nullptr, &nodes));
    OK(cudaMemcpy(&host, data, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("captured, not run", host == 11 && nodes >= 3);
    OK(cudaGraphInstantiate(&exec, graph, 0));
    for (int k = 0; k < 3; k++)
        OK(cudaGraphLaunch(exec, one));
    OK(cudaMemcpy(&host, data, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("replayed", host == 20 && !strcmp(order, "hchhh"));

    cudaGraph_t made;
    cudaGraphNode_t first, second;
    int value = 7, n = 1;
    void *arguments[] = {&data, &value, &n};
    cudaKernelNodeParams kernel = {};
    kernel.func = (void *)add;
    kernel.gridDim = kernel.blockDim = dim3(1);
    kernel.kernelParams = arguments;
    cudaMemsetParams zero = {};
    zero.dst = data, zero.elementSize = 4, zero.width = 1, zero.height = 1;
    OK(cudaGraphCreate(&made, 0));
    OK(cudaGraphAddMemsetNode(&first, made, nullptr, 0, &zero));
    OK(cudaGraphAddKernelNode(&second, made, &first, 1, &kernel));
    cudaGraphExec_t run;
    OK(cudaGraphInstantiate(&run, made, 0));
    OK(cudaGraphLaunch(run, 0));
    OK(cudaMemcpy(&host, data, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("made by hand", host == 7);
    value = 8;
    OK(cudaGraphExecKernelNodeSetParams(run, second, &kernel));
    OK(cudaGraphLaunch(run, 0));
    OK(cudaMemcpy(&host, data, sizeof host, cudaMemcpyDeviceToHost));
    CHECK("changed", host == 8);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    OK(cudaStreamDestroy(two));
    OK(cudaEventDestroy(end));
}

static void threads()
{
    int *data, host[8] = {};
    OK(cudaMalloc(&data, sizeof host));
    OK(cudaMemset(data, 0, sizeof host));
    std::vector<std::thread> all;
    for (int k = 0; k < 8; k++)
        all.emplace_back([=] {
            for (int j = 0; j < 5; j++)
                add<<<1, 1>>>(data + k, k, 1);
        });
    for (auto &each : all)
        each.join();
    OK(cudaMemcpy(host, data, sizeof host, cudaMemcpyDeviceToHost));
    for (int k = 0; k < 8; k++)
        CHECK("threads", host[k] == 5 * k);
}

int main()
{
    cudaDeviceProp card;
    int count, sms;
    OK(cudaGetDeviceCount(&count));
    OK(cudaGetDeviceProperties(&card, 0));
    OK(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0));
    CHECK("card", count == 1 && sms == 84 && card.multiProcessorCount == 84 && card.major == 8 && card.minor == 6);
    CHECK("facts", card.warpSize == 32 && card.maxThreadsDim[2] == 64 && card.l2CacheSize == 6 << 20);
    CHECK("name", !strcmp(card.name, "NVIDIA RTX A6000"));
    CHECK("second card", cudaSetDevice(1) == cudaErrorInvalidDevice);
    cudaGetLastError();
    memory();
    code();
    streams();
    threads();
    if (!failures)
        printf("all passed\n");
    return failures;
}
