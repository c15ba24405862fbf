// One training step of a network with one hidden layer of 16 units. Forward: 16 x 16 blocks fold products of inputs
// and weights through shared memory, one partial sum per block and unit; a block adds them and applies the sigmoid.
// Backward: the hidden units' errors from the one output's, then all first-layer weights move with momentum.
#define UNITS 16

extern "C" __global__ void layer_forward(const float* __restrict__ inputs, const float* __restrict__ weights,
                                         float* __restrict__ partial)
{
    __shared__ float products[UNITS][UNITS];
    int unit = threadIdx.x, local = threadIdx.y, input = blockIdx.x * UNITS + local;
    products[local][unit] = inputs[input] * weights[input * UNITS + unit];
    __syncthreads();
    for (int half = UNITS / 2; half > 0; half /= 2) {
        if (local < half) products[local][unit] += products[local + half][unit];
        __syncthreads();
    }
    if (local == 0) partial[blockIdx.x * UNITS + unit] = products[0][unit];
}

extern "C" __global__ void hidden_layer(const float* __restrict__ partial, const float* __restrict__ bias,
                                        const float* __restrict__ to_output, float* __restrict__ hidden,
                                        float* __restrict__ errors, int blocks, float output_error)
{
    int unit = threadIdx.x;
    float sum = bias[unit];
    for (int block = 0; block < blocks; ++block) sum += partial[block * UNITS + unit];
    float value = 1.0f / (1.0f + expf(-sum));
    hidden[unit] = value;
    errors[unit] = value * (1.0f - value) * (to_output[unit] * output_error);
}

extern "C" __global__ void adjust_weights(const float* __restrict__ inputs, const float* __restrict__ errors,
                                          float* __restrict__ weights, float* __restrict__ changes, float rate,
                                          float momentum)
{
    int unit = threadIdx.x, input = blockIdx.x * UNITS + threadIdx.y, i = input * UNITS + unit;
    float change = fmaf(rate * errors[unit], inputs[input], __fmul_rn(momentum, changes[i]));
    weights[i] += change;
    changes[i] = change;
}
