/* The CUDA runtime API over device.h. CUDART_VERSION (11000, 12000, 13000) is given by whoever builds. */
#define _GNU_SOURCE
#include "api.h"
#include "device.h"
#include "errors.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- registration, as the compiler's host code does it */

typedef struct { int magic, version; const void *data; void *more; } FatBinaryWrapper;

API void **__cudaRegisterFatBinary(FatBinaryWrapper *wrapper)
{
    return (void **)add_module(wrapper->data, image_bytes(wrapper->data));
}
API void __cudaRegisterFatBinaryEnd(void **handle) { (void)handle; }
API void __cudaUnregisterFatBinary(void **handle) { (void)handle; } /* at the end of the program: all of it goes */
API void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int threads, void *a, void *b, void *c, void *d, int *e)
{
    (void)device, (void)threads, (void)a, (void)b, (void)c, (void)d, (void)e;
    add_function((Module *)handle, host, name);
}
API void __cudaRegisterVar(void **handle, char *host, char *address, const char *name, int external, size_t bytes, int constant, int global)
{
    (void)address, (void)external, (void)constant, (void)global;
    add_variable((Module *)handle, host, name, bytes, NULL);
}
API void __cudaRegisterManagedVar(void **handle, void **host, char *address, const char *name, int external, size_t bytes, int constant, int global)
{
    (void)address, (void)external, (void)constant, (void)global;
    add_variable((Module *)handle, host, name, bytes, host);
}
API char __cudaInitModule(void **handle)
{
    Status status = enter();
    if (status == SUCCESS)
        status = load_module((Module *)handle);
    if (status == SUCCESS)
        status = load_managed((Module *)handle);
    leave(status);
    return status == SUCCESS;
}

static __thread struct { Dim3 grid, block; size_t shared; Stream *stream; } configuration[8];
static __thread int configurations;

API unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared, Stream *stream)
{
    if (configurations == 8)
        return 1;
    configuration[configurations].grid = grid;
    configuration[configurations].block = block;
    configuration[configurations].shared = shared;
    configuration[configurations++].stream = stream;
    return 0;
}
API Status __cudaPopCallConfiguration(Dim3 *grid, Dim3 *block, size_t *shared, Stream **stream)
{
    if (!configurations)
        return INVALID_CONFIGURATION;
    configurations--;
    *grid = configuration[configurations].grid;
    *block = configuration[configurations].block;
    *shared = configuration[configurations].shared;
    *stream = configuration[configurations].stream;
    return SUCCESS;
}

/* ---- launches */

static Function *named(const void *function)
{
    Function *found = function_of(function);
    return found ? found : (Function *)function; /* a handle that cudaGetKernel gave */
}

static Status launch(const void *function, Dim3 grid, Dim3 block, void **arguments, size_t shared, Stream *stream, int cooperative)
{
    Work work;
    NEEDS(function, INVALID_DEVICE_FUNCTION);
    Status status = make_launch(named(function), grid, block, shared, arguments, cooperative, &work);
    return leave(status != SUCCESS ? status : submit(stream, work));
}

API Status cudaLaunchKernel(const void *function, Dim3 grid, Dim3 block, void **arguments, size_t shared, Stream *stream)
{
    ENTER();
    NEEDS(function_of(function), INVALID_DEVICE_FUNCTION);
    return launch(function, grid, block, arguments, shared, stream, 0);
}
API Status cudaLaunchCooperativeKernel(const void *function, Dim3 grid, Dim3 block, void **arguments, size_t shared, Stream *stream)
{
    ENTER();
    NEEDS(function_of(function), INVALID_DEVICE_FUNCTION);
    return launch(function, grid, block, arguments, shared, stream, 1);
}
API Status cudaLaunchKernelExC(const LaunchConfig *config, const void *function, void **arguments)
{
    int cooperative = 0;
    ENTER();
    NEEDS(function_of(function), INVALID_DEVICE_FUNCTION);
    for (unsigned k = 0; k < config->count; k++) {
        const LaunchAttribute *attribute = &config->attributes[k];
        Dim3 cluster = attribute->value.cluster;
        if (attribute->id == ATTRIBUTE_COOPERATIVE)
            cooperative = attribute->value.number;
        if (attribute->id == ATTRIBUTE_CLUSTER && cluster.x * cluster.y * cluster.z > 1)
            return leave(missing("a launch of clusters"));
    }
    return launch(function, config->grid, config->block, arguments, config->shared_bytes, config->stream, cooperative);
}
API Status __cudaLaunchKernel(Function *kernel, Dim3 grid, Dim3 block, void **arguments, size_t shared, Stream *stream)
{
    ENTER();
    return launch(kernel, grid, block, arguments, shared, stream, 0);
}
API Status cudaGetKernel(Function **kernel, const void *function)
{
    ENTER();
    *kernel = function_of(function);
    return leave(*kernel ? SUCCESS : INVALID_DEVICE_FUNCTION);
}
API Status __cudaGetKernel(Function **kernel, const void *function)
{
    *kernel = function_of(function); /* while the program starts: before anything is connected */
    return *kernel ? SUCCESS : INVALID_DEVICE_FUNCTION;
}
API Status cudaGetFuncBySymbol(Function **kernel, const void *function) { return cudaGetKernel(kernel, function); }
ALIAS(cudaLaunchKernel_ptsz, cudaLaunchKernel);
ALIAS(cudaLaunchCooperativeKernel_ptsz, cudaLaunchCooperativeKernel);
ALIAS(cudaLaunchKernelExC_ptsz, cudaLaunchKernelExC);
ALIAS(__cudaLaunchKernel_ptsz, __cudaLaunchKernel);

API Status cudaLaunchHostFunc(Stream *stream, HostFunction function, void *data)
{
    RETURN(submit(stream, (Work){.kind = WORK_HOST, .of.host = {function, data}}));
}
ALIAS(cudaLaunchHostFunc_ptsz, cudaLaunchHostFunc);

API Status cudaStreamAddCallback(Stream *stream, StreamCallback function, void *data, unsigned flags)
{
    (void)flags;
    RETURN(stream_callback(stream, function, data));
}
ALIAS(cudaStreamAddCallback_ptsz, cudaStreamAddCallback);

/* ---- functions */

