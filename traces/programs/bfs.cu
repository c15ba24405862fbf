// Breadth-first search in which the host asks after every launch whether the frontier grew: the number of launches
// depends on what kernels computed, through a flag that is copied back and forth. A graph in compressed rows; blocks of
// threads whose edges differ in number and place.
#include "check.h"
#include <vector>

// Visit the neighbours of all nodes of a level. Threads of one launch write only equal numbers to one place.
__global__ void expand(const int* offsets, const int* neighbours, int* levels, int nodes, int level, int* grew)
{
    int node = blockIdx.x * blockDim.x + threadIdx.x;
    if (node >= nodes || levels[node] != level) return;
    for (int edge = offsets[node]; edge < offsets[node + 1]; edge++) {
        int other = neighbours[edge];
        if (levels[other] < 0) {
            levels[other] = level + 1;
            *grew = 1;
        }
    }
}

static std::vector<int> levels_of(const std::vector<int>& offsets, const std::vector<int>& neighbours)
{
    std::vector<int> levels(offsets.size() - 1, -1), queue{0};
    levels[0] = 0;
    for (size_t next = 0; next < queue.size(); next++) {
        const int node = queue[next];
        for (int edge = offsets[node]; edge < offsets[node + 1]; edge++)
            if (levels[neighbours[edge]] < 0) {
                levels[neighbours[edge]] = levels[node] + 1;
                queue.push_back(neighbours[edge]);
            }
    }
    return levels;
}

static int* on_device(const std::vector<int>& numbers)
{
    int* memory;
    OK(cudaMalloc(&memory, numbers.size() * sizeof(int)));
    OK(cudaMemcpy(memory, numbers.data(), numbers.size() * sizeof(int), cudaMemcpyHostToDevice));
    return memory;
}

int main()
{
    // 1 to 6 edges from each node, most of them to random places; the last 50 nodes are reached from nowhere
    const int nodes = 8000, reachable = nodes - 50, block = 128;
    std::vector<int> offsets{0}, neighbours;
    for (int node = 0; node < nodes; node++) {
        neighbours.push_back((node + 1) % reachable);
        for (unsigned k = scrambled(node) % 6; k; k--) neighbours.push_back(scrambled(node * 8 + k) % reachable);
        offsets.push_back((int)neighbours.size());
    }

    std::vector<int> levels(nodes, -1);
    levels[0] = 0;
    int *device_offsets = on_device(offsets), *device_neighbours = on_device(neighbours);
    int *device_levels = on_device(levels), *device_grew = on_device({0});
    int grew = 1, level = 0;
    for (; grew; level++) {
        OK(cudaMemset(device_grew, 0, sizeof grew));
        expand<<<(nodes + block - 1) / block, block>>>(
            device_offsets, device_neighbours, device_levels, nodes, level, device_grew);
        OK(cudaMemcpy(&grew, device_grew, sizeof grew, cudaMemcpyDeviceToHost));
    }
    printf("%d levels\n", level);

    OK(cudaMemcpy(levels.data(), device_levels, nodes * sizeof(int), cudaMemcpyDeviceToHost));
    const std::vector<int> expected = levels_of(offsets, neighbours);
    long wrong = 0;
    for (int node = 0; node < nodes; node++) wrong += levels[node] != expected[node];
    return verdict(wrong);
}
