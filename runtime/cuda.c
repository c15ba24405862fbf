/* The CUDA driver API over device.h: what numba-cuda, Triton and programs of their own kind call.
 *
 * There is one device and one context; handles of modules and libraries are the same things, as those of functions and
 * kernels are. Functions are found by cuGetProcAddress under their plain names. */
#define _GNU_SOURCE
#include "api.h"
#include "device.h"
#include "errors.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIVER_VERSION 13000
typedef uint64_t Address;
static int context_object;
static void *const context = &context_object;

/* ---- the driver itself */

API Status cuInit(unsigned flags) { (void)flags; RETURN(SUCCESS); }
API Status cuDriverGetVersion(int *version) { *version = DRIVER_VERSION; return SUCCESS; }
API Status cuGetErrorName(Status error, const char **name) { *name = driver_error_name(error); return *name ? SUCCESS : INVALID_VALUE; }
API Status cuGetErrorString(Status error, const char **text) { *text = error_text(error); return driver_error_name(error) ? SUCCESS : INVALID_VALUE; }
/* The vendor's undocumented tables are not imitated. */
API Status cuGetExportTable(const void **table, const void *id) { (void)id; *table = NULL; return NOT_SUPPORTED; }

/* The newest form of a function that is there: cuMemAlloc is cuMemAlloc_v2, and cuCtxCreate of 13.0 cuCtxCreate_v4. */
static void *newest(const char *name, int version)
{
    static const char *const forms[] = {"_v4", "_v3", "_v2", ""};
    Dl_info own;
    char full[128];
    void *library = dladdr(context, &own) ? dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL, *found = NULL;
    for (size_t k = version < 13000 ? 2 : 0; library && !found && k < sizeof forms / sizeof *forms; k++) {
        snprintf(full, sizeof full, "%s%s", name, forms[k]);
        found = dlsym(library, full);
    }
    return found;
}
API Status cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *verdict)
{
    (void)flags;
    *function = newest(name, version);
    if (verdict)
        *verdict = *function ? 0 : 1;
    return *function ? SUCCESS : SYMBOL_NOT_FOUND;
}
API Status cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) { return cuGetProcAddress_v2(name, function, version, flags, NULL); }

/* ---- the device and its context */

