// Shared-memory latency: one thread follows a cycle of byte offsets.
#define WORDS 2048

extern "C" __global__ void shared_latency(const unsigned* __restrict__ chain, unsigned* __restrict__ last, int words,
                                          int steps)
{
    __shared__ unsigned links[WORDS];
    for (int i = 0; i < words; ++i) links[i] = chain[i];
    unsigned offset = 0;
#pragma unroll 8
    for (int step = 0; step < steps; ++step) offset = *(const unsigned*)((const char*)links + offset);
    *last = offset;
}
