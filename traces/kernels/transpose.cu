// Matrix transposition through a 32 x 32 shared-memory tile, block of 32 x 8 threads. Reading the tile by
// columns hits one bank 32 times without padding, and 32 different banks with one word of padding per row.
template <int PITCH>
__device__ void transpose_tile(const float* __restrict__ in, float* __restrict__ out, int rows, int columns)
{
    __shared__ float tile[32 * PITCH];
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
#pragma unroll
    for (int j = 0; j < 32; j += 8)
        if (x < columns && y + j < rows) tile[(threadIdx.y + j) * PITCH + threadIdx.x] = in[(y + j) * columns + x];
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x, y = blockIdx.x * 32 + threadIdx.y;
#pragma unroll
    for (int j = 0; j < 32; j += 8)
        if (x < rows && y + j < columns) out[(y + j) * rows + x] = tile[threadIdx.x * PITCH + threadIdx.y + j];
}

extern "C" __global__ void transpose_unpadded(const float* in, float* out, int rows, int columns)
{
    transpose_tile<32>(in, out, rows, columns);
}

extern "C" __global__ void transpose_padded(const float* in, float* out, int rows, int columns)
{
    transpose_tile<33>(in, out, rows, columns);
}
