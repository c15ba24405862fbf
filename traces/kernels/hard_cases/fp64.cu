// Double precision: a rotation iterated with separately rounded products and sums, a fused recurrence in numbers small
// enough to be exact, and division and square root with their slow paths.
extern "C" __global__ void fp64(const double* __restrict__ x, const double* __restrict__ y,
                                double* __restrict__ rotated, double* __restrict__ polynomials,
                                double* __restrict__ quotients, int count, int rounds)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    double a = x[i], b = y[i];
    for (int k = 0; k < rounds; ++k) {
        double next = __dadd_rn(__dmul_rn(0.8, a), __dmul_rn(-0.6, b));
        b = __dadd_rn(__dmul_rn(0.6, a), __dmul_rn(0.8, b));
        a = next;
    }
    rotated[i] = __dadd_rn(a, b);

    double whole = (double)(i % 8), sum = 0.0;
    for (int k = 1; k < 12; ++k) sum = fma(sum, whole, (double)k);
    polynomials[i] = sum;

    double quotient = x[i] / y[i];
    quotients[i] = quotient > 0.0 ? sqrt(quotient) : quotient;
}
