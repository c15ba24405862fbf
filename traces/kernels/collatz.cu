// Collatz orbits: steps until 1 and the highest value reached. The loop over halvings inside the loop over
// odd values makes lanes leave two nested loops at different times.
extern "C" __global__ void collatz(const unsigned* __restrict__ start, unsigned* __restrict__ steps,
                                   unsigned* __restrict__ highest, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned value = start[i], count = 0, top = value;
    while (value > 1) {
        if (value & 1u) {
            value = 3 * value + 1;
            ++count;
            if (value > top) top = value;
        }
        while ((value & 1u) == 0) {
            value >>= 1;
            ++count;
        }
    }
    steps[i] = count;
    highest[i] = top;
}
