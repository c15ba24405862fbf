/* What the runtime and the driver API are built on: the simulator at the other end of a socket, device memory,
 * modules, and work that is done in the order in which it is given. */
#ifndef GPUSIM_DEVICE_H
#define GPUSIM_DEVICE_H

#include "abi.h"
#include "names.h"

/* ---- device.c: the simulator and its memory */

#define PITCH_ALIGNMENT 512 /* bytes of a row's pitch, as cards of these generations give */

typedef struct {
    char name[256];
    unsigned char uuid[16];
    size_t memory_bytes;
    int timed; /* 1: launches take simulated time; 0: the host's clock is all there is */
    int64_t attributes[MOST_ATTRIBUTES];
} DeviceFacts;

typedef enum { DEVICE_MEMORY, HOST_MEMORY, MANAGED_MEMORY, ARRAY_MEMORY, REGISTERED_MEMORY, VARIABLE_MEMORY } MemoryKind;
typedef struct Allocation {
    char *start;
    size_t bytes;
    MemoryKind kind;
    unsigned flags;
    char *host; /* REGISTERED_MEMORY: where the program has it */
    struct Allocation *next;
} Allocation;

/* Every function of the API runs between these two: they connect at the first call, keep other threads out, and leave
 * keeps the error for cudaGetLastError. */
Status enter(void);
Status leave(Status status);
/* Lets other threads in while a function of the program runs. */
void call_host(HostFunction function, void *data);
Status last_error(int forget);
int forked(void);

const DeviceFacts *facts(void);
/* Simulated nanoseconds since the start, or the host's where nothing is simulated. */
double device_time(void);
Status allocate(size_t bytes, MemoryKind kind, unsigned flags, void **address);
Status release(void *address, MemoryKind kind);
/* Notes where a variable of a module lies, so that it may be copied as other memory is. */
void know_variable(void *start, size_t bytes);
/* The allocation that holds an address; NULL for ordinary host memory. */
Allocation *allocation_of(const void *address);
size_t allocated_bytes(void);
Status register_host(void *start, size_t bytes, unsigned flags);
Status unregister_host(void *start);
void *device_pointer(void *host);
Status set_limit(int limit, size_t value);
size_t get_limit(int limit);
/* The name of a function that is not there, once on standard error; returns NOT_SUPPORTED. */
Status missing(const char *name);
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- modules.c: machine code */

typedef struct Module Module;
typedef struct { uint32_t offset, bytes; } Parameter;
struct Function {
    const void *host; /* the stub that stands for it in the program, NULL for functions of the driver API */
    const char *name;
    Module *module;
    Function *next;
    uint32_t id;
    int resolved;
    FunctionAttributes attributes;
    uint32_t parameter_count, parameter_bytes;
    Parameter *parameters;
};

Module *add_module(const void *image, size_t bytes);
size_t image_bytes(const void *image);
Status load_module(Module *module);
void remove_module(Module *module);
void add_function(Module *module, const void *host, const char *name);
void add_variable(Module *module, const void *host, const char *name, size_t bytes, void **managed);
Status load_managed(Module *module);
Function *function_of(const void *host);
Status find_function(Module *module, const char *name, Function **found);
Status resolve(Function *function);
Status symbol_address(const void *symbol, void **address, size_t *bytes);
Status find_symbol(Module *module, const char *name, void **address, size_t *bytes);
Status occupancy(Function *function, int threads, size_t dynamic_shared, int *ctas);
Status create_texture(const Resource *resource, const TextureDescription *texture, int surface, uint64_t *handle);
Status destroy_texture(uint64_t handle);

/* ---- work.c: what streams are given */

struct Array { char *start; size_t width, height, depth, pitch, element_bytes; ChannelFormat format; unsigned flags; };

typedef struct {
    Function *function;
    Dim3 grid, block;
    size_t shared_bytes;
    int cooperative;
    unsigned char *packed; /* parameters as the kernel expects them; owned */
} Launch;
typedef struct { /* rows of bytes; a pitch or slice of 0 is that of one row or plane */
    char *destination;
    size_t destination_pitch, destination_slice;
    const char *source;
    size_t source_pitch, source_slice, width, height, depth;
} Copy;
typedef struct { char *destination; size_t pitch, slice; unsigned value, element_bytes; size_t width, height, depth; } Fill;

typedef enum { WORK_KERNEL, WORK_COPY, WORK_FILL, WORK_HOST, WORK_GRAPH, WORK_EMPTY, WORK_RECORD, WORK_WAIT } WorkKind;
typedef struct {
    WorkKind kind;
    union { Launch launch; Copy copy; Fill fill; HostNodeParameters host; Graph *graph; Event *event; } of;
} Work;

Status make_launch(Function *function, Dim3 grid, Dim3 block, size_t shared, void **arguments, int cooperative, Work *work);
/* Does the work, or adds it to the graph that the stream captures. Takes over what the work owns. */
Status submit(Stream *stream, Work work);
Status synchronise(Stream *stream);

Status stream_create(unsigned flags, int priority, Stream **stream);
Status stream_destroy(Stream *stream);
int stream_capturing(Stream *stream);
unsigned stream_flags(Stream *stream);
int stream_priority(Stream *stream);
uint64_t stream_id(Stream *stream);
Status stream_wait(Stream *stream, Event *event);
typedef void (*StreamCallback)(Stream *stream, Status status, void *data);
Status stream_callback(Stream *stream, StreamCallback function, void *data);
Status event_create(unsigned flags, Event **event);
Status event_destroy(Event *event);
Status event_record(Event *event, Stream *stream);
Status event_query(Event *event);
Status event_elapsed(float *milliseconds, Event *start, Event *end);

Status capture_begin(Stream *stream, Graph *into);
Status capture_end(Stream *stream, Graph **graph);
Graph *capture_graph(Stream *stream);
Status graph_create(Graph **graph);
Status graph_destroy(Graph *graph);
Status graph_clone(Graph **clone, Graph *graph);
Status graph_add(Graph *graph, GraphNode **node, GraphNode *const *after, size_t count, Work work);
Status graph_depend(Graph *graph, GraphNode *const *from, GraphNode *const *to, size_t count);
Status graph_nodes(Graph *graph, GraphNode **nodes, size_t *count, int roots);
Work *node_work(GraphNode *node);
GraphNode *node_in_clone(GraphNode *node, Graph *clone);
Status graph_instantiate(Graph *graph, GraphExec **exec);
Graph *exec_graph(GraphExec *exec);
Status graph_update(GraphExec *exec, Graph *graph);
Status graph_launch(GraphExec *exec, Stream *stream);
Status exec_destroy(GraphExec *exec);
void free_work(Work *work);

/* device.c, for the other files of the core: one request and its reply, which the caller frees. */
enum Request { HELLO = 1, ALLOCATE, RELEASE, MODULE, FUNCTION, SYMBOL, LAUNCH, OCCUPANCY, LIMIT, TEXTURE, TEXTURE_END, UNLOAD };
typedef struct { const void *data; size_t bytes; } Part;
Status request(enum Request kind, const Part *parts, int count, void **reply, size_t *reply_bytes);
void add_time(double nanoseconds);

#endif
