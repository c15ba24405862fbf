// An image turned and enlarged through a texture object: a CUDA array, normalized coordinates that wrap around, linear
// filtering by the texture unit. The host filters the same places in its own arithmetic.
#include "check.h"
#include <vector>

const int WIDTH = 64, HEIGHT = 32, OUT = 96;

// Where a pixel of the result lies in the image, in its width and height; partly outside of it.
__host__ __device__ inline float2 place(int x, int y)
{
    float u = (x - OUT / 2) / (float)OUT, v = (y - OUT / 2) / (float)OUT;
    return make_float2(0.96f * u - 0.28f * v + 0.7f, 0.28f * u + 0.96f * v + 0.4f);
}

__global__ void turn(cudaTextureObject_t image, float* out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const float2 at = place(x, y);
    out[y * OUT + x] = tex2D<float>(image, at.x, at.y);
}

// What linear filtering gives, with exact weights: texels have their centres at halves.
static double filtered(const std::vector<float>& image, float2 at)
{
    const double x = at.x * (double)WIDTH - 0.5, y = at.y * (double)HEIGHT - 0.5;
    const int left = (int)floor(x), top = (int)floor(y);
    auto texel = [&](int i, int j) {
        return image[(j % HEIGHT + HEIGHT) % HEIGHT * WIDTH + (i % WIDTH + WIDTH) % WIDTH];
    };
    const double a = x - left, b = y - top;
    return (1 - a) * (1 - b) * texel(left, top) + a * (1 - b) * texel(left + 1, top)
           + (1 - a) * b * texel(left, top + 1) + a * b * texel(left + 1, top + 1);
}

int main()
{
    std::vector<float> image(WIDTH * HEIGHT), out(OUT * OUT);
    for (int i = 0; i < WIDTH * HEIGHT; i++) image[i] = scrambled(i) % 1024 / 1024.0f;

    const cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    cudaArray_t array;
    OK(cudaMallocArray(&array, &format, WIDTH, HEIGHT));
    const size_t row = WIDTH * sizeof(float);
    OK(cudaMemcpy2DToArray(array, 0, 0, image.data(), row, row, HEIGHT, cudaMemcpyHostToDevice));
    cudaResourceDesc resource = {};
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    cudaTextureDesc sampling = {};
    sampling.addressMode[0] = sampling.addressMode[1] = cudaAddressModeWrap;
    sampling.filterMode = cudaFilterModeLinear;
    sampling.readMode = cudaReadModeElementType;
    sampling.normalizedCoords = 1;
    cudaTextureObject_t texture = 0;
    OK(cudaCreateTextureObject(&texture, &resource, &sampling, nullptr));

    float* device_out;
    OK(cudaMalloc(&device_out, out.size() * sizeof(float)));
    const dim3 block(16, 16), grid(OUT / 16, OUT / 16);
    turn<<<grid, block>>>(texture, device_out);
    OK(cudaGetLastError());
    OK(cudaMemcpy(out.data(), device_out, out.size() * sizeof(float), cudaMemcpyDeviceToHost));
    OK(cudaDestroyTextureObject(texture));
    OK(cudaFreeArray(array));

    // weights of the texture unit have 8 bits behind the point (CUDA C++ Programming Guide, "Linear Filtering"), however
    // they are rounded: along each of two directions a mean of numbers from 0 to 1 moves by less than 1/256
    long wrong = 0;
    for (int y = 0; y < OUT; y++)
        for (int x = 0; x < OUT; x++) wrong += fabs(out[y * OUT + x] - filtered(image, place(x, y))) > 2.0 / 256;
    return verdict(wrong);
}