API Status cuDeviceGet(int *device, int ordinal) { *device = 0; RETURN(ordinal == 0 ? SUCCESS : INVALID_DEVICE); }
API Status cuDeviceGetCount(int *count) { *count = 1; RETURN(SUCCESS); }
API Status cuDeviceGetName(char *name, int length, int device)
{
    (void)device;
    ENTER();
    snprintf(name, (size_t)length, "%s", facts()->name);
    return leave(SUCCESS);
}
API Status cuDeviceGetUuid(unsigned char *uuid, int device)
{
    (void)device;
    ENTER();
    memcpy(uuid, facts()->uuid, sizeof facts()->uuid);
    return leave(SUCCESS);
}
ALIAS(cuDeviceGetUuid_v2, cuDeviceGetUuid);
API Status cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    (void)device;
    ENTER();
    *bytes = facts()->memory_bytes;
    return leave(SUCCESS);
}
API Status cuDeviceGetAttribute(int *value, int attribute, int device)
{
    ENTER();
    NEEDS(device == 0, INVALID_DEVICE);
    NEEDS(attribute > 0, INVALID_VALUE);
    *value = attribute < MOST_ATTRIBUTES ? (int)facts()->attributes[attribute] : 0;
    return leave(SUCCESS);
}
API Status cuDeviceComputeCapability(int *major, int *minor, int device)
{
    enum { MAJOR = 75, MINOR = 76 };
    Status status = cuDeviceGetAttribute(major, MAJOR, device);
    return status != SUCCESS ? status : cuDeviceGetAttribute(minor, MINOR, device);
}
API Status cuDeviceGetPCIBusId(char *text, int length, int device) { (void)device; snprintf(text, (size_t)length, "0000:01:00.0"); RETURN(SUCCESS); }
API Status cuDeviceGetByPCIBusId(int *device, const char *text) { (void)text; *device = 0; RETURN(SUCCESS); }
API Status cuDeviceCanAccessPeer(int *can, int device, int peer) { (void)device, (void)peer; *can = 0; RETURN(SUCCESS); }
API Status cuDevicePrimaryCtxRetain(void **made, int device) { *made = context; RETURN(device == 0 ? SUCCESS : INVALID_DEVICE); }
API Status cuDevicePrimaryCtxRelease_v2(int device) { (void)device; RETURN(SUCCESS); }
API Status cuDevicePrimaryCtxReset_v2(int device) { (void)device; RETURN(SUCCESS); }
API Status cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { (void)device, (void)flags; RETURN(SUCCESS); }
API Status cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { (void)device; *flags = 0, *active = 1; RETURN(SUCCESS); }
API Status cuCtxCreate_v2(void **made, unsigned flags, int device) { (void)flags; return cuDevicePrimaryCtxRetain(made, device); }
API Status cuCtxCreate_v4(void **made, void *parameters, unsigned flags, int device) { (void)parameters, (void)flags; return cuDevicePrimaryCtxRetain(made, device); }
API Status cuCtxDestroy_v2(void *which) { (void)which; RETURN(SUCCESS); }
API Status cuCtxPushCurrent_v2(void *which) { (void)which; RETURN(SUCCESS); }
API Status cuCtxPopCurrent_v2(void **which) { if (which) *which = context; RETURN(SUCCESS); }
API Status cuCtxSetCurrent(void *which) { (void)which; RETURN(SUCCESS); }
API Status cuCtxGetCurrent(void **which) { *which = context; RETURN(SUCCESS); }
API Status cuCtxGetDevice(int *device) { *device = 0; RETURN(SUCCESS); }
API Status cuCtxGetFlags(unsigned *flags) { *flags = 0; RETURN(SUCCESS); }
API Status cuCtxGetApiVersion(void *which, unsigned *version) { (void)which; *version = DRIVER_VERSION; RETURN(SUCCESS); }
API Status cuCtxSynchronize(void) { RETURN(SUCCESS); }
API Status cuCtxGetLimit(size_t *value, int limit) { *value = get_limit(limit); RETURN(SUCCESS); }
API Status cuCtxSetLimit(int limit, size_t value) { RETURN(set_limit(limit, value)); }
API Status cuCtxGetCacheConfig(int *config) { *config = 0; RETURN(SUCCESS); }
API Status cuCtxSetCacheConfig(int config) { (void)config; RETURN(SUCCESS); }
API Status cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0, *greatest = -5; RETURN(SUCCESS); }
API Status cuProfilerStart(void) { RETURN(SUCCESS); }
API Status cuProfilerStop(void) { RETURN(SUCCESS); }

/* ---- modules and functions */

