// K-means clustering by rounds of three launches: every point joins its nearest centre, coordinates are added per
// centre in fixed point with 64-bit atomics (so that their order does not matter), and centres move to the means.
// Points are stored dimension by dimension, centres point by point.
#define FRACTION 65536.0f

extern "C" __global__ void assign_points(const float* __restrict__ points, const float* __restrict__ centres,
                                         int* __restrict__ members, int count, int dimensions, int clusters)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int nearest = 0;
    float least = 3.0e38f;
    for (int c = 0; c < clusters; ++c) {
        float distance = 0.0f;
        for (int d = 0; d < dimensions; ++d) {
            float apart = points[d * count + i] - centres[c * dimensions + d];
            distance = fmaf(apart, apart, distance);
        }
        if (distance < least) {
            least = distance;
            nearest = c;
        }
    }
    members[i] = nearest;
}

extern "C" __global__ void add_points(const float* __restrict__ points, const int* __restrict__ members,
                                      long long* sums, int* sizes, int count, int dimensions)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int c = members[i];
    for (int d = 0; d < dimensions; ++d) {
        long long value = __float2ll_rn(points[d * count + i] * FRACTION);
        atomicAdd((unsigned long long*)(sums + c * dimensions + d), (unsigned long long)value);
    }
    atomicAdd(sizes + c, 1);
}

// Also clears the sums for the next round; a centre without members stays.
extern "C" __global__ void move_centres(long long* sums, int* sizes, float* __restrict__ centres, int dimensions)
{
    int c = blockIdx.x, d = threadIdx.x, i = c * dimensions + d;
    int size = sizes[c];
    if (size > 0) centres[i] = (float)((double)sums[i] / ((double)size * (double)FRACTION));
    sums[i] = 0;
    __syncthreads();
    if (d == 0) sizes[c] = 0;
}
