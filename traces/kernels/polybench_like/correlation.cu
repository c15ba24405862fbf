// Correlation matrix of the columns of a data set: mean and deviation of each column, normalisation in place, then
// the upper triangle of the products of columns and its mirror image.
extern "C" __global__ void column_statistics(const float* __restrict__ data, float* __restrict__ means,
                                             float* __restrict__ deviations, int rows, int columns)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    float sum = 0.0f, squares = 0.0f;
    for (int row = 0; row < rows; ++row) sum += data[row * columns + column];
    float mean = sum / (float)rows;
    for (int row = 0; row < rows; ++row) {
        float apart = data[row * columns + column] - mean;
        squares = fmaf(apart, apart, squares);
    }
    float deviation = sqrtf(squares / (float)rows);
    means[column] = mean;
    deviations[column] = deviation <= 0.005f ? 1.0f : deviation;
}

extern "C" __global__ void normalise(float* __restrict__ data, const float* __restrict__ means,
                                     const float* __restrict__ deviations, int rows, int columns)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    float scale = sqrtf((float)rows) * deviations[column];
    data[row * columns + column] = (data[row * columns + column] - means[column]) / scale;
}

extern "C" __global__ void correlate(const float* __restrict__ data, float* __restrict__ out, int rows, int columns)
{
    int right = blockIdx.x * blockDim.x + threadIdx.x, left = blockIdx.y * blockDim.y + threadIdx.y;
    if (left >= columns || right >= columns || right < left) return;
    if (left == right) {
        out[left * columns + right] = 1.0f;
        return;
    }
    float sum = 0.0f;
    for (int row = 0; row < rows; ++row) sum = fmaf(data[row * columns + left], data[row * columns + right], sum);
    out[left * columns + right] = sum;
    out[right * columns + left] = sum;
}
