/* Machine code that a program registers or loads: it goes to the simulator once, and what is asked for by name comes
 * back as numbers. */
#define _GNU_SOURCE
#include "device.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096
#define ELF_MAGIC 0x464c457fu
#define CONTAINER_MAGIC 0xba55ed50u

typedef struct Variable {
    const void *host;
    const char *name;
    size_t bytes;
    void **managed;
    Module *module;
    struct Variable *next;
} Variable;

struct Module {
    const void *image;
    size_t bytes;
    uint64_t id;
    int loaded, managed_ready;
    Status status;
    Function *by_name; /* functions that the driver API has asked for */
};

static Function *functions[BUCKETS];
static Variable *variables[BUCKETS];

static unsigned bucket(const void *key) { return (unsigned)(((uintptr_t)key >> 4) * 2654435761u) % BUCKETS; }

/* Bytes of a cubin (an ELF file: its section table or its program table is last) or a fat binary; 0 for neither. */
size_t image_bytes(const void *image)
{
    const unsigned char *data = image;
    uint32_t magic;
    memcpy(&magic, data, sizeof magic);
    if (magic == CONTAINER_MAGIC) { /* u16 version, u16 header bytes, u64 content bytes; another may follow */
        uint16_t header;
        uint64_t content;
        memcpy(&header, data + 6, sizeof header);
        memcpy(&content, data + 8, sizeof content);
        return header + content;
    }
    if (magic != ELF_MAGIC)
        return 0;
    uint64_t programs, sections;
    uint16_t sizes[4];
    memcpy(&programs, data + 32, sizeof programs);
    memcpy(&sections, data + 40, sizeof sections);
    memcpy(sizes, data + 54, sizeof sizes);
    uint64_t end = sections + (uint64_t)sizes[2] * sizes[3], other = programs + (uint64_t)sizes[0] * sizes[1];
    return end > other ? end : other;
}

Module *add_module(const void *image, size_t bytes)
{
    Module *module = calloc(1, sizeof *module);
    module->image = image;
    module->bytes = bytes;
    return module;
}

Status load_module(Module *module)
{
    Part part = {module->image, module->bytes};
    uint64_t *reply;
    if (module->loaded)
        return module->status;
    module->loaded = 1;
    module->status = request(MODULE, &part, 1, (void **)&reply, NULL);
    if (module->status == SUCCESS)
        module->id = *reply;
    free(reply);
    return module->status;
}

static void forget_function(Function *function)
{
    free(function->parameters);
    free((char *)function->name);
    free(function);
}

void remove_module(Module *module)
{
    Part part = {&module->id, sizeof module->id};
    if (module->loaded && module->status == SUCCESS)
        request(UNLOAD, &part, 1, NULL, NULL);
    for (int k = 0; k < BUCKETS; k++) {
        for (Function **link = &functions[k]; *link;)
            if ((*link)->module == module) {
                Function *gone = *link;
                *link = gone->next;
                forget_function(gone);
            } else
                link = &(*link)->next;
        for (Variable **link = &variables[k]; *link;)
            if ((*link)->module == module) {
                Variable *gone = *link;
                *link = gone->next;
                free((char *)gone->name);
                free(gone);
            } else
                link = &(*link)->next;
    }
    while (module->by_name) {
        Function *gone = module->by_name;
        module->by_name = gone->next;
        forget_function(gone);
    }
    free(module);
}

void add_function(Module *module, const void *host, const char *name)
{
    Function *function = calloc(1, sizeof *function);
    function->host = host;
    function->name = strdup(name);
    function->module = module;
    function->next = functions[bucket(host)];
    functions[bucket(host)] = function;
}

void add_variable(Module *module, const void *host, const char *name, size_t bytes, void **managed)
{
    Variable *variable = calloc(1, sizeof *variable);
    *variable = (Variable){host, strdup(name), bytes, managed, module, variables[bucket(host)]};
    variables[bucket(host)] = variable;
}

Function *function_of(const void *host)
{
    for (Function *each = functions[bucket(host)]; each; each = each->next)
        if (each->host == host)
            return each;
    return NULL;
}

Status find_symbol(Module *module, const char *name, void **address, size_t *bytes)
{
    uint64_t *reply;
    Status status = load_module(module);
    if (status != SUCCESS)
        return status;
    Part parts[] = {{&module->id, sizeof module->id}, {name, strlen(name)}};
    status = request(SYMBOL, parts, 2, (void **)&reply, NULL);
    if (status == SUCCESS) {
        *address = (void *)reply[0];
        *bytes = reply[1];
        know_variable(*address, *bytes);
    }
    free(reply);
    return status;
}

Status symbol_address(const void *symbol, void **address, size_t *bytes)
{
    for (Variable *each = variables[bucket(symbol)]; each; each = each->next)
        if (each->host == symbol || (each->managed && *each->managed == symbol))
            return find_symbol(each->module, each->name, address, bytes) == SUCCESS ? SUCCESS : INVALID_SYMBOL;
    return INVALID_SYMBOL;
}

/* Programs reach a __managed__ variable through a pointer of their own, which is set before they use it. */
Status load_managed(Module *module)
{
    if (module->managed_ready)
        return SUCCESS;
    module->managed_ready = 1;
    for (int k = 0; k < BUCKETS; k++)
        for (Variable *each = variables[k]; each; each = each->next)
            if (each->module == module && each->managed) {
                void *address;
                size_t bytes;
                Status status = find_symbol(module, each->name, &address, &bytes);
                if (status != SUCCESS)
                    return status;
                *each->managed = address;
            }
    return SUCCESS;
}

