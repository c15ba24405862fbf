// Needleman-Wunsch alignment: scores fill a matrix along its antidiagonals, in blocks of 32 x 32 that one warp fills
// along their own antidiagonals in shared memory. A launch covers one antidiagonal of blocks. The first row and column
// hold multiples of the gap's cost.
#define B 32

extern "C" __global__ void set_borders(int* scores, int size, int gap)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    scores[i] = -gap * i;
    scores[i * size] = -gap * i;
}

extern "C" __global__ __launch_bounds__(B) void fill_diagonal(const int* __restrict__ similarity, int* scores, int size,
                                                              int gap, int first_column, int last_row)
{
    __shared__ int cells[B + 1][B + 1];
    __shared__ int similar[B][B];
    int lane = threadIdx.x;
    int column = (first_column + blockIdx.x) * B, row = (last_row - blockIdx.x) * B;
    for (int y = 0; y < B; ++y) similar[y][lane] = similarity[(row + y) * (size - 1) + column + lane];
    cells[0][lane + 1] = scores[row * size + column + lane + 1];
    cells[lane + 1][0] = scores[(row + lane + 1) * size + column];
    if (lane == 0) cells[0][0] = scores[row * size + column];
    __syncwarp();
    for (int diagonal = 0; diagonal < 2 * B - 1; ++diagonal) {
        int y = diagonal - lane;
        if (y >= 0 && y < B) {
            int aligned = cells[y][lane] + similar[y][lane];
            int skipped = max(cells[y][lane + 1], cells[y + 1][lane]) - gap;
            cells[y + 1][lane + 1] = max(aligned, skipped);
        }
        __syncwarp();
    }
    for (int y = 0; y < B; ++y) scores[(row + y + 1) * size + column + lane + 1] = cells[y + 1][lane + 1];
}