API Status cudaFuncGetAttributes(FunctionAttributes *attributes, const void *function)
{
    ENTER();
    Function *found = function_of(function);
    NEEDS(found, INVALID_DEVICE_FUNCTION);
    Status status = resolve(found);
    if (status == SUCCESS)
        memcpy(attributes, &found->attributes, CUDART_VERSION < 12000 ? offsetof(FunctionAttributes, reserved) : sizeof *attributes);
    return leave(status);
}
enum { MAX_DYNAMIC_SHARED = 8, CARVEOUT = 9 };
API Status cudaFuncSetAttribute(const void *function, int attribute, int value)
{
    ENTER();
    Function *found = function_of(function);
    NEEDS(found, INVALID_DEVICE_FUNCTION);
    Status status = resolve(found);
    if (status == SUCCESS && attribute == MAX_DYNAMIC_SHARED) {
        NEEDS(value + (int64_t)found->attributes.shared_bytes <= facts()->attributes[ATTRIBUTE_SHARED_OPTIN], INVALID_VALUE);
        found->attributes.max_dynamic_shared = value;
    } else if (status == SUCCESS && attribute == CARVEOUT)
        found->attributes.carveout = value;
    return leave(status);
}
API Status cudaFuncSetCacheConfig(const void *function, int config)
{
    (void)config;
    RETURN(function_of(function) ? SUCCESS : INVALID_DEVICE_FUNCTION);
}
API Status cudaFuncSetSharedMemConfig(const void *function, int config) { return cudaFuncSetCacheConfig(function, config); }
API Status cudaFuncGetName(const char **name, const void *function)
{
    ENTER();
    Function *found = function_of(function);
    NEEDS(found, INVALID_DEVICE_FUNCTION);
    *name = found->name;
    return leave(SUCCESS);
}
API Status cudaFuncGetParamInfo(const void *function, size_t index, size_t *offset, size_t *bytes)
{
    ENTER();
    Function *found = function_of(function);
    NEEDS(found, INVALID_DEVICE_FUNCTION);
    Status status = resolve(found);
    NEEDS(status == SUCCESS, status);
    NEEDS(index < found->parameter_count, INVALID_VALUE);
    *offset = found->parameters[index].offset;
    if (bytes)
        *bytes = found->parameters[index].bytes;
    return leave(SUCCESS);
}
API Status cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *ctas, const void *function, int threads, size_t shared, unsigned flags)
{
    (void)flags;
    ENTER();
    Function *found = function_of(function);
    NEEDS(found, INVALID_DEVICE_FUNCTION);
    NEEDS(threads > 0, INVALID_VALUE);
    return leave(occupancy(found, threads, shared, ctas));
}
API Status cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *ctas, const void *function, int threads, size_t shared)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(ctas, function, threads, shared, 0);
}
API Status cudaOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, const void *function, int ctas, int threads)
{
    ENTER();
    Function *found = function_of(function);
    NEEDS(found && ctas > 0, found ? INVALID_VALUE : INVALID_DEVICE_FUNCTION);
    size_t low = 0, high = (size_t)facts()->attributes[ATTRIBUTE_SHARED_OPTIN];
    while (low < high) { /* the most with which as many CTAs still fit */
        size_t middle = (low + high + 1) / 2;
        int fit = 0;
        Status status = occupancy(found, threads, middle, &fit);
        NEEDS(status == SUCCESS, status);
        if (fit >= ctas)
            low = middle;
        else
            high = middle - 1;
    }
    *bytes = low;
    return leave(SUCCESS);
}

/* ---- memory */

API Status cudaMalloc(void **address, size_t bytes) { RETURN(address ? allocate(bytes, DEVICE_MEMORY, 0, address) : INVALID_VALUE); }
API Status cudaMallocManaged(void **address, size_t bytes, unsigned flags)
{
    RETURN(address && bytes ? allocate(bytes, MANAGED_MEMORY, flags, address) : INVALID_VALUE);
}
API Status cudaHostAlloc(void **address, size_t bytes, unsigned flags) { RETURN(allocate(bytes, HOST_MEMORY, flags, address)); }
API Status cudaMallocHost(void **address, size_t bytes) { RETURN(allocate(bytes, HOST_MEMORY, 0, address)); }
API Status cudaFree(void *address) { RETURN(release(address, DEVICE_MEMORY)); }
API Status cudaFreeHost(void *address) { RETURN(release(address, HOST_MEMORY)); }
API Status cudaMallocAsync(void **address, size_t bytes, Stream *stream) { (void)stream; return cudaMalloc(address, bytes); }
API Status cudaMallocFromPoolAsync(void **address, size_t bytes, void *pool, Stream *stream)
{
    (void)pool, (void)stream;
    return cudaMalloc(address, bytes);
}
API Status cudaFreeAsync(void *address, Stream *stream) { (void)stream; return cudaFree(address); }
ALIAS(cudaMallocAsync_ptsz, cudaMallocAsync);
ALIAS(cudaMallocFromPoolAsync_ptsz, cudaMallocFromPoolAsync);
ALIAS(cudaFreeAsync_ptsz, cudaFreeAsync);

static size_t pitched(size_t width) { return (width + PITCH_ALIGNMENT - 1) / PITCH_ALIGNMENT * PITCH_ALIGNMENT; }
API Status cudaMallocPitch(void **address, size_t *pitch, size_t width, size_t height)
{
    *pitch = pitched(width);
    RETURN(allocate(*pitch * height, DEVICE_MEMORY, 0, address));
}
API Status cudaMalloc3D(PitchedPointer *pointer, Extent extent)
{
    *pointer = (PitchedPointer){NULL, pitched(extent.width), extent.width, extent.height};
    RETURN(allocate(pointer->pitch * extent.height * extent.depth, DEVICE_MEMORY, 0, &pointer->pointer));
}
API Status cudaHostRegister(void *address, size_t bytes, unsigned flags) { RETURN(register_host(address, bytes, flags)); }
API Status cudaHostUnregister(void *address) { RETURN(unregister_host(address)); }
API Status cudaHostGetDevicePointer(void **device, void *host, unsigned flags)
{
    (void)flags;
    ENTER();
    *device = device_pointer(host);
    return leave(*device ? SUCCESS : INVALID_VALUE);
}
API Status cudaHostGetFlags(unsigned *flags, void *host)
{
    ENTER();
    Allocation *allocation = allocation_of(host);
    NEEDS(allocation, INVALID_VALUE);
    *flags = allocation->flags;
    return leave(SUCCESS);
}
API Status cudaMemGetInfo(size_t *left, size_t *total)
{
    ENTER();
    *total = facts()->memory_bytes;
    *left = *total - allocated_bytes();
    return leave(SUCCESS);
}

