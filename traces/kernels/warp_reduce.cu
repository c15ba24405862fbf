// Reductions inside a warp without memory: a float sum by shifting down, an integer maximum by a butterfly,
// and the number of positive elements by a vote. One result of each per warp.
extern "C" __global__ void warp_reduce(const float* __restrict__ values, const int* __restrict__ keys,
                                       float* __restrict__ sums, int* __restrict__ maxima, int* __restrict__ positive)
{
    const unsigned all = 0xffffffffu;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float value = values[i], sum = value;
    int key = keys[i];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        sum += __shfl_down_sync(all, sum, distance);
        key = max(key, __shfl_xor_sync(all, key, distance));
    }
    unsigned above = __ballot_sync(all, value > 0.0f);
    if (threadIdx.x % 32 == 0) {
        sums[i / 32] = sum;
        maxima[i / 32] = key;
        positive[i / 32] = __popc(above);
    }
}
