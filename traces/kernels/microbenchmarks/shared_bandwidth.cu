// Shared-memory bandwidth without bank conflicts: 4, 8 and 16 bytes per thread and load, then loads with a stride in
// words that puts 1 to 32 lanes on one bank.
#define WORDS 4096
#define LOADS 8

__device__ unsigned mixed(unsigned value) { return value; }
__device__ unsigned mixed(uint2 value) { return value.x ^ value.y; }
__device__ unsigned mixed(uint4 value) { return (value.x ^ value.y) + (value.z ^ value.w); }

template <typename Vector>
__device__ void read_vectors(const unsigned* in, unsigned* out, int rounds)
{
    __shared__ uint4 store[WORDS / 4];
    const int count = WORDS * sizeof(unsigned) / sizeof(Vector);
    int thread = threadIdx.x, size = blockDim.x;
    for (int i = thread; i < WORDS; i += size) ((unsigned*)store)[i] = in[i];
    __syncthreads();
    const Vector* vectors = (const Vector*)store;
    unsigned sum = 0;
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int k = 0; k < LOADS; ++k) sum += mixed(vectors[(thread + (round * LOADS + k) * size) & (count - 1)]);
    }
    out[blockIdx.x * size + thread] = sum;
}

extern "C" __global__ void shared_words(const unsigned* __restrict__ in, unsigned* __restrict__ out, int rounds)
{
    read_vectors<unsigned>(in, out, rounds);
}

extern "C" __global__ void shared_pairs(const unsigned* __restrict__ in, unsigned* __restrict__ out, int rounds)
{
    read_vectors<uint2>(in, out, rounds);
}

extern "C" __global__ void shared_quads(const unsigned* __restrict__ in, unsigned* __restrict__ out, int rounds)
{
    read_vectors<uint4>(in, out, rounds);
}

extern "C" __global__ void shared_stride(const unsigned* __restrict__ in, unsigned* __restrict__ out, int rounds,
                                         int stride)
{
    __shared__ unsigned words[WORDS];
    int thread = threadIdx.x, size = blockDim.x;
    for (int i = thread; i < WORDS; i += size) words[i] = in[i];
    __syncthreads();
    unsigned sum = 0;
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int k = 0; k < LOADS; ++k) sum += words[(thread * stride + round * LOADS + k) & (WORDS - 1)];
    }
    out[blockIdx.x * size + thread] = sum;
}