typedef struct { int kind, device; void *device_pointer, *host_pointer; } PointerAttributes; /* what is common to all versions */
enum { UNREGISTERED, HOST, DEVICE, MANAGED };
API Status cudaPointerGetAttributes(PointerAttributes *attributes, const void *address)
{
    ENTER();
    Allocation *allocation = allocation_of(address);
    int kind = !allocation ? UNREGISTERED
        : allocation->kind == HOST_MEMORY || allocation->kind == REGISTERED_MEMORY ? HOST
        : allocation->kind == MANAGED_MEMORY ? MANAGED : DEVICE;
    void *device = allocation ? device_pointer((void *)address) : NULL;
    *attributes = (PointerAttributes){kind, kind == UNREGISTERED ? -2 : 0, device, kind == DEVICE ? NULL : (void *)address};
    return leave(SUCCESS);
}

/* ---- copies */

/* Whether bytes may be copied: device memory within one allocation, or ordinary memory. */
static int reachable(const void *address, size_t bytes, int device)
{
    Allocation *allocation = allocation_of(address);
    if (!bytes)
        return 1;
    if (!allocation)
        return !device;
    const char *start = allocation->host && (const char *)address >= allocation->host
            && (const char *)address < allocation->host + allocation->bytes ? allocation->host : allocation->start;
    return (const char *)address + bytes <= start + allocation->bytes;
}

static Status copy(Stream *stream, Copy each, Direction direction)
{
    size_t source = 0, destination = 0;
    if (direction > BY_ADDRESS)
        return INVALID_COPY_DIRECTION;
    if (each.width && each.height && each.depth) {
        source = (each.depth - 1) * each.source_slice + (each.height - 1) * each.source_pitch + each.width;
        destination = (each.depth - 1) * each.destination_slice + (each.height - 1) * each.destination_pitch + each.width;
    }
    int from = direction == DEVICE_TO_HOST || direction == DEVICE_TO_DEVICE, to = direction == HOST_TO_DEVICE || direction == DEVICE_TO_DEVICE;
    if (!reachable(each.source, source, from) || !reachable(each.destination, destination, to))
        return INVALID_VALUE;
    return submit(stream, (Work){.kind = WORK_COPY, .of.copy = each});
}

static Copy rows(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height)
{
    return (Copy){to, to_pitch, 0, from, from_pitch, 0, width, height, 1};
}

API Status cudaMemcpyAsync(void *to, const void *from, size_t bytes, Direction direction, Stream *stream)
{
    RETURN(copy(stream, rows(to, 0, from, 0, bytes, 1), direction));
}
API Status cudaMemcpy(void *to, const void *from, size_t bytes, Direction direction) { return cudaMemcpyAsync(to, from, bytes, direction, NULL); }
API Status cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t bytes, Stream *stream)
{
    (void)to_device, (void)from_device;
    return cudaMemcpyAsync(to, from, bytes, DEVICE_TO_DEVICE, stream);
}
API Status cudaMemcpyPeer(void *to, int to_device, const void *from, int from_device, size_t bytes)
{
    return cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, NULL);
}
API Status cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, Direction direction, Stream *stream)
{
    ENTER();
    NEEDS(height <= 1 || (width <= to_pitch && width <= from_pitch), INVALID_PITCH);
    return leave(copy(stream, rows(to, to_pitch, from, from_pitch, width, height), direction));
}
API Status cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, Direction direction)
{
    return cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, height, direction, NULL);
}

static char *in_array(const Array *array, size_t x_bytes, size_t y, size_t z)
{
    return array->start + x_bytes + y * array->pitch + z * array->pitch * (array->height ? array->height : 1);
}

static Copy volume(const Copy3D *parameters)
{
    const Array *to = parameters->destination_array, *from = parameters->source_array;
    const PitchedPointer *to_pointer = &parameters->destination, *from_pointer = &parameters->source;
    Position to_at = parameters->destination_position, from_at = parameters->source_position;
    size_t element = to ? to->element_bytes : from ? from->element_bytes : 1; /* widths count elements where an array is */
    Copy each = {.width = parameters->extent.width * element, .height = parameters->extent.height, .depth = parameters->extent.depth};
    if (to) {
        each.destination = in_array(to, to_at.x * element, to_at.y, to_at.z);
        each.destination_pitch = to->pitch;
        each.destination_slice = to->pitch * (to->height ? to->height : 1);
    } else {
        each.destination_pitch = to_pointer->pitch;
        each.destination_slice = to_pointer->pitch * to_pointer->height;
        each.destination = (char *)to_pointer->pointer + to_at.x + to_at.y * each.destination_pitch + to_at.z * each.destination_slice;
    }
    if (from) {
        each.source = in_array(from, from_at.x * element, from_at.y, from_at.z);
        each.source_pitch = from->pitch;
        each.source_slice = from->pitch * (from->height ? from->height : 1);
    } else {
        each.source_pitch = from_pointer->pitch;
        each.source_slice = from_pointer->pitch * from_pointer->height;
        each.source = (const char *)from_pointer->pointer + from_at.x + from_at.y * each.source_pitch + from_at.z * each.source_slice;
    }
    return each;
}

API Status cudaMemcpy3DAsync(const Copy3D *parameters, Stream *stream) { RETURN(copy(stream, volume(parameters), BY_ADDRESS)); }
API Status cudaMemcpy3D(const Copy3D *parameters) { return cudaMemcpy3DAsync(parameters, NULL); }
ALIAS(cudaMemcpyAsync_ptsz, cudaMemcpyAsync);
ALIAS(cudaMemcpy_ptds, cudaMemcpy);
ALIAS(cudaMemcpy2DAsync_ptsz, cudaMemcpy2DAsync);
ALIAS(cudaMemcpy2D_ptds, cudaMemcpy2D);
ALIAS(cudaMemcpy3DAsync_ptsz, cudaMemcpy3DAsync);
ALIAS(cudaMemcpy3D_ptds, cudaMemcpy3D);

