// Distances of all records to a place, and the nearest of them: the bits of a distance, which order like the number
// since it is not negative, stand above the record's index in a 64-bit key whose minimum is kept atomically.
extern "C" __global__ void nearest_neighbour(const float2* __restrict__ records, float* __restrict__ distances,
                                             unsigned long long* nearest, int count, float x, float y)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long key = ~0ull;
    if (i < count) {
        float2 place = records[i];
        float dx = place.x - x, dy = place.y - y;
        float distance = sqrtf(fmaf(dx, dx, __fmul_rn(dy, dy)));
        distances[i] = distance;
        key = (unsigned long long)__float_as_uint(distance) << 32 | (unsigned)i;
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        unsigned long long other = __shfl_xor_sync(0xffffffffu, key, distance);
        key = other < key ? other : key;
    }
    if (threadIdx.x % 32 == 0) atomicMin(nearest, key);
}
