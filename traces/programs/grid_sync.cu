// Prefix sums of a whole array by one cooperative launch: blocks that are all resident at once, as many as the occupancy
// functions allow, meet at grid.sync() between the steps, which otherwise would be launches of their own.
#include "check.h"
#include <cooperative_groups.h>
#include <vector>

namespace groups = cooperative_groups;

// Inclusive prefix sums by doubling: after the step of a distance a number is the sum of the last 2 * distance ones.
// The numbers go back and forth between two arrays; returns where they end through `result`.
__global__ void prefix_sums(unsigned* from, unsigned* to, int n, unsigned** result)
{
    groups::grid_group grid = groups::this_grid();
    for (int distance = 1; distance < n; distance *= 2) {
        for (int i = (int)grid.thread_rank(); i < n; i += (int)grid.size())
            to[i] = from[i] + (i >= distance ? from[i - distance] : 0);
        grid.sync();
        unsigned* swapped = from;
        from = to;
        to = swapped;
    }
    if (grid.thread_rank() == 0) *result = from;
}

int main()
{
    int n = 6001, device = 0, cooperative = 0, sms = 0, resident = 0, block = 128;
    OK(cudaGetDevice(&device));
    OK(cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device));
    OK(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, prefix_sums, block, 0));
    if (!cooperative || !resident) {
        printf("FAILED: the card takes no cooperative launch\n");
        return 1;
    }
    const int needed = (n + block - 1) / block, blocks = needed < sms * resident ? needed : sms * resident;

    std::vector<unsigned> numbers(n);
    for (int i = 0; i < n; i++) numbers[i] = scrambled(i);
    unsigned *from, *to, **result, *found;
    OK(cudaMalloc(&from, n * sizeof *from));
    OK(cudaMalloc(&to, n * sizeof *to));
    OK(cudaMalloc(&result, sizeof *result));
    OK(cudaMemcpy(from, numbers.data(), n * sizeof *from, cudaMemcpyHostToDevice));
    void* arguments[] = {&from, &to, &n, &result};
    OK(cudaLaunchCooperativeKernel((void*)prefix_sums, dim3(blocks), dim3(block), arguments, 0, nullptr));
    OK(cudaMemcpy(&found, result, sizeof found, cudaMemcpyDeviceToHost));
    std::vector<unsigned> sums(n);
    OK(cudaMemcpy(sums.data(), found, n * sizeof *found, cudaMemcpyDeviceToHost));

    long wrong = 0;
    unsigned sum = 0;
    for (int i = 0; i < n; i++) wrong += sums[i] != (sum += numbers[i]);
    return verdict(wrong);
}