static Status at_symbol(const void *symbol, size_t offset, size_t bytes, char **address)
{
    void *start;
    size_t size;
    Status status = symbol_address(symbol, &start, &size);
    if (status == SUCCESS && offset + bytes > size)
        return INVALID_VALUE;
    *address = (char *)start + offset;
    return status;
}
static Status to_symbol(const void *symbol, const void *from, size_t bytes, size_t offset, Stream *stream)
{
    char *address;
    Status status = at_symbol(symbol, offset, bytes, &address);
    return status != SUCCESS ? status : submit(stream, (Work){.kind = WORK_COPY, .of.copy = rows(address, 0, from, 0, bytes, 1)});
}
static Status from_symbol(void *to, const void *symbol, size_t bytes, size_t offset, Stream *stream)
{
    char *address;
    Status status = at_symbol(symbol, offset, bytes, &address);
    return status != SUCCESS ? status : submit(stream, (Work){.kind = WORK_COPY, .of.copy = rows(to, 0, address, 0, bytes, 1)});
}
API Status cudaMemcpyToSymbolAsync(const void *symbol, const void *from, size_t bytes, size_t offset, Direction direction, Stream *stream)
{
    (void)direction;
    RETURN(to_symbol(symbol, from, bytes, offset, stream));
}
API Status cudaMemcpyToSymbol(const void *symbol, const void *from, size_t bytes, size_t offset, Direction direction)
{
    return cudaMemcpyToSymbolAsync(symbol, from, bytes, offset, direction, NULL);
}
API Status cudaMemcpyFromSymbolAsync(void *to, const void *symbol, size_t bytes, size_t offset, Direction direction, Stream *stream)
{
    (void)direction;
    RETURN(from_symbol(to, symbol, bytes, offset, stream));
}
API Status cudaMemcpyFromSymbol(void *to, const void *symbol, size_t bytes, size_t offset, Direction direction)
{
    return cudaMemcpyFromSymbolAsync(to, symbol, bytes, offset, direction, NULL);
}
ALIAS(cudaMemcpyToSymbolAsync_ptsz, cudaMemcpyToSymbolAsync);
ALIAS(cudaMemcpyToSymbol_ptds, cudaMemcpyToSymbol);
ALIAS(cudaMemcpyFromSymbolAsync_ptsz, cudaMemcpyFromSymbolAsync);
ALIAS(cudaMemcpyFromSymbol_ptds, cudaMemcpyFromSymbol);
API Status cudaGetSymbolAddress(void **address, const void *symbol)
{
    size_t bytes;
    RETURN(symbol_address(symbol, address, &bytes));
}
API Status cudaGetSymbolSize(size_t *bytes, const void *symbol)
{
    void *address;
    RETURN(symbol_address(symbol, &address, bytes));
}

/* ---- sets */

static Status set(Stream *stream, Fill each)
{
    size_t bytes = each.width * each.element_bytes;
    size_t all = each.depth && each.height ? (each.depth - 1) * each.slice + (each.height - 1) * each.pitch + bytes : 0;
    return reachable(each.destination, all, 1) ? submit(stream, (Work){.kind = WORK_FILL, .of.fill = each}) : INVALID_VALUE;
}
API Status cudaMemsetAsync(void *to, int value, size_t bytes, Stream *stream) { RETURN(set(stream, (Fill){to, 0, 0, (unsigned)value, 1, bytes, 1, 1})); }
API Status cudaMemset(void *to, int value, size_t bytes) { return cudaMemsetAsync(to, value, bytes, NULL); }
API Status cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height, Stream *stream)
{
    RETURN(set(stream, (Fill){to, pitch, 0, (unsigned)value, 1, width, height, 1}));
}
API Status cudaMemset2D(void *to, size_t pitch, int value, size_t width, size_t height) { return cudaMemset2DAsync(to, pitch, value, width, height, NULL); }
API Status cudaMemset3DAsync(PitchedPointer to, int value, Extent extent, Stream *stream)
{
    Fill each = {to.pointer, to.pitch, to.pitch * to.height, (unsigned)value, 1, extent.width, extent.height, extent.depth};
    RETURN(set(stream, each));
}
API Status cudaMemset3D(PitchedPointer to, int value, Extent extent) { return cudaMemset3DAsync(to, value, extent, NULL); }
ALIAS(cudaMemsetAsync_ptsz, cudaMemsetAsync);
ALIAS(cudaMemset_ptds, cudaMemset);
ALIAS(cudaMemset2DAsync_ptsz, cudaMemset2DAsync);
ALIAS(cudaMemset2D_ptds, cudaMemset2D);
ALIAS(cudaMemset3DAsync_ptsz, cudaMemset3DAsync);
ALIAS(cudaMemset3D_ptds, cudaMemset3D);

/* Advice about where managed memory should be: it is where everybody reaches it. */
API Status cudaMemPrefetchAsync(void) { RETURN(SUCCESS); }
API Status cudaMemAdvise(void) { RETURN(SUCCESS); }
API Status cudaStreamAttachMemAsync(void) { RETURN(SUCCESS); }
ALIAS(cudaMemPrefetchAsync_v2, cudaMemPrefetchAsync);
ALIAS(cudaMemAdvise_v2, cudaMemAdvise);
ALIAS(cudaMemPrefetchAsync_ptsz, cudaMemPrefetchAsync);
ALIAS(cudaStreamAttachMemAsync_ptsz, cudaStreamAttachMemAsync);

/* ---- memory pools: all of them take from the one memory */

API Status cudaDeviceGetDefaultMemPool(void **pool, int number) { (void)number; *pool = (void *)1; RETURN(SUCCESS); }
API Status cudaDeviceGetMemPool(void **pool, int number) { return cudaDeviceGetDefaultMemPool(pool, number); }
API Status cudaDeviceSetMemPool(int number, void *pool) { (void)number, (void)pool; RETURN(SUCCESS); }
API Status cudaMemPoolCreate(void **pool, const void *properties) { (void)properties; return cudaDeviceGetDefaultMemPool(pool, 0); }
API Status cudaMemPoolDestroy(void *pool) { (void)pool; RETURN(SUCCESS); }
API Status cudaMemPoolSetAttribute(void *pool, int attribute, void *value) { (void)pool, (void)attribute, (void)value; RETURN(SUCCESS); }
API Status cudaMemPoolGetAttribute(void *pool, int attribute, void *value)
{
    enum { FIRST_SIZE = 4, LAST_SIZE = 8 }; /* release threshold, reserved and used bytes, now and at most */
    (void)pool;
    ENTER();
    if (attribute >= FIRST_SIZE && attribute <= LAST_SIZE)
        *(uint64_t *)value = attribute == FIRST_SIZE ? 0 : allocated_bytes();
    else
        *(int *)value = 1;
    return leave(SUCCESS);
}
API Status cudaMemPoolTrimTo(void *pool, size_t bytes) { (void)pool, (void)bytes; RETURN(SUCCESS); }
API Status cudaMemPoolSetAccess(void *pool, const void *list, size_t count) { (void)pool, (void)list, (void)count; RETURN(SUCCESS); }

