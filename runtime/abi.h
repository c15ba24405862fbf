/* The types and numbers of the documented CUDA runtime and driver API that this library uses.
 *
 * Names without the vendor's prefix; every size and order is that of the CUDA Runtime API and Driver API references
 * (versions 11.8 to 13.x), where they differ by version that is said. */
#ifndef GPUSIM_ABI_H
#define GPUSIM_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef int Status; /* cudaError_t and CUresult: the same numbers below 999 but for those named here */

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INITIALIZATION_ERROR = 3,
    INVALID_CONFIGURATION = 9,
    INVALID_PITCH = 12,
    INVALID_SYMBOL = 13,
    INVALID_COPY_DIRECTION = 21,
    INVALID_DEVICE_FUNCTION = 98,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    NO_KERNEL_IMAGE = 209,
    INVALID_RESOURCE_HANDLE = 400,
    SYMBOL_NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_TIMEOUT = 702,
    PEER_ACCESS_ALREADY_ENABLED = 704,
    ASSERT = 710,
    HOST_MEMORY_ALREADY_REGISTERED = 712,
    HOST_MEMORY_NOT_REGISTERED = 713,
    LAUNCH_FAILURE = 719,
    NOT_SUPPORTED = 801,
    STREAM_CAPTURE_UNSUPPORTED = 900,
    STREAM_CAPTURE_INVALIDATED = 901,
    UNKNOWN_ERROR = 999
};

typedef struct { unsigned x, y, z; } Dim3;
typedef struct { size_t x, y, z; } Position;
typedef struct { size_t width, height, depth; } Extent;
typedef struct { void *pointer; size_t pitch, width, height; } PitchedPointer;

typedef enum { HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, BY_ADDRESS } Direction;

typedef enum { CHANNEL_SIGNED, CHANNEL_UNSIGNED, CHANNEL_FLOAT } ChannelKind;
typedef struct { int x, y, z, w; ChannelKind kind; } ChannelFormat; /* bits of each channel */

typedef struct Array Array;
typedef struct Stream Stream;
typedef struct Event Event;
typedef struct Graph Graph;
typedef struct GraphNode GraphNode;
typedef struct GraphExec GraphExec;
typedef struct Function Function;

typedef struct {
    Array *source_array;
    Position source_position;
    PitchedPointer source;
    Array *destination_array;
    Position destination_position;
    PitchedPointer destination;
    Extent extent;
    Direction direction;
} Copy3D;

typedef struct { void *destination; size_t pitch; unsigned value, element_bytes; size_t width, height; } MemsetParameters;

typedef struct { /* cudaKernelNodeParams */
    void *function;
    Dim3 grid, block;
    unsigned shared_bytes;
    void **arguments, **extra;
} KernelNodeParameters;

typedef void (*HostFunction)(void *data);
typedef struct { HostFunction function; void *data; } HostNodeParameters;

enum { ATTRIBUTE_COOPERATIVE = 2, ATTRIBUTE_CLUSTER = 4 };
typedef struct {
    int id;
    int padding;
    union { int number; Dim3 cluster; char bytes[64]; } value;
} LaunchAttribute;
typedef struct { Dim3 grid, block; size_t shared_bytes; Stream *stream; LaunchAttribute *attributes; unsigned count; } LaunchConfig;

typedef struct {
    size_t shared_bytes, constant_bytes, local_bytes;
    int max_threads, registers, ptx_version, binary_version, cache_mode, max_dynamic_shared, carveout;
    int reserved[20];
} FunctionAttributes; /* 144 bytes since CUDA 12 */

typedef enum { RESOURCE_ARRAY, RESOURCE_MIPMAPPED, RESOURCE_LINEAR, RESOURCE_PITCH_2D } ResourceKind;
typedef struct {
    ResourceKind kind;
    union {
        Array *array;
        struct { void *pointer; ChannelFormat format; size_t bytes; } linear;
        struct { void *pointer; ChannelFormat format; size_t width, height, pitch; } pitched;
    } of;
} Resource;
typedef struct {
    int address_mode[3]; /* wrap, clamp, mirror, border */
    int filter;          /* point, linear */
    int read_mode;       /* element type, normalised float */
    int srgb;
    float border[4];
    int normalized;
} TextureDescription; /* its first 44 bytes; mipmaps and anisotropy are not there */

/* Numbers of device attributes that this library reads itself; the simulator gives all of them by number. */
enum {
    ATTRIBUTE_MAX_THREADS = 1,
    ATTRIBUTE_SHARED_PER_BLOCK = 8,
    ATTRIBUTE_CLOCK_KHZ = 13,
    ATTRIBUTE_TEXTURE_ALIGNMENT = 14,
    ATTRIBUTE_SMS = 16,
    ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
    ATTRIBUTE_SHARED_OPTIN = 97,
    MOST_ATTRIBUTES = 160
};

#endif
