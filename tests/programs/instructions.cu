// Forms of instructions that whole programs showed, beside the host's own results.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cstdio>

namespace cg = cooperative_groups;

// A product times a power of two: FMUL.D2 ... .M8.
__global__ void scaled(float *x, float a, float b)
{
    x[0] = (x[1] * a) * 0.5f;
    x[2] = (x[3] * x[4]) * 0.25f;
    x[5] = (x[6] * a) * 0.125f;
    x[7] = (x[8] * x[9]) * 4.0f;
    x[10] = (x[11] * b) * 8.0f;
    x[12] = (x[13] * -0.2f) * 0.5f;
}

// Sums over lanes of two masks at once: WARPSYNC.EXCLUSIVE, and R2UR with a predicate.
__global__ void grouped(const int *x, int *sums)
{
    auto warp = cg::tiled_partition<32>(cg::this_thread_block());
    auto half = cg::binary_partition(warp, x[threadIdx.x] & 1);
    sums[threadIdx.x] = cg::reduce(half, x[threadIdx.x], cg::plus<int>());
}

// Four warps do the same work on the same place: on a card all have read it before the first has written.
__global__ void same_work(float *sum, const float *x)
{
    for (int k = 0; k < 64; k++)
        sum[threadIdx.x] += x[k];
}

// Parameters of more than 4 KB lie elsewhere in the constant bank.
struct Large { int values[8000]; };
__global__ void large_parameter(const __grid_constant__ Large large, int *out, int i) { *out = large.values[i] + large.values[7999]; }

int main()
{
    float before[16], after[16], *x;
    for (int i = 0; i < 16; i++)
        before[i] = 1.1f * i - 3;
    cudaMalloc(&x, sizeof before);
    cudaMemcpy(x, before, sizeof before, cudaMemcpyHostToDevice);
    scaled<<<1, 1>>>(x, 1.7f, -2.3f);
    cudaMemcpy(after, x, sizeof after, cudaMemcpyDeviceToHost);
    int wrong = after[0] != (before[1] * 1.7f) * 0.5f;
    wrong += after[2] != (before[3] * before[4]) * 0.25f;
    wrong += after[5] != (before[6] * 1.7f) * 0.125f;
    wrong += after[7] != (before[8] * before[9]) * 4.0f;
    wrong += after[10] != (before[11] * -2.3f) * 8.0f;
    wrong += after[12] != (before[13] * -0.2f) * 0.5f;

    int values[32], sums[32], expected[2] = {}, *in, *out;
    for (int i = 0; i < 32; i++) {
        values[i] = i * i % 7;
        expected[values[i] & 1] += values[i];
    }
    cudaMalloc(&in, sizeof values);
    cudaMalloc(&out, sizeof sums);
    cudaMemcpy(in, values, sizeof values, cudaMemcpyHostToDevice);
    grouped<<<1, 32>>>(in, out);
    cudaMemcpy(sums, out, sizeof sums, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 32; i++)
        wrong += sums[i] != expected[values[i] & 1];
    float ones[64], total[32], *from, *to;
    for (float &one : ones)
        one = 1;
    cudaMalloc(&from, sizeof ones);
    cudaMalloc(&to, sizeof total);
    cudaMemcpy(from, ones, sizeof ones, cudaMemcpyHostToDevice);
    cudaMemset(to, 0, sizeof total);
    same_work<<<1, dim3(32, 4)>>>(to, from);
    cudaMemcpy(total, to, sizeof total, cudaMemcpyDeviceToHost);
    for (float each : total)
        wrong += each != 64;
    static Large large;
    int seen = 0, *place;
    for (int i = 0; i < 8000; i++)
        large.values[i] = 3 * i;
    cudaMalloc(&place, sizeof seen);
    large_parameter<<<1, 1>>>(large, place, 1234);
    cudaMemcpy(&seen, place, sizeof seen, cudaMemcpyDeviceToHost);
    wrong += seen != 3 * 1234 + 3 * 7999;
    printf(wrong ? "%d wrong\n" : "all passed\n", wrong);
    return wrong;
}