/* ---- arrays, textures and surfaces */

API ChannelFormat cudaCreateChannelDesc(int x, int y, int z, int w, ChannelKind kind) { return (ChannelFormat){x, y, z, w, kind}; }
API Status cudaMalloc3DArray(Array **array, const ChannelFormat *format, Extent extent, unsigned flags)
{
    enum { SURFACES = 2, GATHER = 8 };
    ENTER();
    if (flags & ~(unsigned)(SURFACES | GATHER))
        return leave(missing("an array of layers or a cube map"));
    size_t element = (size_t)(format->x + format->y + format->z + format->w) / 8, rows = extent.height ? extent.height : 1;
    Array made = {NULL, extent.width, extent.height, extent.depth, pitched(extent.width * element), element, *format, flags};
    void *start;
    Status status = allocate(made.pitch * rows * (extent.depth ? extent.depth : 1), ARRAY_MEMORY, 0, &start);
    NEEDS(status == SUCCESS, status);
    made.start = start;
    *array = malloc(sizeof made);
    **array = made;
    return leave(SUCCESS);
}
API Status cudaMallocArray(Array **array, const ChannelFormat *format, size_t width, size_t height, unsigned flags)
{
    return cudaMalloc3DArray(array, format, (Extent){width, height, 0}, flags);
}
API Status cudaFreeArray(Array *array)
{
    ENTER();
    NEEDS(array, SUCCESS);
    Status status = release(array->start, ARRAY_MEMORY);
    free(array);
    return leave(status);
}
API Status cudaArrayGetInfo(ChannelFormat *format, Extent *extent, unsigned *flags, Array *array)
{
    if (format)
        *format = array->format;
    if (extent)
        *extent = (Extent){array->width, array->height, array->depth};
    if (flags)
        *flags = array->flags;
    RETURN(SUCCESS);
}
API Status cudaGetChannelDesc(ChannelFormat *format, const Array *array)
{
    *format = array->format;
    RETURN(SUCCESS);
}
API Status cudaMemcpy2DToArrayAsync(Array *to, size_t x, size_t y, const void *from, size_t pitch, size_t width, size_t height, Direction direction, Stream *stream)
{
    RETURN(copy(stream, rows(in_array(to, x, y, 0), to->pitch, from, pitch, width, height), direction));
}
API Status cudaMemcpy2DToArray(Array *to, size_t x, size_t y, const void *from, size_t pitch, size_t width, size_t height, Direction direction)
{
    return cudaMemcpy2DToArrayAsync(to, x, y, from, pitch, width, height, direction, NULL);
}
API Status cudaMemcpy2DFromArrayAsync(void *to, size_t pitch, const Array *from, size_t x, size_t y, size_t width, size_t height, Direction direction, Stream *stream)
{
    RETURN(copy(stream, rows(to, pitch, in_array(from, x, y, 0), from->pitch, width, height), direction));
}
API Status cudaMemcpy2DFromArray(void *to, size_t pitch, const Array *from, size_t x, size_t y, size_t width, size_t height, Direction direction)
{
    return cudaMemcpy2DFromArrayAsync(to, pitch, from, x, y, width, height, direction, NULL);
}
/* Bytes in the order of an array's rows: the first may begin and the last end within a row. */
static Status along_array(Array *array, size_t x, size_t y, char *memory, size_t bytes, int to_array, Stream *stream)
{
    size_t row = array->width * array->element_bytes;
    while (bytes) {
        size_t part = row - x < bytes ? row - x : bytes;
        char *place = in_array(array, x, y, 0);
        Copy each = to_array ? rows(place, 0, memory, 0, part, 1) : rows(memory, 0, place, 0, part, 1);
        Status status = copy(stream, each, BY_ADDRESS);
        if (status != SUCCESS)
            return status;
        memory += part, bytes -= part, x = 0, y++;
    }
    return SUCCESS;
}
API Status cudaMemcpyToArray(Array *to, size_t x, size_t y, const void *from, size_t bytes, Direction direction)
{
    (void)direction;
    RETURN(along_array(to, x, y, (char *)from, bytes, 1, NULL));
}
API Status cudaMemcpyFromArray(void *to, const Array *from, size_t x, size_t y, size_t bytes, Direction direction)
{
    (void)direction;
    RETURN(along_array((Array *)from, x, y, to, bytes, 0, NULL));
}
API Status cudaCreateTextureObject(uint64_t *object, const Resource *resource, const TextureDescription *texture, const void *view)
{
    ENTER();
    if (view)
        return leave(missing("a texture's resource view"));
    return leave(create_texture(resource, texture, 0, object));
}
API Status cudaDestroyTextureObject(uint64_t object) { RETURN(destroy_texture(object)); }
API Status cudaCreateSurfaceObject(uint64_t *object, const Resource *resource) { RETURN(create_texture(resource, NULL, 1, object)); }
API Status cudaDestroySurfaceObject(uint64_t object) { RETURN(destroy_texture(object)); }

/* ---- streams */