/* The caller may give the image back after this. */
static Status load_image(Module **made, const void *image, size_t bytes)
{
    void *copy;
    if (!bytes)
        return missing("loading PTX or an image of another kind");
    copy = malloc(bytes);
    memcpy(copy, image, bytes);
    *made = add_module(copy, bytes);
    Status status = load_module(*made);
    if (status == SUCCESS)
        status = load_managed(*made);
    return status;
}
API Status cuModuleLoadData(Module **made, const void *image) { RETURN(load_image(made, image, image_bytes(image))); }
API Status cuModuleLoadDataEx(Module **made, const void *image, unsigned count, int *options, void **values)
{
    (void)count, (void)options, (void)values;
    return cuModuleLoadData(made, image);
}
API Status cuModuleLoadFatBinary(Module **made, const void *image) { return cuModuleLoadData(made, image); }
API Status cuModuleLoad(Module **made, const char *path)
{
    enum { FILE_NOT_FOUND = 301 };
    ENTER();
    FILE *file = fopen(path, "rb");
    NEEDS(file, FILE_NOT_FOUND);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    void *image = calloc(1, (size_t)size + 64);
    size_t got = fread(image, 1, (size_t)size, file);
    fclose(file);
    Status status = got == (size_t)size ? load_image(made, image, image_bytes(image)) : FILE_NOT_FOUND;
    free(image);
    return leave(status);
}
API Status cuModuleUnload(Module *module) { ENTER(); remove_module(module); return leave(SUCCESS); }
API Status cuModuleGetFunction(Function **function, Module *module, const char *name) { RETURN(find_function(module, name, function)); }
API Status cuModuleGetGlobal_v2(Address *address, size_t *bytes, Module *module, const char *name)
{
    void *place;
    size_t size;
    ENTER();
    Status status = find_symbol(module, name, &place, &size);
    NEEDS(status == SUCCESS, SYMBOL_NOT_FOUND);
    if (address)
        *address = (Address)place;
    if (bytes)
        *bytes = size;
    return leave(SUCCESS);
}
API Status cuModuleGetLoadingMode(int *mode) { *mode = 2; RETURN(SUCCESS); } /* lazy */
API Status cuLibraryLoadData(Module **made, const void *image, int *a, void **b, unsigned c, int *d, void **e, unsigned f)
{
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return cuModuleLoadData(made, image);
}
API Status cuLibraryLoadFromFile(Module **made, const char *path, int *a, void **b, unsigned c, int *d, void **e, unsigned f)
{
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return cuModuleLoad(made, path);
}
API Status cuLibraryUnload(Module *module) { return cuModuleUnload(module); }
API Status cuLibraryGetKernel(Function **function, Module *module, const char *name) { return cuModuleGetFunction(function, module, name); }
API Status cuLibraryGetModule(Module **module, Module *library) { *module = library; RETURN(SUCCESS); }
API Status cuLibraryGetGlobal(Address *address, size_t *bytes, Module *module, const char *name) { return cuModuleGetGlobal_v2(address, bytes, module, name); }
API Status cuKernelGetFunction(Function **function, Function *kernel) { *function = kernel; RETURN(SUCCESS); }
API Status cuKernelGetLibrary(Module **module, Function *kernel) { *module = kernel->module; RETURN(SUCCESS); }
API Status cuFuncGetModule(Module **module, Function *function) { *module = function->module; RETURN(SUCCESS); }
API Status cuFuncGetName(const char **name, Function *function) { *name = function->name; RETURN(SUCCESS); }
API Status cuKernelGetName(const char **name, Function *kernel) { return cuFuncGetName(name, kernel); }
API Status cuFuncLoad(Function *function) { RETURN(resolve(function)); }
API Status cuFuncIsLoaded(int *state, Function *function) { *state = function->resolved; RETURN(SUCCESS); }
API Status cuFuncGetParamInfo(Function *function, size_t index, size_t *offset, size_t *bytes)
{
    ENTER();
    NEEDS(index < function->parameter_count, INVALID_VALUE);
    *offset = function->parameters[index].offset;
    if (bytes)
        *bytes = function->parameters[index].bytes;
    return leave(SUCCESS);
}
API Status cuKernelGetParamInfo(Function *kernel, size_t index, size_t *offset, size_t *bytes) { return cuFuncGetParamInfo(kernel, index, offset, bytes); }

enum { SHARED_BYTES = 1, CONSTANT_BYTES, LOCAL_BYTES, REGISTERS, PTX_VERSION, BINARY_VERSION, CACHE_MODE, MAX_DYNAMIC_SHARED, CARVEOUT };
API Status cuFuncGetAttribute(int *value, int attribute, Function *function)
{
    const FunctionAttributes *a = &function->attributes;
    int values[] = {a->max_threads, (int)a->shared_bytes, (int)a->constant_bytes, (int)a->local_bytes, a->registers, a->ptx_version, a->binary_version, a->cache_mode, a->max_dynamic_shared, a->carveout};
    ENTER();
    NEEDS(attribute >= 0, INVALID_VALUE);
    *value = attribute < (int)(sizeof values / sizeof *values) ? values[attribute] : 0;
    return leave(SUCCESS);
}
API Status cuFuncSetAttribute(Function *function, int attribute, int value)
{
    ENTER();
    if (attribute == MAX_DYNAMIC_SHARED) {
        NEEDS(value + (int64_t)function->attributes.shared_bytes <= facts()->attributes[ATTRIBUTE_SHARED_OPTIN], INVALID_VALUE);
        function->attributes.max_dynamic_shared = value;
    }
    if (attribute == CARVEOUT)
        function->attributes.carveout = value;
    return leave(SUCCESS);
}
API Status cuKernelGetAttribute(int *value, int attribute, Function *kernel, int device) { (void)device; return cuFuncGetAttribute(value, attribute, kernel); }
API Status cuKernelSetAttribute(int attribute, int value, Function *kernel, int device) { (void)device; return cuFuncSetAttribute(kernel, attribute, value); }
API Status cuFuncSetCacheConfig(Function *function, int config) { (void)function, (void)config; RETURN(SUCCESS); }
API Status cuFuncSetSharedMemConfig(Function *function, int config) { (void)function, (void)config; RETURN(SUCCESS); }