/* Ask for a kernel: its number, what it needs, and where its parameters lie. */
Status resolve(Function *function)
{
    struct { uint64_t id, registers, shared, local, constant, most_threads, architecture, most_dynamic, count; Parameter parameters[]; } *reply;
    if (function->resolved)
        return SUCCESS;
    Status status = load_module(function->module);
    if (status != SUCCESS)
        return status;
    status = load_managed(function->module);
    if (status != SUCCESS)
        return status;
    Part parts[] = {{&function->module->id, sizeof function->module->id}, {function->name, strlen(function->name)}};
    status = request(FUNCTION, parts, 2, (void **)&reply, NULL);
    if (status == SUCCESS) {
        FunctionAttributes *attributes = &function->attributes;
        function->id = (uint32_t)reply->id;
        attributes->registers = (int)reply->registers;
        attributes->shared_bytes = reply->shared;
        attributes->local_bytes = reply->local;
        attributes->constant_bytes = reply->constant;
        attributes->max_threads = (int)reply->most_threads;
        attributes->ptx_version = attributes->binary_version = (int)reply->architecture;
        attributes->max_dynamic_shared = (int)reply->most_dynamic;
        attributes->carveout = -1;
        function->parameter_count = (uint32_t)reply->count;
        function->parameters = malloc(reply->count * sizeof(Parameter) + 1);
        memcpy(function->parameters, reply->parameters, reply->count * sizeof(Parameter));
        for (uint32_t k = 0; k < function->parameter_count; k++) {
            uint32_t end = function->parameters[k].offset + function->parameters[k].bytes;
            function->parameter_bytes = end > function->parameter_bytes ? end : function->parameter_bytes;
        }
        function->resolved = 1;
    }
    free(reply);
    return status;
}

Status find_function(Module *module, const char *name, Function **found)
{
    for (Function *each = module->by_name; each; each = each->next)
        if (!strcmp(each->name, name)) {
            *found = each;
            return SUCCESS;
        }
    Function *function = calloc(1, sizeof *function);
    function->name = strdup(name);
    function->module = module;
    Status status = resolve(function);
    if (status != SUCCESS) {
        forget_function(function);
        return status == INVALID_DEVICE_FUNCTION ? SYMBOL_NOT_FOUND : status;
    }
    function->next = module->by_name;
    module->by_name = function;
    *found = function;
    return SUCCESS;
}

Status occupancy(Function *function, int threads, size_t dynamic_shared, int *ctas)
{
    uint64_t *reply;
    Status status = resolve(function);
    if (status != SUCCESS)
        return status;
    uint64_t message[] = {function->id, (uint64_t)threads, dynamic_shared};
    Part part = {message, sizeof message};
    status = request(OCCUPANCY, &part, 1, (void **)&reply, NULL);
    if (status == SUCCESS)
        *ctas = (int)*reply;
    free(reply);
    return status;
}

/* ---- textures and surfaces */

static ChannelFormat format_of(const Resource *resource)
{
    if (resource->kind == RESOURCE_ARRAY)
        return resource->of.array->format;
    return resource->kind == RESOURCE_LINEAR ? resource->of.linear.format : resource->of.pitched.format;
}

Status create_texture(const Resource *resource, const TextureDescription *texture, int surface, uint64_t *handle)
{
    ChannelFormat format = format_of(resource);
    int64_t message[] = {0, 0, 1, 1, 0, 0, format.x, format.y, format.z, format.w, format.kind, surface, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    int64_t *address = message, *width = message + 1, *height = message + 2, *depth = message + 3, *pitch = message + 4;
    int64_t *slice = message + 5, *sampling = message + 12, *border = message + 18;
    int bytes = (format.x + format.y + format.z + format.w) / 8;
    if (!bytes || resource->kind == RESOURCE_MIPMAPPED)
        return resource->kind == RESOURCE_MIPMAPPED ? missing("a mipmapped texture") : INVALID_VALUE;
    if (resource->kind == RESOURCE_ARRAY) {
        const Array *array = resource->of.array;
        *address = (int64_t)array->start;
        *width = (int64_t)array->width;
        *height = (int64_t)array->height;
        *depth = (int64_t)array->depth;
        *pitch = (int64_t)array->pitch;
        *slice = (int64_t)(array->pitch * (array->height ? array->height : 1));
    } else if (resource->kind == RESOURCE_LINEAR) {
        *address = (int64_t)resource->of.linear.pointer;
        *width = (int64_t)resource->of.linear.bytes / bytes;
        *height = *depth = 0;
        *pitch = *slice = (int64_t)resource->of.linear.bytes;
    } else {
        *address = (int64_t)resource->of.pitched.pointer;
        *width = (int64_t)resource->of.pitched.width;
        *height = (int64_t)resource->of.pitched.height;
        *depth = 0;
        *pitch = (int64_t)resource->of.pitched.pitch;
        *slice = *pitch * *height;
    }
    if (texture) {
        for (int k = 0; k < 3; k++)
            sampling[k] = texture->address_mode[k];
        sampling[3] = texture->filter;
        sampling[4] = texture->read_mode;
        sampling[5] = texture->normalized;
        for (int k = 0; k < 4; k++) {
            uint32_t bits;
            memcpy(&bits, &texture->border[k], sizeof bits);
            border[k] = bits;
        }
    }
    uint64_t *reply;
    Part part = {message, sizeof message};
    Status status = request(TEXTURE, &part, 1, (void **)&reply, NULL);
    if (status == SUCCESS)
        *handle = *reply;
    free(reply);
    return status;
}

Status destroy_texture(uint64_t handle)
{
    Part part = {&handle, sizeof handle};
    return request(TEXTURE_END, &part, 1, NULL, NULL);
}