API Status cudaStreamCreateWithPriority(Stream **stream, unsigned flags, int priority) { RETURN(stream_create(flags, priority, stream)); }
API Status cudaStreamCreateWithFlags(Stream **stream, unsigned flags) { return cudaStreamCreateWithPriority(stream, flags, 0); }
API Status cudaStreamCreate(Stream **stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
API Status cudaStreamDestroy(Stream *stream) { RETURN(stream_destroy(stream)); }
API Status cudaStreamSynchronize(Stream *stream) { RETURN(synchronise(stream)); }
API Status cudaStreamQuery(Stream *stream) { RETURN(synchronise(stream)); }
API Status cudaStreamWaitEvent(Stream *stream, Event *event, unsigned flags) { (void)flags; RETURN(stream_wait(stream, event)); }
API Status cudaStreamGetFlags(Stream *stream, unsigned *flags) { *flags = stream_flags(stream); RETURN(SUCCESS); }
API Status cudaStreamGetPriority(Stream *stream, int *priority) { *priority = stream_priority(stream); RETURN(SUCCESS); }
API Status cudaStreamGetId(Stream *stream, unsigned long long *id) { *id = stream_id(stream); RETURN(SUCCESS); }
API Status cudaStreamGetDevice(Stream *stream, int *number) { (void)stream; *number = 0; RETURN(SUCCESS); }
API Status cudaStreamSetAttribute(Stream *stream, int id, const void *value) { (void)stream, (void)id, (void)value; RETURN(SUCCESS); }
API Status cudaCtxResetPersistingL2Cache(void) { RETURN(SUCCESS); }
ALIAS(cudaStreamSynchronize_ptsz, cudaStreamSynchronize);
ALIAS(cudaStreamQuery_ptsz, cudaStreamQuery);
ALIAS(cudaStreamWaitEvent_ptsz, cudaStreamWaitEvent);
ALIAS(cudaStreamGetFlags_ptsz, cudaStreamGetFlags);
ALIAS(cudaStreamGetPriority_ptsz, cudaStreamGetPriority);
ALIAS(cudaStreamSetAttribute_ptsz, cudaStreamSetAttribute);

API Status cudaStreamBeginCapture(Stream *stream, int mode) { (void)mode; RETURN(capture_begin(stream, NULL)); }
API Status cudaStreamBeginCaptureToGraph(Stream *stream, Graph *graph, GraphNode *const *after, const void *edges, size_t count, int mode)
{
    (void)after, (void)edges, (void)count, (void)mode; /* what is captured comes behind all that is there */
    RETURN(capture_begin(stream, graph));
}
API Status cudaStreamEndCapture(Stream *stream, Graph **graph) { RETURN(capture_end(stream, graph)); }
API Status cudaStreamIsCapturing(Stream *stream, int *capturing) { *capturing = stream_capturing(stream); RETURN(SUCCESS); }
API Status cudaStreamGetCaptureInfo(Stream *stream, int *capturing, unsigned long long *id, Graph **graph)
{
    ENTER();
    *capturing = stream_capturing(stream);
    if (id)
        *id = (unsigned long long)(uintptr_t)capture_graph(stream);
    if (CUDART_VERSION >= 13000 && graph)
        *graph = capture_graph(stream);
    return leave(SUCCESS);
}
API Status cudaThreadExchangeStreamCaptureMode(int *mode) { (void)mode; RETURN(SUCCESS); }
ALIAS(cudaStreamBeginCapture_ptsz, cudaStreamBeginCapture);
ALIAS(cudaStreamBeginCaptureToGraph_ptsz, cudaStreamBeginCaptureToGraph);
ALIAS(cudaStreamEndCapture_ptsz, cudaStreamEndCapture);
ALIAS(cudaStreamIsCapturing_ptsz, cudaStreamIsCapturing);
ALIAS(cudaStreamGetCaptureInfo_ptsz, cudaStreamGetCaptureInfo);

/* ---- events */

API Status cudaEventCreateWithFlags(Event **event, unsigned flags) { RETURN(event_create(flags, event)); }
API Status cudaEventCreate(Event **event) { return cudaEventCreateWithFlags(event, 0); }
API Status cudaEventDestroy(Event *event) { RETURN(event_destroy(event)); }
API Status cudaEventRecord(Event *event, Stream *stream) { RETURN(event_record(event, stream)); }
API Status cudaEventRecordWithFlags(Event *event, Stream *stream, unsigned flags) { (void)flags; return cudaEventRecord(event, stream); }
API Status cudaEventSynchronize(Event *event) { RETURN(event_query(event)); }
API Status cudaEventQuery(Event *event) { RETURN(event_query(event)); }
API Status cudaEventElapsedTime(float *milliseconds, Event *start, Event *end) { RETURN(event_elapsed(milliseconds, start, end)); }
ALIAS(cudaEventElapsedTime_v2, cudaEventElapsedTime);
ALIAS(cudaEventRecord_ptsz, cudaEventRecord);
ALIAS(cudaEventRecordWithFlags_ptsz, cudaEventRecordWithFlags);

/* ---- graphs */

API Status cudaGraphCreate(Graph **graph, unsigned flags) { (void)flags; RETURN(graph_create(graph)); }
API Status cudaGraphDestroy(Graph *graph) { RETURN(graph_destroy(graph)); }
API Status cudaGraphClone(Graph **clone, Graph *graph) { RETURN(graph_clone(clone, graph)); }
API Status cudaGraphGetNodes(Graph *graph, GraphNode **nodes, size_t *count) { RETURN(graph_nodes(graph, nodes, count, 0)); }
API Status cudaGraphGetRootNodes(Graph *graph, GraphNode **nodes, size_t *count) { RETURN(graph_nodes(graph, nodes, count, 1)); }
API Status cudaGraphNodeFindInClone(GraphNode **found, GraphNode *node, Graph *clone)
{
    ENTER();
    *found = node_in_clone(node, clone);
    return leave(*found ? SUCCESS : INVALID_VALUE);
}
API Status cudaGraphNodeGetType(GraphNode *node, int *kind)
{
    static const int kinds[] = {[WORK_KERNEL] = 0, [WORK_COPY] = 1, [WORK_FILL] = 2, [WORK_HOST] = 3, [WORK_GRAPH] = 4, [WORK_EMPTY] = 5, [WORK_WAIT] = 6, [WORK_RECORD] = 7};
    *kind = kinds[node_work(node)->kind];
    RETURN(SUCCESS);
}

static Status kernel_work(const KernelNodeParameters *parameters, Work *work)
{
    if (!parameters->function)
        return INVALID_DEVICE_FUNCTION;
    if (!parameters->arguments && parameters->extra)
        return missing("kernel parameters as one buffer in a graph");
    return make_launch(named(parameters->function), parameters->grid, parameters->block, parameters->shared_bytes, parameters->arguments, 0, work);
}
static Status add_node(Graph *graph, GraphNode **node, GraphNode *const *after, size_t count, Status status, Work work)
{
    return leave(status != SUCCESS ? status : graph_add(graph, node, after, count, work));
}
API Status cudaGraphAddKernelNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, const KernelNodeParameters *parameters)
{
    Work work;
    ENTER();
    return add_node(graph, node, after, count, kernel_work(parameters, &work), work);
}
API Status cudaGraphAddMemcpyNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, const Copy3D *parameters)
{
    ENTER();
    return add_node(graph, node, after, count, SUCCESS, (Work){.kind = WORK_COPY, .of.copy = volume(parameters)});
}
API Status cudaGraphAddMemcpyNode1D(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, void *to, const void *from, size_t bytes, Direction direction)
{
    (void)direction;
    ENTER();
    return add_node(graph, node, after, count, SUCCESS, (Work){.kind = WORK_COPY, .of.copy = rows(to, 0, from, 0, bytes, 1)});
}
static Work fill_work(const MemsetParameters *p)
{
    Fill each = {p->destination, p->pitch, 0, p->value, p->element_bytes, p->width, p->height ? p->height : 1, 1};
    return (Work){.kind = WORK_FILL, .of.fill = each};
}
API Status cudaGraphAddMemsetNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, const MemsetParameters *parameters)
{
    ENTER();
    return add_node(graph, node, after, count, SUCCESS, fill_work(parameters));
}
API Status cudaGraphAddHostNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, const HostNodeParameters *parameters)
{
    ENTER();
    return add_node(graph, node, after, count, SUCCESS, (Work){.kind = WORK_HOST, .of.host = *parameters});
}
API Status cudaGraphAddEmptyNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count)
{
    ENTER();
    return add_node(graph, node, after, count, SUCCESS, (Work){.kind = WORK_EMPTY});
}
API Status cudaGraphAddChildGraphNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, Graph *child)
{
    Work work = {.kind = WORK_GRAPH};
    ENTER();
    return add_node(graph, node, after, count, graph_clone(&work.of.graph, child), work);
}
API Status cudaGraphAddEventRecordNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, Event *event)
{
    ENTER();
    return add_node(graph, node, after, count, SUCCESS, (Work){.kind = WORK_RECORD, .of.event = event});
}
API Status cudaGraphAddEventWaitNode(GraphNode **node, Graph *graph, GraphNode *const *after, size_t count, Event *event)
{
    (void)event;
    return cudaGraphAddEmptyNode(node, graph, after, count);
}
#if CUDART_VERSION >= 13000
API Status cudaGraphAddDependencies(Graph *graph, GraphNode *const *from, GraphNode *const *to, const void *edges, size_t count)
{
    (void)edges;
    RETURN(graph_depend(graph, from, to, count));
}
#else
API Status cudaGraphAddDependencies(Graph *graph, GraphNode *const *from, GraphNode *const *to, size_t count) { RETURN(graph_depend(graph, from, to, count)); }
#endif