/* ---- launches */

/* Parameters one by one, or as one buffer behind the words 1 (its place), 2 (its size) and 0 (the end). */
static Status launch(Function *function, Dim3 grid, Dim3 block, size_t shared, Stream *stream, void **arguments, void **extra, int cooperative)
{
    Work work;
    static void *none[1];
    unsigned char *buffer = NULL;
    void **each = arguments ? arguments : none;
    if (!function)
        return INVALID_RESOURCE_HANDLE;
    Status status = resolve(function);
    if (status != SUCCESS)
        return status;
    for (size_t k = 0; !arguments && extra && extra[k]; k += 2)
        if (extra[k] == (void *)1)
            buffer = extra[k + 1];
    if (buffer) {
        each = malloc((function->parameter_count + 1) * sizeof *each);
        for (uint32_t k = 0; k < function->parameter_count; k++)
            each[k] = buffer + function->parameters[k].offset;
    } else if (!arguments && function->parameter_count)
        return INVALID_VALUE;
    status = make_launch(function, grid, block, shared, each, cooperative, &work);
    if (buffer)
        free(each);
    return status != SUCCESS ? status : submit(stream, work);
}
API Status cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *stream, void **arguments, void **extra)
{
    RETURN(launch(function, (Dim3){gx, gy, gz}, (Dim3){bx, by, bz}, shared, stream, arguments, extra, 0));
}
API Status cuLaunchCooperativeKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *stream, void **arguments)
{
    RETURN(launch(function, (Dim3){gx, gy, gz}, (Dim3){bx, by, bz}, shared, stream, arguments, NULL, 1));
}
typedef struct { Dim3 grid, block; unsigned shared; Stream *stream; LaunchAttribute *attributes; unsigned count; } DriverLaunchConfig;
API Status cuLaunchKernelEx(const DriverLaunchConfig *config, Function *function, void **arguments, void **extra)
{
    int cooperative = 0;
    ENTER();
    for (unsigned k = 0; k < config->count; k++) {
        const LaunchAttribute *attribute = &config->attributes[k];
        Dim3 cluster = attribute->value.cluster;
        if (attribute->id == ATTRIBUTE_COOPERATIVE)
            cooperative = attribute->value.number;
        if (attribute->id == ATTRIBUTE_CLUSTER && cluster.x * cluster.y * cluster.z > 1)
            return leave(missing("a launch of clusters"));
    }
    return leave(launch(function, config->grid, config->block, config->shared, config->stream, arguments, extra, cooperative));
}
API Status cuLaunchHostFunc(Stream *stream, HostFunction function, void *data)
{
    RETURN(submit(stream, (Work){.kind = WORK_HOST, .of.host = {function, data}}));
}
API Status cuOccupancyMaxActiveBlocksPerMultiprocessor(int *ctas, Function *function, int threads, size_t shared) { RETURN(occupancy(function, threads, shared, ctas)); }
API Status cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *ctas, Function *function, int threads, size_t shared, unsigned flags)
{
    (void)flags;
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(ctas, function, threads, shared);
}
/* The block with which most threads of an SM are busy; of equal ones the largest. */
API Status cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, Function *function, size_t (*shared_of)(int), size_t shared, int limit, unsigned flags)
{
    enum { WARP = 32 };
    int best = 0;
    (void)flags;
    ENTER();
    Status status = resolve(function);
    NEEDS(status == SUCCESS, status);
    int most = function->attributes.max_threads;
    if (limit > 0 && limit < most)
        most = limit;
    for (int threads = most / WARP * WARP; threads > 0; threads -= WARP) {
        int ctas = 0;
        status = occupancy(function, threads, shared_of ? shared_of(threads) : shared, &ctas);
        NEEDS(status == SUCCESS, status);
        if (ctas * threads > best) {
            best = ctas * threads;
            *block = threads;
            *grid = ctas * (int)facts()->attributes[ATTRIBUTE_SMS];
        }
    }
    return leave(best ? SUCCESS : LAUNCH_OUT_OF_RESOURCES);
}
API Status cuOccupancyMaxPotentialBlockSize(int *grid, int *block, Function *function, size_t (*shared_of)(int), size_t shared, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, shared_of, shared, limit, 0);
}

