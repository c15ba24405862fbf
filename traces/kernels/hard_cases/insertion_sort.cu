// Every thread sorts 24 keys of its own in local memory by insertion: inner loops of data-dependent length, so that
// the lanes of a warp part and meet again all the time.
#define KEYS 24

extern "C" __global__ void insertion_sort(const int* __restrict__ in, int* __restrict__ out, int count)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= count) return;
    int keys[KEYS];
    for (int k = 0; k < KEYS; ++k) keys[k] = in[k * count + thread];
    for (int k = 1; k < KEYS; ++k) {
        int key = keys[k], at = k;
        while (at > 0 && keys[at - 1] > key) {
            keys[at] = keys[at - 1];
            --at;
        }
        keys[at] = key;
    }
    for (int k = 0; k < KEYS; ++k) out[k * count + thread] = keys[k];
}
