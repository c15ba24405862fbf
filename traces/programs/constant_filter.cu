// A 5 x 5 filter whose weights lie in constant memory: cudaMemcpyToSymbol before each launch, once from the host and once,
// into the middle, from device memory; cudaGetSymbolAddress and cudaMemcpyFromSymbol. Pitched rows for the image.
#include "check.h"
#include <vector>

const int RADIUS = 2, SIDE = 2 * RADIUS + 1, WIDTH = 150, HEIGHT = 60;

__constant__ float weights[SIDE][SIDE];
__device__ unsigned clamped; // threads that met the border

__global__ void filter(const float* image, size_t pitch, float* out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= WIDTH || y >= HEIGHT) return;
    if (x < RADIUS || y < RADIUS || x >= WIDTH - RADIUS || y >= HEIGHT - RADIUS) atomicAdd(&clamped, 1u);
    float sum = 0.0f;
    for (int j = 0; j < SIDE; j++)
        for (int i = 0; i < SIDE; i++) {
            const int column = min(max(x + i - RADIUS, 0), WIDTH - 1), row = min(max(y + j - RADIUS, 0), HEIGHT - 1);
            sum += weights[j][i] * *(const float*)((const char*)image + row * pitch + column * sizeof(float));
        }
    out[y * WIDTH + x] = sum;
}

static long differing(const std::vector<float>& image, const float (&host)[SIDE][SIDE], const std::vector<float>& out)
{
    auto held = [](int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; };
    long wrong = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            double sum = 0;
            for (int j = 0; j < SIDE; j++) {
                const float* row = &image[held(y + j - RADIUS, HEIGHT) * WIDTH];
                for (int i = 0; i < SIDE; i++) sum += (double)host[j][i] * row[held(x + i - RADIUS, WIDTH)];
            }
            wrong += !close_to(out[y * WIDTH + x], sum, 1e-5);
        }
    return wrong;
}

int main()
{
    std::vector<float> image(WIDTH * HEIGHT), out(WIDTH * HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT; i++) image[i] = scrambled(i) % 256 / 16.0f;
    float host[SIDE][SIDE], back[SIDE][SIDE];
    for (int k = 0; k < SIDE * SIDE; k++) host[k / SIDE][k % SIDE] = (k % 4 + 1) / 64.0f;

    float *device_image, *device_out, *row;
    size_t pitch;
    const size_t width = WIDTH * sizeof(float), bytes = out.size() * sizeof(float);
    OK(cudaMallocPitch(&device_image, &pitch, width, HEIGHT));
    OK(cudaMemcpy2D(device_image, pitch, image.data(), width, width, HEIGHT, cudaMemcpyHostToDevice));
    OK(cudaMalloc(&device_out, bytes));
    const dim3 block(32, 4), grid((WIDTH + 31) / 32, (HEIGHT + 3) / 4);

    OK(cudaMemcpyToSymbol(weights, host, sizeof host));
    filter<<<grid, block>>>(device_image, pitch, device_out);
    OK(cudaMemcpy(out.data(), device_out, bytes, cudaMemcpyDeviceToHost));
    long wrong = differing(image, host, out);

    for (int i = 0; i < SIDE; i++) host[RADIUS][i] = (i - RADIUS) / 4.0f; // another middle row
    OK(cudaMalloc(&row, sizeof host[RADIUS]));
    OK(cudaMemcpy(row, host[RADIUS], sizeof host[RADIUS], cudaMemcpyHostToDevice));
    OK(cudaMemcpyToSymbol(weights, row, sizeof host[RADIUS], RADIUS * sizeof host[0], cudaMemcpyDeviceToDevice));
    filter<<<grid, block>>>(device_image, pitch, device_out);
    OK(cudaMemcpy(out.data(), device_out, bytes, cudaMemcpyDeviceToHost));
    wrong += differing(image, host, out);

    OK(cudaMemcpyFromSymbol(back, weights, sizeof back));
    for (int k = 0; k < SIDE * SIDE; k++) wrong += back[k / SIDE][k % SIDE] != host[k / SIDE][k % SIDE];
    void* counter;
    unsigned met;
    OK(cudaGetSymbolAddress(&counter, clamped));
    OK(cudaMemcpy(&met, counter, sizeof met, cudaMemcpyDeviceToHost));
    wrong += met != 2 * (WIDTH * HEIGHT - (WIDTH - 2 * RADIUS) * (HEIGHT - 2 * RADIUS));
    return verdict(wrong);
}