/* ---- memory */

static Status take(Address *address, size_t bytes, MemoryKind kind, unsigned flags)
{
    void *place;
    if (!bytes)
        return INVALID_VALUE;
    Status status = allocate(bytes, kind, flags, &place);
    *address = (Address)place;
    return status;
}
API Status cuMemAlloc_v2(Address *address, size_t bytes) { RETURN(take(address, bytes, DEVICE_MEMORY, 0)); }
API Status cuMemAllocManaged(Address *address, size_t bytes, unsigned flags) { RETURN(take(address, bytes, MANAGED_MEMORY, flags)); }
API Status cuMemAllocPitch_v2(Address *address, size_t *pitch, size_t width, size_t height, unsigned element)
{
    (void)element;
    *pitch = (width + PITCH_ALIGNMENT - 1) / PITCH_ALIGNMENT * PITCH_ALIGNMENT;
    return cuMemAlloc_v2(address, *pitch * height);
}
API Status cuMemFree_v2(Address address) { RETURN(release((void *)address, DEVICE_MEMORY)); }
API Status cuMemAllocAsync(Address *address, size_t bytes, Stream *stream) { (void)stream; return cuMemAlloc_v2(address, bytes); }
API Status cuMemAllocFromPoolAsync(Address *address, size_t bytes, void *pool, Stream *stream) { (void)pool, (void)stream; return cuMemAlloc_v2(address, bytes); }
API Status cuMemFreeAsync(Address address, Stream *stream) { (void)stream; return cuMemFree_v2(address); }
API Status cuMemHostAlloc(void **address, size_t bytes, unsigned flags) { RETURN(allocate(bytes, HOST_MEMORY, flags, address)); }
API Status cuMemAllocHost_v2(void **address, size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }
API Status cuMemFreeHost(void *address) { RETURN(release(address, HOST_MEMORY)); }
API Status cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) { RETURN(register_host(address, bytes, flags)); }
API Status cuMemHostUnregister(void *address) { RETURN(unregister_host(address)); }
API Status cuMemHostGetDevicePointer_v2(Address *device, void *host, unsigned flags)
{
    (void)flags;
    ENTER();
    *device = (Address)device_pointer(host);
    return leave(*device ? SUCCESS : INVALID_VALUE);
}
API Status cuMemHostGetFlags(unsigned *flags, void *host)
{
    ENTER();
    Allocation *allocation = allocation_of(host);
    NEEDS(allocation, INVALID_VALUE);
    *flags = allocation->flags;
    return leave(SUCCESS);
}
API Status cuMemGetInfo_v2(size_t *left, size_t *total)
{
    ENTER();
    *total = facts()->memory_bytes;
    *left = *total - allocated_bytes();
    return leave(SUCCESS);
}
API Status cuMemGetAddressRange_v2(Address *start, size_t *bytes, Address address)
{
    ENTER();
    Allocation *allocation = allocation_of((void *)address);
    NEEDS(allocation, INVALID_VALUE);
    if (start)
        *start = (Address)allocation->start;
    if (bytes)
        *bytes = allocation->bytes;
    return leave(SUCCESS);
}
API Status cuMemPrefetchAsync(void) { RETURN(SUCCESS); }
API Status cuMemAdvise(void) { RETURN(SUCCESS); }
ALIAS(cuMemPrefetchAsync_v2, cuMemPrefetchAsync);
ALIAS(cuMemAdvise_v2, cuMemAdvise);

