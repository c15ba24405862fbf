// One step of an all-pairs n-body simulation: positions come through shared memory one block-wide tile at a
// time; rsqrtf becomes MUFU.RSQ. A position's w is its mass. n must be a multiple of the block size (128).
#define THREADS 128
#define SOFTENING 1.0e-3f

extern "C" __global__ void nbody(const float4* __restrict__ positions, float4* __restrict__ velocities,
                                 float4* __restrict__ moved, int n, float step)
{
    __shared__ float4 tile[THREADS];
    int i = blockIdx.x * THREADS + threadIdx.x;
    float4 me = positions[i];
    float ax = 0.0f, ay = 0.0f, az = 0.0f;
    for (int first = 0; first < n; first += THREADS) {
        tile[threadIdx.x] = positions[first + threadIdx.x];
        __syncthreads();
#pragma unroll 8
        for (int j = 0; j < THREADS; ++j) {
            float4 other = tile[j];
            float dx = other.x - me.x, dy = other.y - me.y, dz = other.z - me.z;
            float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + SOFTENING);
            float pull = other.w * inverse * inverse * inverse;
            ax += dx * pull;
            ay += dy * pull;
            az += dz * pull;
        }
        __syncthreads();
    }
    float4 velocity = velocities[i];
    velocity.x += ax * step;
    velocity.y += ay * step;
    velocity.z += az * step;
    velocities[i] = velocity;
    moved[i] = make_float4(me.x + velocity.x * step, me.y + velocity.y * step, me.z + velocity.z * step, me.w);
}
