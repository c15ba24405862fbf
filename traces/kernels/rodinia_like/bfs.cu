// Breadth-first search by levels: every launch looks at all nodes, and those of the present level visit their
// neighbours. Neighbours of node i start at offsets[i]; an unvisited node has level -1.
extern "C" __global__ void start_at(int* levels, int source)
{
    levels[source] = 0;
}

extern "C" __global__ void expand_level(const int* __restrict__ offsets, const int* __restrict__ degrees,
                                        const int* __restrict__ neighbours, int* levels, int* visited, int nodes,
                                        int level)
{
    int node = blockIdx.x * blockDim.x + threadIdx.x;
    if (node >= nodes || levels[node] != level) return;
    int first = offsets[node], end = first + degrees[node];
    for (int edge = first; edge < end; ++edge) {
        int other = neighbours[edge];
        if (levels[other] < 0) levels[other] = level + 1;
    }
    atomicAdd(visited + level, 1);
}
