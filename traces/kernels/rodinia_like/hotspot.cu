// Heat in a chip: each cell moves towards its neighbours, the ambient and its power. A block holds 16 x 16 cells in
// shared memory and makes several time steps before it writes back the cells whose neighbourhood it still knows.
// At the chip's edge a cell stands in for its missing neighbour.
#define TILE 16

extern "C" __global__ __launch_bounds__(TILE* TILE) void hotspot(const float* __restrict__ in,
                                                                 const float* __restrict__ power,
                                                                 float* __restrict__ out, int height, int width,
                                                                 int steps, float exchange, float loss, float ambient)
{
    __shared__ float cells[2][TILE][TILE];
    int x = threadIdx.x, y = threadIdx.y, inner = TILE - 2 * steps;
    int column = blockIdx.x * inner - steps + x, row = blockIdx.y * inner - steps + y;
    bool inside = row >= 0 && row < height && column >= 0 && column < width;
    float heat = inside ? power[row * width + column] : 0.0f;
    float cell = inside ? in[row * width + column] : 0.0f;
    cells[0][y][x] = cell;
    __syncthreads();

    int now = 0;
    for (int step = 1; step <= steps; ++step) {
        if (inside && x >= step && x < TILE - step && y >= step && y < TILE - step) {
            float above = row == 0 ? cell : cells[now][y - 1][x], below = row == height - 1 ? cell : cells[now][y + 1][x];
            float left = column == 0 ? cell : cells[now][y][x - 1];
            float right = column == width - 1 ? cell : cells[now][y][x + 1];
            float around = __fadd_rn(__fadd_rn(above, below), __fadd_rn(left, right));
            float flow = fmaf(exchange, fmaf(-4.0f, cell, around), heat);
            cell = __fadd_rn(cell, fmaf(loss, __fadd_rn(ambient, -cell), flow));
        }
        now ^= 1;
        cells[now][y][x] = cell;
        __syncthreads();
    }
    if (inside && x >= steps && x < TILE - steps && y >= steps && y < TILE - steps) out[row * width + column] = cell;
}