static Status copy(Stream *stream, void *to, const void *from, size_t bytes)
{
    return submit(stream, (Work){.kind = WORK_COPY, .of.copy = {to, 0, 0, from, 0, 0, bytes, 1, 1}});
}
/* Whether bytes of device memory lie in one allocation. */
static int held(Address address, size_t bytes)
{
    Allocation *allocation = allocation_of((void *)address);
    return !bytes || (allocation && (char *)address + bytes <= allocation->start + allocation->bytes);
}
API Status cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, Stream *stream) { RETURN(held(to, bytes) ? copy(stream, (void *)to, from, bytes) : INVALID_VALUE); }
API Status cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, Stream *stream) { RETURN(held(from, bytes) ? copy(stream, to, (void *)from, bytes) : INVALID_VALUE); }
API Status cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream *stream)
{
    RETURN(held(to, bytes) && held(from, bytes) ? copy(stream, (void *)to, (void *)from, bytes) : INVALID_VALUE);
}
API Status cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) { return cuMemcpyHtoDAsync_v2(to, from, bytes, NULL); }
API Status cuMemcpyDtoH_v2(void *to, Address from, size_t bytes) { return cuMemcpyDtoHAsync_v2(to, from, bytes, NULL); }
API Status cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) { return cuMemcpyDtoDAsync_v2(to, from, bytes, NULL); }
API Status cuMemcpyAsync(Address to, Address from, size_t bytes, Stream *stream) { RETURN(copy(stream, (void *)to, (void *)from, bytes)); }
API Status cuMemcpy(Address to, Address from, size_t bytes) { return cuMemcpyAsync(to, from, bytes, NULL); }

static Status set(Stream *stream, Address to, size_t pitch, unsigned value, unsigned element, size_t width, size_t height)
{
    size_t bytes = height ? (height - 1) * pitch + width * element : 0;
    return held(to, bytes) ? submit(stream, (Work){.kind = WORK_FILL, .of.fill = {(char *)to, pitch, 0, value, element, width, height, 1}}) : INVALID_VALUE;
}
#define SETS(bits, type) \
    API Status cuMemsetD##bits##Async(Address to, type value, size_t count, Stream *stream) { RETURN(set(stream, to, 0, value, bits / 8, count, 1)); } \
    API Status cuMemsetD##bits##_v2(Address to, type value, size_t count) { return cuMemsetD##bits##Async(to, value, count, NULL); } \
    API Status cuMemsetD2D##bits##Async(Address to, size_t pitch, type value, size_t width, size_t height, Stream *stream) { RETURN(set(stream, to, pitch, value, bits / 8, width, height)); } \
    API Status cuMemsetD2D##bits##_v2(Address to, size_t pitch, type value, size_t width, size_t height) { return cuMemsetD2D##bits##Async(to, pitch, value, width, height, NULL); }
SETS(8, unsigned char)
SETS(16, unsigned short)
SETS(32, unsigned)

