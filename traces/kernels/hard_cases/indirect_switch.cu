// An interpreter of bytecode: each thread runs the same program from a start of its own, except that conditional
// skips make threads of a warp stand at different instructions. The switch compiles to a branch through a table.
extern "C" __global__ void indirect_switch(const int* __restrict__ program,
                                           const unsigned* __restrict__ start, unsigned* __restrict__ out, int count,
                                           int length, int steps)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= count) return;
    unsigned x = start[thread], y = 1, z = thread;
    int at = 0;
    for (int step = 0; step < steps; ++step) {
        int code = program[at];
        at = at + 1 < length ? at + 1 : 0;
        switch (code) {
        case 0: x += y; break;
        case 1: x ^= z; break;
        case 2: y = x * 2654435761u; break;
        case 3: z = __popc(x) + y; break;
        case 4: x = x << (y & 7); break;
        case 5: x = __brev(x) ^ y; break;
        case 6: y = max(x, z); break;
        case 7: z = x / (y | 1); break;
        case 8: if (x & 4) at = at + 3 < length ? at + 3 : 0; break;
        case 9: z = z * z + 17; break;
        case 10: y = __clz(x) + z; break;
        case 11: x = (x >> 5) | (z << 27); break;
        case 12: z -= x & 0xffff; break;
        case 13: y ^= y >> 3; break;
        case 14: x = ~x + z; break;
        case 15: y = min(y, z) + 9; break;
        }
    }
    out[thread] = x ^ y ^ z;
}