static Status set_work(GraphNode *node, Status status, Work work)
{
    if (status == SUCCESS) {
        free_work(node_work(node));
        *node_work(node) = work;
    }
    return leave(status);
}
API Status cudaGraphKernelNodeSetParams(GraphNode *node, const KernelNodeParameters *parameters)
{
    Work work;
    ENTER();
    return set_work(node, kernel_work(parameters, &work), work);
}
API Status cudaGraphMemcpyNodeSetParams(GraphNode *node, const Copy3D *parameters)
{
    ENTER();
    return set_work(node, SUCCESS, (Work){.kind = WORK_COPY, .of.copy = volume(parameters)});
}
API Status cudaGraphMemsetNodeSetParams(GraphNode *node, const MemsetParameters *parameters)
{
    ENTER();
    return set_work(node, SUCCESS, fill_work(parameters));
}
static GraphNode *in_exec(GraphExec *exec, GraphNode *node) { return node_in_clone(node, exec_graph(exec)); }
API Status cudaGraphExecKernelNodeSetParams(GraphExec *exec, GraphNode *node, const KernelNodeParameters *parameters)
{
    Work work;
    ENTER();
    NEEDS(in_exec(exec, node), INVALID_VALUE);
    return set_work(in_exec(exec, node), kernel_work(parameters, &work), work);
}
API Status cudaGraphExecMemcpyNodeSetParams(GraphExec *exec, GraphNode *node, const Copy3D *parameters)
{
    ENTER();
    NEEDS(in_exec(exec, node), INVALID_VALUE);
    return set_work(in_exec(exec, node), SUCCESS, (Work){.kind = WORK_COPY, .of.copy = volume(parameters)});
}
API Status cudaGraphExecMemcpyNodeSetParams1D(GraphExec *exec, GraphNode *node, void *to, const void *from, size_t bytes, Direction direction)
{
    (void)direction;
    ENTER();
    NEEDS(in_exec(exec, node), INVALID_VALUE);
    return set_work(in_exec(exec, node), SUCCESS, (Work){.kind = WORK_COPY, .of.copy = rows(to, 0, from, 0, bytes, 1)});
}
API Status cudaGraphExecMemsetNodeSetParams(GraphExec *exec, GraphNode *node, const MemsetParameters *parameters)
{
    ENTER();
    NEEDS(in_exec(exec, node), INVALID_VALUE);
    return set_work(in_exec(exec, node), SUCCESS, fill_work(parameters));
}
API Status cudaGraphExecHostNodeSetParams(GraphExec *exec, GraphNode *node, const HostNodeParameters *parameters)
{
    ENTER();
    NEEDS(in_exec(exec, node), INVALID_VALUE);
    return set_work(in_exec(exec, node), SUCCESS, (Work){.kind = WORK_HOST, .of.host = *parameters});
}
/* Since CUDA 12 the third argument are flags, before a node for errors: neither is needed. */
API Status cudaGraphInstantiate(GraphExec **exec, Graph *graph) { RETURN(graph_instantiate(graph, exec)); }
API Status cudaGraphInstantiateWithFlags(GraphExec **exec, Graph *graph, unsigned long long flags) { (void)flags; return cudaGraphInstantiate(exec, graph); }
API Status cudaGraphInstantiateWithParams(GraphExec **exec, Graph *graph, void *parameters) { (void)parameters; return cudaGraphInstantiate(exec, graph); }
API Status cudaGraphExecUpdate(GraphExec *exec, Graph *graph, void *result, int *verdict)
{
    if (CUDART_VERSION >= 12000 && result)
        *(int *)result = 0;
    if (CUDART_VERSION < 12000 && verdict)
        *verdict = 0;
    RETURN(graph_update(exec, graph));
}
API Status cudaGraphLaunch(GraphExec *exec, Stream *stream) { RETURN(graph_launch(exec, stream)); }
API Status cudaGraphUpload(GraphExec *exec, Stream *stream) { (void)exec, (void)stream; RETURN(SUCCESS); }
API Status cudaGraphExecDestroy(GraphExec *exec) { RETURN(exec_destroy(exec)); }
ALIAS(cudaGraphLaunch_ptsz, cudaGraphLaunch);
ALIAS(cudaGraphUpload_ptsz, cudaGraphUpload);

