// Real calls three deep, from converged and from divergent code: a stack frame each, return addresses in registers,
// callees that save what they use.
__device__ __noinline__ unsigned mix(unsigned value, unsigned key)
{
    value ^= value >> 15;
    value *= 0x2c1b3c6du;
    return value ^ (value >> 12) ^ key;
}

__device__ __noinline__ unsigned rounds(unsigned value, int count)
{
    for (int k = 0; k < count; ++k) value = mix(value, k) + value;
    return value;
}

__device__ __noinline__ unsigned either(unsigned value, int depth)
{
    unsigned left = rounds(value, depth & 3), right = 0;
    if (value & 1) right = rounds(left ^ value, 1 + (depth & 1));
    return left + 3 * right;
}

extern "C" __global__ void calls(const unsigned* __restrict__ in, unsigned* __restrict__ out, int count, int repeats)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    unsigned value = in[i];
    for (int k = 0; k < repeats; ++k) {
        value = either(value, k);
        if (value & 2) value = mix(value, i);
    }
    out[i] = value;
}
