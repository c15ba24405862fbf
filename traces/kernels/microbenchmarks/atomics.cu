// Atomic operations: many threads on one address and on as many addresses as lanes, with and without the old value,
// every integer operation, floating-point maxima by compare-and-swap, and tickets in shared memory.
extern "C" __global__ void count_threads(unsigned* counters, int spread)
{
    atomicAdd(counters + (threadIdx.x & (spread - 1)), threadIdx.x & 3);
}

extern "C" __global__ void take_tickets(unsigned* counter, unsigned* tickets)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    tickets[i] = atomicAdd(counter, 1 + 0 * i);
}

extern "C" __global__ void every_operation(const int* __restrict__ values, int* signed_results,
                                           unsigned* unsigned_results, unsigned long long* wide_results)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, value = values[i];
    atomicMin(signed_results, value);
    atomicMax(signed_results + 1, value);
    atomicAnd(unsigned_results, value | 0xff0000u);
    atomicOr(unsigned_results + 1, value & 0x10101010);
    atomicXor(unsigned_results + 2, value);
    atomicInc(unsigned_results + 3, 1000);
    atomicDec(unsigned_results + 4, 77);
    atomicSub(unsigned_results + 5, value);
    atomicExch(unsigned_results + 6, blockDim.x);
    atomicAdd(wide_results, (unsigned long long)(long long)value);
    atomicMax(wide_results + 1, (unsigned long long)(unsigned)value << 20);
}

extern "C" __global__ void float_maximum(const float* __restrict__ values, int* maximum_bits)
{
    float value = values[blockIdx.x * blockDim.x + threadIdx.x];
    int old = *(volatile int*)maximum_bits;
    while (__int_as_float(old) < value) {
        int assumed = old;
        old = atomicCAS(maximum_bits, assumed, __float_as_int(value));
        if (old == assumed) break;
    }
}

extern "C" __global__ void shared_tickets(const int* __restrict__ keys, int* __restrict__ ranks, int buckets)
{
    __shared__ int used[64];
    if (threadIdx.x < 64) used[threadIdx.x] = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    ranks[i] = atomicAdd(used + (keys[i] & (buckets - 1)), 1);
}
