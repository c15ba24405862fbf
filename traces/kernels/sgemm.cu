// C = A * B, row major, through shared memory with register blocking.
// A block of 128 threads computes a 64 x 64 tile, a thread 8 x 4 results of it. The next slices of A and B
// travel from global memory into registers while the present ones are multiplied. A is kept transposed in
// shared memory, so that a thread's 8 rows and 4 columns arrive in three 16-byte loads per step of k.
// m and n must be multiples of 64, k of 16; the pointers 16-byte aligned.
#define TILE 64
#define DEPTH 16
#define PITCH (TILE + 4)  // four words of padding spread the transposing stores over the banks
#define ROWS 8
#define COLUMNS 4
#define THREADS 128

extern "C" __global__ __launch_bounds__(THREADS) void sgemm(const float* __restrict__ a, const float* __restrict__ b,
                                                            float* __restrict__ c, int n, int k)
{
    __shared__ float4 a_store[DEPTH * PITCH / 4];
    __shared__ float4 b_store[DEPTH * TILE / 4];
    float* a_tile = (float*)a_store;

    int thread = threadIdx.x;
    int row = (thread / 16) * ROWS, column = (thread % 16) * COLUMNS;
    // Loading: A as 64 rows of 4 float4 (two halves of 32 rows), B as 16 rows of 16 float4 (two halves of 8 rows).
    int a_row = thread / 4, a_column = (thread % 4) * 4;
    int b_row = thread / 16, b_column = (thread % 16) * 4;
    const float* a_from = a + (blockIdx.y * TILE + a_row) * k + a_column;
    const float* b_from = b + b_row * n + blockIdx.x * TILE + b_column;

    float sum[ROWS][COLUMNS] = {};
    float4 a_next[2], b_next[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        a_next[h] = *(const float4*)(a_from + h * 32 * k);
        b_next[h] = *(const float4*)(b_from + h * 8 * n);
    }

    for (int done = 0; done < k; done += DEPTH) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            float* to = a_tile + a_column * PITCH + a_row + h * 32;
            to[0 * PITCH] = a_next[h].x;
            to[1 * PITCH] = a_next[h].y;
            to[2 * PITCH] = a_next[h].z;
            to[3 * PITCH] = a_next[h].w;
            b_store[(b_row + h * 8) * (TILE / 4) + thread % 16] = b_next[h];
        }
        __syncthreads();

        if (done + DEPTH < k) {
            a_from += DEPTH;
            b_from += DEPTH * n;
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                a_next[h] = *(const float4*)(a_from + h * 32 * k);
                b_next[h] = *(const float4*)(b_from + h * 8 * n);
            }
        }

#pragma unroll
        for (int i = 0; i < DEPTH; ++i) {
            float4 low = a_store[(i * PITCH + row) / 4], high = a_store[(i * PITCH + row) / 4 + 1];
            float4 right = b_store[(i * TILE + column) / 4];
            float left[ROWS] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int r = 0; r < ROWS; ++r) {
                sum[r][0] = fmaf(left[r], right.x, sum[r][0]);
                sum[r][1] = fmaf(left[r], right.y, sum[r][1]);
                sum[r][2] = fmaf(left[r], right.z, sum[r][2]);
                sum[r][3] = fmaf(left[r], right.w, sum[r][3]);
            }
        }
        __syncthreads();
    }

    float* to = c + (blockIdx.y * TILE + row) * n + blockIdx.x * TILE + column;
#pragma unroll
    for (int r = 0; r < ROWS; ++r) *(float4*)(to + r * n) = make_float4(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
}
