// Each block sorts 512 keys in shared memory by a bitonic network; the exchange is a branch, so that warps diverge.
#define KEYS 512

extern "C" __global__ __launch_bounds__(KEYS / 2) void bitonic_sort(const int* __restrict__ in, int* __restrict__ out)
{
    __shared__ int keys[KEYS];
    int thread = threadIdx.x, first = blockIdx.x * KEYS;
    keys[thread] = in[first + thread];
    keys[thread + KEYS / 2] = in[first + thread + KEYS / 2];
    for (int size = 2; size <= KEYS; size *= 2) {
        for (int distance = size / 2; distance > 0; distance /= 2) {
            __syncthreads();
            int low = 2 * thread - (thread & (distance - 1)), high = low + distance;
            bool ascending = (low & size) == 0;
            int left = keys[low], right = keys[high];
            if ((left > right) == ascending) {
                keys[low] = right;
                keys[high] = left;
            }
        }
    }
    __syncthreads();
    out[first + thread] = keys[thread];
    out[first + thread + KEYS / 2] = keys[thread + KEYS / 2];
}
