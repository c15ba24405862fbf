// Kernels that make the compiler emit as many kinds of operands as possible; nothing here is meant to be fast.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

__device__ float table[64];
__device__ int values[4] = {1, 2, 3, 4};
__device__ int counter;
__constant__ float coefficients[16] = {1.f, 2.f, 3.f, 4.f};

extern "C" __global__ void mixed(const float *a, float *b, int n, double d, unsigned char *c8, __half2 *h) {
  __shared__ float s[256];
  extern __shared__ float4 dynamic[];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  s[threadIdx.x] = a[i] * coefficients[i & 15] + table[i & 63] + values[n & 3];
  __syncthreads();
  float v = s[255 - threadIdx.x];
  for (int k = 16; k; k >>= 1) v += __shfl_xor_sync(0xffffffffu, v, k);
  dynamic[threadIdx.x] = make_float4(v, v * 2, v * 3, 1.f);
  __syncthreads();
  float4 q = dynamic[threadIdx.x ^ 1];
  b[i] = q.x / q.y + sqrtf(q.z) + sinf(v) * expf(q.w) + logf(v);
  atomicAdd(&counter, (int)v);
  atomicAdd((int *)s + threadIdx.x % 7, 1);
  double e = d * v + 1.5;
  b[i + n] = e / 3.0 + sqrt(e);
  c8[i] = (unsigned char)(c8[i + 1] * 3);
  h[i] = __hfma2(h[i], h[i + 1], __floats2half2_rn(1.5f, 2.f));
  if (__any_sync(0xffffffffu, v > 3)) b[i + 2 * n] = __popc(i) + __clz(i) + __brev(i) + (long long)i * n % 7;
  int m = atomicCAS(&counter, 1, 2);
  atomicMax((unsigned *)&counter, m);
  atomicAdd(b, 1.f);
  b[i + 3 * n] = atomicExch(&counter, 4);
}

__device__ __noinline__ float recurse(float x, int k) { return k > 0 ? recurse(x * 1.5f, k - 1) + x : x; }

__global__ void calls(float *a, int selector) {
  int i = threadIdx.x;
  a[i] = recurse(a[i], selector);
  switch (selector) {
    case 0: a[i] += 1; break;
    case 1: a[i] *= 3; break;
    case 2: a[i] -= 7; break;
    case 3: a[i] = __sinf(a[i]); break;
    case 4: a[i] /= 9; break;
    case 5: a[i] = -a[i]; break;
  }
  float local[20];
  for (int k = 0; k < 20; k++) local[k] = a[k];
  a[0] = local[selector];
}

extern "C" __global__ void conversions(float *f, double *d, long long *l, unsigned long long *u, int *i, short *s,
                                       signed char *c, __half *h) {
  int t = threadIdx.x;
  f[t] = (float)l[t];
  f[t + 1] = (float)u[t];
  d[t] = (double)l[t];
  d[t + 1] = (double)i[t];
  d[t + 2] = (double)f[t + 5];
  f[t + 6] = (float)d[t + 7];
  l[t + 3] = (long long)f[t + 9];
  l[t + 4] = (long long)d[t + 3];
  u[t + 5] = (unsigned long long)d[t + 4];
  i[t + 3] = (int)d[t + 5];
  i[t + 7] = (int)f[t + 11];
  h[t] = __float2half(f[t + 12]);
  f[t + 13] = __half2float(h[t + 1]);
  f[t + 20] = s[t];
  f[t + 21] = c[t];
  h[t + 3] = (__half)d[t + 9];
  d[t + 10] = floor(d[t + 11]);
  f[t + 14] = rintf(f[t + 15]);
  h[t + 7] = h[t + 8] + __half(1.5);
  if (__hgt(h[t + 14], h[t + 15])) h[t] = __hmax(h[t + 16], h[t + 17]);
  f[t + 30] = fminf(f[t + 31], f[t + 32]);
  i[t + 40] = min(i[t + 41], abs(i[t + 42]));
  d[t + 20] = 1.0 / d[t + 21];
  d[t + 40] = fmin(d[t + 40], d[t + 41]) + rsqrt(d[t + 42]);
}

extern "C" __global__ void atomics(int *i, unsigned long long *u, double *d, int n) {
  __shared__ int s[64];
  __shared__ unsigned long long su[64];
  int t = threadIdx.x;
  s[t] = t;
  su[t] = t;
  __syncthreads();
  u[t] = atomicAdd(u + 7, 1ull);
  d[t] = atomicAdd(d + 5, 2.0);
  u[t + 1] = atomicCAS(u + 9, 3ull, u[4]);
  atomicMin(u, 5ull);
  i[t + 1] = atomicExch(s + 3, 7);
  i[t + 2] = atomicCAS(s + t % 3, 1, 2);
  su[t + 3] = atomicCAS(su + t, 1ull, 2ull);
  __threadfence();
  i[t + 9] = __match_any_sync(0xffffffffu, t / 3);
  int p;
  i[t + 10] = __match_all_sync(0xffffffffu, t / 3, &p);
  i[t + 11] = p + __ballot_sync(0xffffffffu, t > 5) + __all_sync(0xffffffffu, n > t) + __syncthreads_or(n > t);
}

extern "C" __global__ void copies(int4 *g, int4 *o, int *p, int selector, long long k) {
  __shared__ int4 s[128];
  int local[8];
  int *q = selector > 1 ? (int *)s : p;
  q[threadIdx.x] += 3;
#if __CUDA_ARCH__ >= 800
  unsigned address = (unsigned)__cvta_generic_to_shared(&s[threadIdx.x]);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(&g[threadIdx.x]));
  asm volatile("cp.async.commit_group;");
  asm volatile("cp.async.wait_group 0;");
  p[1] = __reduce_add_sync(0xffffffffu, p[2]);
#endif
  __syncthreads();
  o[threadIdx.x] = s[127 - threadIdx.x];
  for (int i = 0; i < 8; i++) local[i] = p[i];
  p[k * 3] = local[selector & 7] + (int)clock64() + (int)clock();
}

extern "C" __global__ void matrices(const __half *a, const __half *b, float *c, unsigned *r, int *i) {
  using namespace nvcuda;
  __shared__ __half s[512];
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
  wmma::fill_fragment(fc, 0.f);
  s[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  wmma::load_matrix_sync(fa, s, 16);
  wmma::load_matrix_sync(fb, b, 16);
  wmma::mma_sync(fc, fa, fb, fc);
  wmma::store_matrix_sync(c, fc, 16, wmma::mem_row_major);
  int x = i[0], y = i[1];
  asm volatile("mma.sync.aligned.m8n8k16.row.col.satfinite.s32.s8.s8.s32 {%0,%1},{%2},{%3},{%0,%1};"
               : "+r"(x), "+r"(y)
               : "r"(r[2]), "r"(r[3]));
  i[0] = x;
  i[1] = y;
}
