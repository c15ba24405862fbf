// One head of attention, softmax(Q K^T / sqrt(d)) V, without ever storing the scores: a thread owns a query, keys and
// values pass through shared memory in tiles of 32, and maximum and sum are corrected as larger scores appear.
#define WIDTH 32
#define TILE 32
#define QUERIES 64

extern "C" __global__ __launch_bounds__(QUERIES) void attention(const float* __restrict__ queries,
                                                                const float* __restrict__ keys,
                                                                const float* __restrict__ values,
                                                                float* __restrict__ out, int count, float scale)
{
    __shared__ float4 key_tile[TILE][WIDTH / 4], value_tile[TILE][WIDTH / 4];
    int query = blockIdx.x * QUERIES + threadIdx.x;
    float4 mine[WIDTH / 4], sums[WIDTH / 4];
#pragma unroll
    for (int k = 0; k < WIDTH / 4; ++k) {
        mine[k] = ((const float4*)queries)[query * (WIDTH / 4) + k];
        sums[k] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    }
    float largest = -1.0e30f, total = 0.0f;
    for (int from = 0; from < count; from += TILE) {
        __syncthreads();
        for (int i = threadIdx.x; i < TILE * WIDTH / 4; i += QUERIES) {
            key_tile[i / (WIDTH / 4)][i % (WIDTH / 4)] = ((const float4*)keys)[from * (WIDTH / 4) + i];
            value_tile[i / (WIDTH / 4)][i % (WIDTH / 4)] = ((const float4*)values)[from * (WIDTH / 4) + i];
        }
        __syncthreads();
        for (int j = 0; j < TILE; ++j) {
            float score = 0.0f;
#pragma unroll
            for (int k = 0; k < WIDTH / 4; ++k) {
                float4 key = key_tile[j][k];
                score += mine[k].x * key.x + mine[k].y * key.y + mine[k].z * key.z + mine[k].w * key.w;
            }
            score *= scale;
            if (score > largest) {
                float correction = __expf(largest - score);
                largest = score;
                total *= correction;
#pragma unroll
                for (int k = 0; k < WIDTH / 4; ++k) {
                    sums[k].x *= correction;
                    sums[k].y *= correction;
                    sums[k].z *= correction;
                    sums[k].w *= correction;
                }
            }
            float weight = __expf(score - largest);
            total += weight;
#pragma unroll
            for (int k = 0; k < WIDTH / 4; ++k) {
                float4 value = value_tile[j][k];
                sums[k].x = fmaf(weight, value.x, sums[k].x);
                sums[k].y = fmaf(weight, value.y, sums[k].y);
                sums[k].z = fmaf(weight, value.z, sums[k].z);
                sums[k].w = fmaf(weight, value.w, sums[k].w);
            }
        }
    }
    float factor = 1.0f / total;
#pragma unroll
    for (int k = 0; k < WIDTH / 4; ++k)
        ((float4*)out)[query * (WIDTH / 4) + k] =
            make_float4(sums[k].x * factor, sums[k].y * factor, sums[k].z * factor, sums[k].w * factor);
}