/* ---- devices */

API Status cudaGetDeviceCount(int *count) { *count = 1; RETURN(SUCCESS); }
API Status cudaGetDevice(int *number) { *number = 0; RETURN(SUCCESS); }
API Status cudaSetDevice(int number) { RETURN(number == 0 ? SUCCESS : INVALID_DEVICE); }
API Status cudaInitDevice(int number, unsigned flags, unsigned set) { (void)flags, (void)set; return cudaSetDevice(number); }
API Status cudaSetValidDevices(int *numbers, int count) { (void)numbers, (void)count; RETURN(SUCCESS); }
API Status cudaChooseDevice(int *number, const void *properties) { (void)properties; return cudaGetDevice(number); }
API Status cudaSetDeviceFlags(unsigned flags) { (void)flags; RETURN(SUCCESS); }
API Status cudaGetDeviceFlags(unsigned *flags) { *flags = 0; RETURN(SUCCESS); }
API Status cudaDeviceSynchronize(void) { RETURN(SUCCESS); }
API Status cudaThreadSynchronize(void) { return cudaDeviceSynchronize(); }
API Status cudaDeviceReset(void) { RETURN(SUCCESS); }
API Status cudaThreadExit(void) { return cudaDeviceReset(); }
API Status cudaDeviceGetLimit(size_t *value, int limit) { *value = get_limit(limit); RETURN(SUCCESS); }
API Status cudaDeviceSetLimit(int limit, size_t value) { RETURN(set_limit(limit, value)); }
API Status cudaDeviceGetCacheConfig(int *config) { *config = 0; RETURN(SUCCESS); }
API Status cudaDeviceSetCacheConfig(int config) { (void)config; RETURN(SUCCESS); }
API Status cudaDeviceGetSharedMemConfig(int *config) { *config = 1; RETURN(SUCCESS); }
API Status cudaDeviceSetSharedMemConfig(int config) { (void)config; RETURN(SUCCESS); }
API Status cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { *least = 0, *greatest = -5; RETURN(SUCCESS); }
API Status cudaDeviceCanAccessPeer(int *can, int device, int peer) { (void)device, (void)peer; *can = 0; RETURN(SUCCESS); }
API Status cudaDeviceGetPCIBusId(char *text, int length, int number) { (void)number; snprintf(text, (size_t)length, "0000:01:00.0"); RETURN(SUCCESS); }
API Status cudaDeviceGetByPCIBusId(int *number, const char *text) { (void)text; *number = 0; RETURN(SUCCESS); }
API Status cudaDeviceGetAttribute(int *value, int attribute, int number)
{
    ENTER();
    NEEDS(number == 0, INVALID_DEVICE);
    NEEDS(attribute > 0 && attribute < MOST_ATTRIBUTES, INVALID_VALUE);
    *value = (int)facts()->attributes[attribute];
    return leave(SUCCESS);
}
API Status cudaDriverGetVersion(int *version) { *version = CUDART_VERSION; return SUCCESS; }
API Status cudaRuntimeGetVersion(int *version) { *version = CUDART_VERSION; return SUCCESS; }
API Status cudaProfilerStart(void) { RETURN(SUCCESS); }
API Status cudaProfilerStop(void) { RETURN(SUCCESS); }

/* Where cudaDeviceProp has what: byte in CUDA 13, byte in CUDA 11 and 12 (-1: not there), bytes, device attribute. */
typedef struct { short new, old, bytes, attribute; } Property;
static const Property properties[] = {
#include "properties.h"
};
enum { PROPERTY_UUID = 256, PROPERTY_MEMORY = 288 };
static Status fill_properties(char *to, int number, size_t size, int new)
{
    ENTER();
    NEEDS(number == 0, INVALID_DEVICE);
    memset(to, 0, size);
    memcpy(to, facts()->name, sizeof facts()->name);
    memcpy(to + PROPERTY_UUID, facts()->uuid, sizeof facts()->uuid);
    memcpy(to + PROPERTY_MEMORY, &facts()->memory_bytes, sizeof(size_t));
    for (size_t k = 0; k < sizeof properties / sizeof *properties; k++) {
        const Property *each = &properties[k];
        short place = new ? each->new : each->old;
        int64_t value = facts()->attributes[each->attribute];
        if (place >= 0 && (size_t)(place + each->bytes) <= size)
            memcpy(to + place, &value, (size_t)each->bytes); /* both machines are little-endian */
    }
    return leave(SUCCESS);
}
enum { BYTES_11 = 728, BYTES_12 = 1032, BYTES_13 = 1008 }; /* of the struct */
API Status cudaGetDeviceProperties(char *to, int number)
{
    return CUDART_VERSION >= 13000 ? fill_properties(to, number, BYTES_13, 1) : fill_properties(to, number, BYTES_11, 0);
}
API Status cudaGetDeviceProperties_v2(char *to, int number) { return fill_properties(to, number, BYTES_12, 0); }

/* ---- errors */

API Status cudaGetLastError(void) { return last_error(1); }
API Status cudaPeekAtLastError(void) { return last_error(0); }
API const char *cudaGetErrorName(Status status) { return error_name(status); }
API const char *cudaGetErrorString(Status status) { return error_text(status); }

/* ---- the driver API by name, and the vendor's undocumented tables, which are not imitated */

API Status cudaGetDriverEntryPoint(const char *name, void **function, unsigned long long flags, int *verdict)
{
    (void)flags;
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY);
    *function = driver ? dlsym(driver, name) : NULL;
    if (verdict)
        *verdict = *function ? 0 : 1;
    return *function ? SUCCESS : SYMBOL_NOT_FOUND;
}
API Status cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version, unsigned long long flags, int *verdict)
{
    (void)version;
    return cudaGetDriverEntryPoint(name, function, flags, verdict);
}
ALIAS(cudaGetDriverEntryPoint_ptsz, cudaGetDriverEntryPoint);
ALIAS(cudaGetDriverEntryPointByVersion_ptsz, cudaGetDriverEntryPointByVersion);

/* ---- what is documented and not there */

#define NOT_THERE(name) API Status name(void) { return missing(#name); }
#include "not_there_runtime.h"
