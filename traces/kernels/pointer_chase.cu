// Dependent loads: each load's result is the byte offset of the next. One thread, so that the time per hop
// is the load latency plus the address addition. The last offset is stored to keep the chain alive.
extern "C" __global__ void pointer_chase(const char* base, unsigned* last, int hops)
{
    unsigned offset = 0;
#pragma unroll 8
    for (int h = 0; h < hops; ++h) offset = *(const unsigned*)(base + offset);
    last[0] = offset;
}
