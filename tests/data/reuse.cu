// Outer products in registers: the compiler marks many operands for the register-file cache.
#include <cuda_fp16.h>

#define KERNEL(NAME, TYPE, EXPRESSION)                                        \
  extern "C" __global__ void NAME(TYPE *p, int k, int rounds) {               \
    TYPE a[4], b[4], r[16];                                                   \
    for (int i = 0; i < 4; i++) a[i] = p[i * k], b[i] = p[i * k + 1];         \
    for (int i = 0; i < 16; i++) r[i] = p[i * k + 2];                         \
    for (int n = 0; n < rounds; n++) {                                        \
      _Pragma("unroll") for (int i = 0; i < 16; i++) {                        \
        TYPE x = a[i / 4], y = b[i % 4], z = r[i], w = r[(i + 5) % 16];       \
        r[i] = EXPRESSION;                                                    \
      }                                                                       \
      for (int i = 0; i < 4; i++) a[i] = r[i], b[i] = r[i + 4];               \
    }                                                                         \
    for (int i = 0; i < 16; i++) p[i * k + 2] = r[i];                         \
  }

KERNEL(multiply_add, float, __fmaf_rn(x, y, z) + __fmaf_rn(x, w, y))
KERNEL(add, float, (x + y) * (z + x) - (w + y))
KERNEL(choose, float, fminf(x, fmaxf(y, z)) + (x > w ? y : z))
KERNEL(double_multiply_add, double, __fma_rn(x, y, z) + __fma_rn(x, w, y))
KERNEL(double_add, double, (x + y) * (z + x) - (w > y ? w : x))
KERNEL(integer, int, x * y + z + (w & x | y) + min(x, w))
KERNEL(bits, int, __funnelshift_l(x, y, z) ^ __byte_perm(x, y, w) ^ (x > w ? y : abs(z)))
KERNEL(products, int, __dp4a(x, y, z) + __mulhi(x, w) + x * 8 + y)
KERNEL(wide, long long, (long long)(int)x * (int)y + z + (w << ((int)x & 31)))
KERNEL(half_multiply_add, __half2, __hadd2(__hfma2(x, y, z), __hmul2(x, w)))
KERNEL(half_add, __half2, __hadd2(__hadd2(x, y), __hgt2(x, w)))
