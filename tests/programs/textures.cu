// Textures and surfaces of every kind that kernels here may use, each beside the same read done on the host.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

static int failures;
#define CHECK(name, condition) \
    do { \
        if (!(condition)) { \
            failures++; \
            printf("FAILED %s: %s\n", name, #condition); \
        } \
    } while (0)
#define OK(call) CHECK(#call, (call) == cudaSuccess)

const int W = 7, H = 5, D = 3, POINTS = 64;

__global__ void read_1d(cudaTextureObject_t t, float *out, const int *at) { out[threadIdx.x] = tex1Dfetch<float>(t, at[threadIdx.x]); }
__global__ void read_2d(cudaTextureObject_t t, float *out, const float2 *at)
{
    float2 p = at[threadIdx.x];
    out[threadIdx.x] = tex2D<float>(t, p.x, p.y);
}
__global__ void read_3d(cudaTextureObject_t t, float *out, const float4 *at)
{
    float4 p = at[threadIdx.x];
    out[threadIdx.x] = tex3D<float>(t, p.x, p.y, p.z);
}
__global__ void read_bytes(cudaTextureObject_t t, uchar4 *out) { out[threadIdx.x] = tex2D<uchar4>(t, threadIdx.x % W + 0.5f, threadIdx.x / W + 0.5f); }
__global__ void read_shorts(cudaTextureObject_t t, float2 *out) { out[threadIdx.x] = tex2D<float2>(t, threadIdx.x % W + 0.5f, threadIdx.x / W + 0.5f); }
__global__ void read_listed(const cudaTextureObject_t *list, float *out) { out[threadIdx.x] = tex2D<float>(list[threadIdx.x & 1], 1.5f, 2.5f); }
__global__ void read_four(cudaTextureObject_t t, float4 *out) { *out = tex2Dgather<float4>(t, 2.0f, 3.0f, 0); }
__global__ void invert(cudaSurfaceObject_t from, cudaSurfaceObject_t to)
{
    uchar4 c;
    surf2Dread(&c, from, threadIdx.x * sizeof c, threadIdx.y);
    surf2Dwrite(make_uchar4(255 - c.x, 255 - c.y, 255 - c.z, c.w), to, threadIdx.x * sizeof c, threadIdx.y, cudaBoundaryModeZero);
}

static float pixel(int x, int y, int z = 0) { return 10.0f * x + 0.5f * y * y - 3 * z; }

static int inside(int i, int n, cudaTextureAddressMode mode)
{
    if (mode == cudaAddressModeWrap)
        return ((i % n) + n) % n;
    if (mode == cudaAddressModeMirror) {
        i = ((i % (2 * n)) + 2 * n) % (2 * n);
        return i < n ? i : 2 * n - 1 - i;
    }
    if (mode == cudaAddressModeBorder && (i < 0 || i >= n))
        return -1;
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}
static double texel(int x, int y, int z, int depth, cudaTextureAddressMode mode)
{
    x = inside(x, W, mode), y = inside(y, H, mode), z = depth ? inside(z, depth, mode) : 0;
    return x < 0 || y < 0 || z < 0 ? 0 : pixel(x, y, z);
}
static double weight(double p) { return floor((p - floor(p)) * 256 + 0.5) / 256; }
static double expected(float x, float y, float z, int depth, bool linear, bool normalized, cudaTextureAddressMode mode)
{
    double u = normalized ? (double)x * W : x, v = normalized ? (double)y * H : y, w = normalized ? (double)z * depth : z;
    if (!linear)
        return texel((int)floor(u), (int)floor(v), (int)floor(w), depth, mode);
    u -= 0.5, v -= 0.5, w -= 0.5;
    double a = weight(u), b = weight(v), c = depth ? weight(w) : 0, sum = 0;
    for (int k = 0; k < 8; k++) {
        double share = (k & 1 ? a : 1 - a) * (k & 2 ? b : 1 - b) * (k & 4 ? c : 1 - c);
        if (share)
            sum += share * texel((int)floor(u) + (k & 1), (int)floor(v) + (k >> 1 & 1), (int)floor(w) + (k >> 2), depth, mode);
    }
    return sum;
}

static cudaTextureObject_t texture(cudaResourceDesc resource, bool linear, bool normalized, cudaTextureAddressMode mode, cudaTextureReadMode read = cudaReadModeElementType)
{
    cudaTextureDesc description = {};
    for (auto &each : description.addressMode)
        each = mode;
    description.filterMode = linear ? cudaFilterModeLinear : cudaFilterModePoint;
    description.normalizedCoords = normalized;
    description.readMode = read;
    cudaTextureObject_t object = 0;
    OK(cudaCreateTextureObject(&object, &resource, &description, nullptr));
    return object;
}

template <class T> static T *device(const std::vector<T> &host)
{
    T *memory;
    OK(cudaMalloc(&memory, host.size() * sizeof(T)));
    OK(cudaMemcpy(memory, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
    return memory;
}

static void planes()
{
    std::vector<float> image(W * H);
    for (int k = 0; k < W * H; k++)
        image[k] = pixel(k % W, k / W);
    cudaArray_t array;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    OK(cudaMallocArray(&array, &format, W, H));
    OK(cudaMemcpy2DToArray(array, 0, 0, image.data(), W * sizeof(float), W * sizeof(float), H, cudaMemcpyHostToDevice));
    cudaResourceDesc resource = {};
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    std::vector<float> out(POINTS);
    float *result = device(out);
    for (int normalized = 0; normalized < 2; normalized++)
        for (int linear = 0; linear < 2; linear++)
            for (int m = 0; m < 4; m++) {
                auto mode = (cudaTextureAddressMode)m;
                if (!normalized && (mode == cudaAddressModeWrap || mode == cudaAddressModeMirror))
                    continue; // for normalized coordinates only
                std::vector<float2> at(POINTS);
                srand(m + 1);
                for (auto &p : at) {
                    p = make_float2(rand() % 1000 / 100.0f - 1, rand() % 1000 / 100.0f - 2);
                    if (normalized)
                        p.x /= 4, p.y /= 4;
                }
                float2 *points = device(at);
                cudaTextureObject_t object = texture(resource, linear, normalized, mode);
                read_2d<<<1, POINTS>>>(object, result, points);
                OK(cudaMemcpy(out.data(), result, POINTS * sizeof(float), cudaMemcpyDeviceToHost));
                for (int k = 0; k < POINTS; k++)
                    CHECK("2D", fabs(out[k] - expected(at[k].x, at[k].y, 0, 0, linear, normalized, mode)) < 1e-3);
                OK(cudaDestroyTextureObject(object));
                cudaFree(points);
            }
    cudaTextureObject_t pair[2] = {texture(resource, false, false, cudaAddressModeClamp), texture(resource, true, false, cudaAddressModeClamp)};
    cudaTextureObject_t *list;
    OK(cudaMalloc(&list, sizeof pair));
    OK(cudaMemcpy(list, pair, sizeof pair, cudaMemcpyHostToDevice));
    read_listed<<<1, 2>>>(list, result);
    OK(cudaMemcpy(out.data(), result, 2 * sizeof(float), cudaMemcpyDeviceToHost));
    CHECK("listed", out[0] == pixel(1, 2) && out[1] == pixel(1, 2));
    float4 *four, got;
    OK(cudaMalloc(&four, sizeof got));
    read_four<<<1, 1>>>(pair[0], four);
    OK(cudaMemcpy(&got, four, sizeof got, cudaMemcpyDeviceToHost));
    CHECK("gather", got.x == pixel(1, 3) && got.y == pixel(2, 3) && got.z == pixel(2, 2) && got.w == pixel(1, 2));
}

static void lines_and_boxes()
{
    std::vector<float> image(W * H * D), out(POINTS);
    for (int k = 0; k < W * H * D; k++)
        image[k] = pixel(k % W, k / W % H, k / W / H);
    float *memory = device(image), *result = device(out);
    cudaResourceDesc resource = {};
    resource.resType = cudaResourceTypeLinear;
    resource.res.linear.devPtr = memory;
    resource.res.linear.desc = cudaCreateChannelDesc<float>();
    resource.res.linear.sizeInBytes = image.size() * sizeof(float);
    std::vector<int> at(POINTS);
    for (int k = 0; k < POINTS; k++)
        at[k] = (k * 37) % 120 - 5;
    int *places = device(at);
    read_1d<<<1, POINTS>>>(texture(resource, false, false, cudaAddressModeClamp), result, places);
    OK(cudaMemcpy(out.data(), result, POINTS * sizeof(float), cudaMemcpyDeviceToHost));
    for (int k = 0; k < POINTS; k++)
        CHECK("1D", out[k] == (at[k] < 0 || at[k] >= W * H * D ? 0 : image[at[k]]));

    cudaArray_t array;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    OK(cudaMalloc3DArray(&array, &format, make_cudaExtent(W, H, D)));
    cudaMemcpy3DParms copy = {};
    copy.srcPtr = make_cudaPitchedPtr(image.data(), W * sizeof(float), W, H);
    copy.dstArray = array;
    copy.extent = make_cudaExtent(W, H, D);
    copy.kind = cudaMemcpyHostToDevice;
    OK(cudaMemcpy3D(&copy));
    cudaResourceDesc box = {};
    box.resType = cudaResourceTypeArray;
    box.res.array.array = array;
    for (int linear = 0; linear < 2; linear++) {
        std::vector<float4> points(POINTS);
        for (auto &p : points)
            p = make_float4(rand() % 900 / 100.0f - 1, rand() % 700 / 100.0f - 1, rand() % 500 / 100.0f - 1, 0);
        float4 *spots = device(points);
        read_3d<<<1, POINTS>>>(texture(box, linear, false, cudaAddressModeClamp), result, spots);
        OK(cudaMemcpy(out.data(), result, POINTS * sizeof(float), cudaMemcpyDeviceToHost));
        for (int k = 0; k < POINTS; k++)
            CHECK("3D", fabs(out[k] - expected(points[k].x, points[k].y, points[k].z, D, linear, false, cudaAddressModeClamp)) < 1e-3);
    }
}

static void formats()
{
    std::vector<uchar4> bytes(W * H), seen(W * H);
    for (int k = 0; k < W * H; k++)
        bytes[k] = make_uchar4(k, 2 * k, 255 - k, k % 3);
    uchar4 *memory, *out = device(seen);
    size_t pitch;
    OK(cudaMallocPitch(&memory, &pitch, W * sizeof(uchar4), H));
    OK(cudaMemcpy2D(memory, pitch, bytes.data(), W * sizeof(uchar4), W * sizeof(uchar4), H, cudaMemcpyHostToDevice));
    cudaResourceDesc resource = {};
    resource.resType = cudaResourceTypePitch2D;
    resource.res.pitch2D.devPtr = memory;
    resource.res.pitch2D.desc = cudaCreateChannelDesc<uchar4>();
    resource.res.pitch2D.width = W;
    resource.res.pitch2D.height = H;
    resource.res.pitch2D.pitchInBytes = pitch;
    read_bytes<<<1, W * H>>>(texture(resource, false, false, cudaAddressModeClamp), out);
    OK(cudaMemcpy(seen.data(), out, W * H * sizeof(uchar4), cudaMemcpyDeviceToHost));
    for (int k = 0; k < W * H; k++)
        CHECK("uchar4", seen[k].x == bytes[k].x && seen[k].y == bytes[k].y && seen[k].z == bytes[k].z && seen[k].w == bytes[k].w);

    std::vector<short2> shorts(W * H);
    for (int k = 0; k < W * H; k++)
        shorts[k] = make_short2(1000 * k - 16000, k == 3 ? -32768 : -k);
    cudaArray_t array;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<short2>();
    OK(cudaMallocArray(&array, &format, W, H));
    OK(cudaMemcpy2DToArray(array, 0, 0, shorts.data(), W * sizeof(short2), W * sizeof(short2), H, cudaMemcpyHostToDevice));
    cudaResourceDesc pairs = {};
    pairs.resType = cudaResourceTypeArray;
    pairs.res.array.array = array;
    std::vector<float2> values(W * H);
    float2 *result = device(values);
    read_shorts<<<1, W * H>>>(texture(pairs, false, false, cudaAddressModeClamp, cudaReadModeNormalizedFloat), result);
    OK(cudaMemcpy(values.data(), result, W * H * sizeof(float2), cudaMemcpyDeviceToHost));
    for (int k = 0; k < W * H; k++)
        CHECK("short2", fabs(values[k].x - shorts[k].x / 32767.0) < 1e-6 && fabs(values[k].y - fmax(shorts[k].y / 32767.0, -1)) < 1e-6);

    cudaArray_t from, to;
    cudaChannelFormatDesc four = cudaCreateChannelDesc<uchar4>();
    OK(cudaMallocArray(&from, &four, W, H, cudaArraySurfaceLoadStore));
    OK(cudaMallocArray(&to, &four, W, H, cudaArraySurfaceLoadStore));
    OK(cudaMemcpy2DToArray(from, 0, 0, bytes.data(), W * 4, W * 4, H, cudaMemcpyHostToDevice));
    cudaSurfaceObject_t objects[2];
    cudaArray_t arrays[2] = {from, to};
    for (int k = 0; k < 2; k++) {
        cudaResourceDesc each = {};
        each.resType = cudaResourceTypeArray;
        each.res.array.array = arrays[k];
        OK(cudaCreateSurfaceObject(&objects[k], &each));
    }
    invert<<<1, dim3(W, H)>>>(objects[0], objects[1]);
    OK(cudaMemcpy2DFromArray(seen.data(), W * 4, to, 0, 0, W * 4, H, cudaMemcpyDeviceToHost));
    for (int k = 0; k < W * H; k++)
        CHECK("surface", seen[k].x == 255 - bytes[k].x && seen[k].z == 255 - bytes[k].z && seen[k].w == bytes[k].w);
}

int main()
{
    planes();
    lines_and_boxes();
    formats();
    if (!failures)
        printf("all passed\n");
    return failures > 100 ? 100 : failures;
}