enum { POINTER_CONTEXT = 1, POINTER_MEMORY_TYPE, POINTER_DEVICE, POINTER_HOST, POINTER_SYNC = 6, POINTER_ID, POINTER_MANAGED, POINTER_ORDINAL, POINTER_START = 11, POINTER_SIZE, POINTER_MAPPED };
static Status pointer_attribute(void *to, int attribute, Address address)
{
    Allocation *allocation = allocation_of((void *)address);
    if (!allocation)
        return INVALID_VALUE;
    switch (attribute) {
    case POINTER_CONTEXT:
        *(void **)to = context;
        return SUCCESS;
    case POINTER_MEMORY_TYPE:
        *(unsigned *)to = allocation->kind == HOST_MEMORY || allocation->kind == REGISTERED_MEMORY ? 1 : 2;
        return SUCCESS;
    case POINTER_DEVICE:
        *(Address *)to = (Address)device_pointer((void *)address);
        return SUCCESS;
    case POINTER_HOST:
        *(Address *)to = address;
        return allocation->kind == DEVICE_MEMORY ? INVALID_VALUE : SUCCESS;
    case POINTER_MANAGED:
        *(unsigned *)to = allocation->kind == MANAGED_MEMORY;
        return SUCCESS;
    case POINTER_ORDINAL:
        *(int *)to = 0;
        return SUCCESS;
    case POINTER_START:
        *(Address *)to = (Address)allocation->start;
        return SUCCESS;
    case POINTER_SIZE:
        *(size_t *)to = allocation->bytes;
        return SUCCESS;
    case POINTER_MAPPED:
        *(unsigned *)to = 1;
        return SUCCESS;
    default:
        return missing("an attribute of a pointer");
    }
}
API Status cuPointerGetAttribute(void *to, int attribute, Address address) { RETURN(pointer_attribute(to, attribute, address)); }
API Status cuPointerGetAttributes(unsigned count, int *attributes, void **to, Address address)
{
    ENTER();
    for (unsigned k = 0; k < count; k++)
        if (pointer_attribute(to[k], attributes[k], address) != SUCCESS)
            *(Address *)to[k] = 0;
    return leave(SUCCESS);
}
API Status cuPointerSetAttribute(const void *value, int attribute, Address address) { (void)value, (void)attribute, (void)address; RETURN(SUCCESS); }
API Status cuDeviceGetDefaultMemPool(void **pool, int device) { (void)device; *pool = context; RETURN(SUCCESS); }
API Status cuDeviceGetMemPool(void **pool, int device) { return cuDeviceGetDefaultMemPool(pool, device); }
API Status cuDeviceSetMemPool(int device, void *pool) { (void)device, (void)pool; RETURN(SUCCESS); }
API Status cuMemPoolCreate(void **pool, const void *properties) { (void)properties; return cuDeviceGetDefaultMemPool(pool, 0); }
API Status cuMemPoolDestroy(void *pool) { (void)pool; RETURN(SUCCESS); }
API Status cuMemPoolSetAttribute(void *pool, int attribute, void *value) { (void)pool, (void)attribute, (void)value; RETURN(SUCCESS); }
API Status cuMemPoolGetAttribute(void *pool, int attribute, void *value)
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
API Status cuMemPoolTrimTo(void *pool, size_t bytes) { (void)pool, (void)bytes; RETURN(SUCCESS); }

/* ---- streams, events, graphs */

API Status cuStreamCreateWithPriority(Stream **stream, unsigned flags, int priority) { RETURN(stream_create(flags, priority, stream)); }
API Status cuStreamCreate(Stream **stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }
API Status cuStreamDestroy_v2(Stream *stream) { RETURN(stream_destroy(stream)); }
API Status cuStreamSynchronize(Stream *stream) { RETURN(synchronise(stream)); }
API Status cuStreamQuery(Stream *stream) { RETURN(synchronise(stream)); }
API Status cuStreamWaitEvent(Stream *stream, Event *event, unsigned flags) { (void)flags; RETURN(stream_wait(stream, event)); }
API Status cuStreamGetFlags(Stream *stream, unsigned *flags) { *flags = stream_flags(stream); RETURN(SUCCESS); }
API Status cuStreamGetPriority(Stream *stream, int *priority) { *priority = stream_priority(stream); RETURN(SUCCESS); }
API Status cuStreamGetId(Stream *stream, unsigned long long *id) { *id = stream_id(stream); RETURN(SUCCESS); }
API Status cuStreamGetCtx(Stream *stream, void **which) { (void)stream; *which = context; RETURN(SUCCESS); }
API Status cuStreamGetDevice(Stream *stream, int *device) { (void)stream; *device = 0; RETURN(SUCCESS); }
API Status cuStreamIsCapturing(Stream *stream, int *capturing) { *capturing = stream_capturing(stream); RETURN(SUCCESS); }
API Status cuStreamBeginCapture_v2(Stream *stream, int mode) { (void)mode; RETURN(capture_begin(stream, NULL)); }
API Status cuStreamEndCapture(Stream *stream, Graph **graph) { RETURN(capture_end(stream, graph)); }
API Status cuThreadExchangeStreamCaptureMode(int *mode) { (void)mode; RETURN(SUCCESS); }

