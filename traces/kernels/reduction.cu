// Sum per block: each thread adds up a grid-stride share, then a tree in shared memory halves the block
// step by step. Launched a second time with one block, it adds the partial sums.
// The block size must be a power of two; 4 bytes of dynamic shared memory per thread.
extern "C" __global__ void reduction(const float* __restrict__ in, float* __restrict__ out, int n)
{
    extern __shared__ float partial[];
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += in[i];
    partial[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = partial[0];
}
