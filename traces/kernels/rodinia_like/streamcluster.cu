// The gain of opening a new cluster centre: each point compares its weighted squared distance to the candidate with
// its present cost; those that would move are marked, and what each present centre would save is added up atomically.
// Coordinates are stored dimension by dimension; the candidate's are staged in shared memory.
#define MAXIMUM_DIMENSIONS 64

extern "C" __global__ void candidate_gain(const float* __restrict__ points, const float* __restrict__ weights,
                                          const float* __restrict__ costs, const int* __restrict__ centres,
                                          int* __restrict__ moves, float* __restrict__ savings, float* total_gain,
                                          int count, int dimensions, int candidate)
{
    __shared__ float place[MAXIMUM_DIMENSIONS];
    if (threadIdx.x < dimensions) place[threadIdx.x] = points[threadIdx.x * count + candidate];
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float distance = 0.0f;
    for (int d = 0; d < dimensions; ++d) {
        float apart = points[d * count + i] - place[d];
        distance = fmaf(apart, apart, distance);
    }
    float saved = __fadd_rn(costs[i], -__fmul_rn(distance, weights[i]));
    moves[i] = saved > 0.0f;
    if (saved > 0.0f) {
        atomicAdd(savings + centres[i], saved);
        atomicAdd(total_gain, saved);
    }
}