API Status cuStreamAddCallback(Stream *stream, StreamCallback function, void *data, unsigned flags)
{
    (void)flags;
    RETURN(stream_callback(stream, function, data));
}
API Status cuEventCreate(Event **event, unsigned flags) { RETURN(event_create(flags, event)); }
API Status cuEventDestroy_v2(Event *event) { RETURN(event_destroy(event)); }
API Status cuEventRecord(Event *event, Stream *stream) { RETURN(event_record(event, stream)); }
API Status cuEventRecordWithFlags(Event *event, Stream *stream, unsigned flags) { (void)flags; return cuEventRecord(event, stream); }
API Status cuEventSynchronize(Event *event) { RETURN(event_query(event)); }
API Status cuEventQuery(Event *event) { RETURN(event_query(event)); }
API Status cuEventElapsedTime_v2(float *milliseconds, Event *start, Event *end) { RETURN(event_elapsed(milliseconds, start, end)); }
ALIAS(cuEventElapsedTime, cuEventElapsedTime_v2);
API Status cuGraphCreate(Graph **graph, unsigned flags) { (void)flags; RETURN(graph_create(graph)); }
API Status cuGraphDestroy(Graph *graph) { RETURN(graph_destroy(graph)); }
API Status cuGraphInstantiateWithFlags(GraphExec **exec, Graph *graph, unsigned long long flags) { (void)flags; RETURN(graph_instantiate(graph, exec)); }
API Status cuGraphLaunch(GraphExec *exec, Stream *stream) { RETURN(graph_launch(exec, stream)); }
API Status cuGraphUpload(GraphExec *exec, Stream *stream) { (void)exec, (void)stream; RETURN(SUCCESS); }
API Status cuGraphExecDestroy(GraphExec *exec) { RETURN(exec_destroy(exec)); }


/* The same under the plain names, for those who ask the loader. */
ALIAS(cuCtxCreate, cuCtxCreate_v2);
ALIAS(cuCtxDestroy, cuCtxDestroy_v2);
ALIAS(cuCtxPopCurrent, cuCtxPopCurrent_v2);
ALIAS(cuCtxPushCurrent, cuCtxPushCurrent_v2);
ALIAS(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2);
ALIAS(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2);
ALIAS(cuDevicePrimaryCtxSetFlags, cuDevicePrimaryCtxSetFlags_v2);
ALIAS(cuDeviceTotalMem, cuDeviceTotalMem_v2);
ALIAS(cuEventDestroy, cuEventDestroy_v2);
ALIAS(cuMemAlloc, cuMemAlloc_v2);
ALIAS(cuMemAllocHost, cuMemAllocHost_v2);
ALIAS(cuMemAllocPitch, cuMemAllocPitch_v2);
ALIAS(cuMemFree, cuMemFree_v2);
ALIAS(cuMemGetAddressRange, cuMemGetAddressRange_v2);
ALIAS(cuMemGetInfo, cuMemGetInfo_v2);
ALIAS(cuMemHostGetDevicePointer, cuMemHostGetDevicePointer_v2);
ALIAS(cuMemHostRegister, cuMemHostRegister_v2);
ALIAS(cuMemcpyDtoD, cuMemcpyDtoD_v2);
ALIAS(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2);
ALIAS(cuMemcpyDtoH, cuMemcpyDtoH_v2);
ALIAS(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2);
ALIAS(cuMemcpyHtoD, cuMemcpyHtoD_v2);
ALIAS(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2);
ALIAS(cuModuleGetGlobal, cuModuleGetGlobal_v2);
ALIAS(cuStreamBeginCapture, cuStreamBeginCapture_v2);
ALIAS(cuStreamDestroy, cuStreamDestroy_v2);
ALIAS(cuMemsetD8, cuMemsetD8_v2);
ALIAS(cuMemsetD2D8, cuMemsetD2D8_v2);
ALIAS(cuMemsetD16, cuMemsetD16_v2);
ALIAS(cuMemsetD2D16, cuMemsetD2D16_v2);
ALIAS(cuMemsetD32, cuMemsetD32_v2);
ALIAS(cuMemsetD2D32, cuMemsetD2D32_v2);

/* ---- what is documented and not there */

#define NOT_THERE(name) API Status name(void) { return missing(#name); }
#include "not_there_driver.h"
