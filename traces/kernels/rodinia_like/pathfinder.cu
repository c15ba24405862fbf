// Cheapest path through a grid of costs, row by row, each step to one of three neighbours below. A block keeps a row of
// 256 columns in shared memory and makes several rows before it writes back the columns it still knows.
#define THREADS 256

extern "C" __global__ __launch_bounds__(THREADS) void pathfinder(const int* __restrict__ costs,
                                                                 const int* __restrict__ in, int* __restrict__ out,
                                                                 int columns, int first_row, int rows)
{
    __shared__ int row_now[THREADS], row_next[THREADS];
    int x = threadIdx.x, column = blockIdx.x * (THREADS - 2 * rows) - rows + x;
    bool inside = column >= 0 && column < columns;
    int left = column == 0 ? x : x - 1, right = column == columns - 1 ? x : x + 1;
    row_now[x] = inside ? in[column] : 0;
    __syncthreads();
    for (int k = 0; k < rows; ++k) {
        bool known = inside && x > k && x < THREADS - 1 - k;
        if (known) {
            int cheapest = min(row_now[x], min(row_now[left], row_now[right]));
            row_next[x] = cheapest + costs[(first_row + k) * columns + column];
        }
        __syncthreads();
        if (known) row_now[x] = row_next[x];
        __syncthreads();
    }
    if (inside && x >= rows && x < THREADS - rows) out[column] = row_now[x];
}
