// C = A * B^T (both operands row major over the depth) with the tensor cores: asynchronous copies bring 64 x 32 tiles of
// fp16 into a ring of three stages in shared memory, LDSM takes fragments from it, and MMA 16x8x16 sums in fp32. A tile's
// rows of 64 bytes hold their four 16-byte pieces in an order that depends on the row, so that neither the copies nor
// the fragment loads have bank conflicts. Four warps, each 32 x 32 of the 64 x 64 results. rows and columns are
// multiples of 64, depth of 32 and at least 64.
#include <cuda_fp16.h>

#define TILE 64
#define DEPTH 32
#define STAGES 3
#define STAGE_BYTES (2 * TILE * DEPTH * 2)

__device__ unsigned place(int row, int piece)
{
    return row * (DEPTH * 2) + ((piece ^ (row / 2 & 3)) * 16);
}

__device__ void copy_piece(unsigned to, const __half* from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}

__device__ void copy_tile(unsigned to, const __half* from, int depth)
{
    for (int i = threadIdx.x; i < TILE * DEPTH / 8; i += 128) {
        int row = i / (DEPTH / 8), piece = i % (DEPTH / 8);
        copy_piece(to + place(row, piece), from + row * depth + piece * 8);
    }
}

__device__ void load_fragments(unsigned fragments[4], unsigned from)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragments[0]), "=r"(fragments[1]), "=r"(fragments[2]), "=r"(fragments[3])
                 : "r"(from));
}

__device__ void multiply(float sums[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

extern "C" __global__ __launch_bounds__(128) void mma_pipeline(const __half* __restrict__ a,
                                                               const __half* __restrict__ b, float* __restrict__ c,
                                                               int columns, int depth)
{
    __shared__ __align__(128) unsigned char ring[STAGES * STAGE_BYTES];
    unsigned base = (unsigned)__cvta_generic_to_shared(ring);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
    const __half* a_from = a + blockIdx.y * TILE * depth;
    const __half* b_from = b + blockIdx.x * TILE * depth;
    int tiles = depth / DEPTH;
    for (int stage = 0; stage < STAGES - 1; ++stage) {
        copy_tile(base + stage * STAGE_BYTES, a_from + stage * DEPTH, depth);
        copy_tile(base + stage * STAGE_BYTES + STAGE_BYTES / 2, b_from + stage * DEPTH, depth);
        asm volatile("cp.async.commit_group;");
    }

    float sums[2][4][4] = {};
    for (int tile = 0; tile < tiles; ++tile) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2));
        __syncthreads();
        int next = tile + STAGES - 1;
        if (next < tiles) {
            unsigned to = base + next % STAGES * STAGE_BYTES;
            copy_tile(to, a_from + next * DEPTH, depth);
            copy_tile(to + STAGE_BYTES / 2, b_from + next * DEPTH, depth);
        }
        asm volatile("cp.async.commit_group;");

        unsigned a_tile = base + tile % STAGES * STAGE_BYTES, b_tile = a_tile + STAGE_BYTES / 2;
#pragma unroll
        for (int k = 0; k < DEPTH / 16; ++k) {
            unsigned left[2][4], right[2][4];
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                int a_row = warp_row + 16 * h + lane % 16, b_row = warp_column + 16 * h + lane % 8 + lane / 16 * 8;
                load_fragments(left[h], a_tile + place(a_row, 2 * k + lane / 16));
                load_fragments(right[h], b_tile + place(b_row, 2 * k + lane / 8 % 2));
            }
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    multiply(sums[i][j], left[i], right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]);
        }
    }
    int row = blockIdx.y * TILE + warp_row + lane / 4, column = blockIdx.x * TILE + warp_column + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            float* to = c + (row + 16 * i) * columns + column + 8 * j;
            *(float2*)to = make_float2(sums[i][j][0], sums[i][j][1]);
            *(float2*)(to + 8 * columns) = make_float2(sums[i][j][2], sums[i][j][3]);
        }
}
