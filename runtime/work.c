/* Streams, events and graphs. Work is done when it is given, so that all streams are in order by themselves; a stream
 * that captures keeps it in a graph instead. */
#define _GNU_SOURCE
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Stream { unsigned flags; int priority; uint64_t id; Graph *capturing; int origin; Stream *next; };
struct Event { unsigned flags; double time; Graph *captured; };
struct GraphNode { Work work; GraphNode **after; size_t after_count; GraphNode *next, *copy_of; int done; };
struct Graph { GraphNode *first, **end; };
struct GraphExec { Graph *graph; };

static Stream *streams, default_stream;
static uint64_t last_stream = 2; /* 1 and 2 stand for the two default streams */

static Stream *known(Stream *stream)
{
    return (uintptr_t)stream <= 2 ? &default_stream : stream;
}

/* ---- doing it */

Status make_launch(Function *function, Dim3 grid, Dim3 block, size_t shared, void **arguments, int cooperative, Work *work)
{
    Status status = resolve(function);
    if (status != SUCCESS)
        return status;
    *work = (Work){.kind = WORK_KERNEL, .of.launch = {function, grid, block, shared, cooperative, NULL}};
    unsigned char *packed = calloc(1, function->parameter_bytes + 1);
    for (uint32_t k = 0; k < function->parameter_count; k++)
        memcpy(packed + function->parameters[k].offset, arguments[k], function->parameters[k].bytes);
    work->of.launch.packed = packed;
    return SUCCESS;
}

static Status launch(const Launch *each)
{
    uint64_t message[] = {each->function->id, each->grid.x, each->grid.y, each->grid.z, each->block.x, each->block.y,
                          each->block.z, each->shared_bytes, (uint64_t)each->cooperative};
    Part parts[] = {{message, sizeof message}, {each->packed, each->function->parameter_bytes}};
    struct { double nanoseconds; char text[]; } *reply;
    size_t bytes;
    Status status = request(LAUNCH, parts, 2, (void **)&reply, &bytes);
    if (bytes >= sizeof(double)) {
        add_time(reply->nanoseconds);
        if (bytes > sizeof(double))
            fwrite(reply->text, 1, bytes - sizeof(double), stdout); /* what the kernel printed, in the program's order */
    }
    free(reply);
    return status;
}

static void copy(const Copy *each)
{
    for (size_t z = 0; z < each->depth; z++)
        for (size_t y = 0; y < each->height; y++)
            memmove(each->destination + z * each->destination_slice + y * each->destination_pitch,
                    each->source + z * each->source_slice + y * each->source_pitch, each->width);
}

static void fill(const Fill *each)
{
    for (size_t z = 0; z < each->depth; z++)
        for (size_t y = 0; y < each->height; y++) {
            char *row = each->destination + z * each->slice + y * each->pitch;
            if (each->element_bytes == 1)
                memset(row, (int)each->value, each->width);
            else
                for (size_t x = 0; x < each->width; x++)
                    memcpy(row + x * each->element_bytes, &each->value, each->element_bytes);
        }
}

static Status run_graph(Graph *graph);

static Status perform(const Work *work)
{
    switch (work->kind) {
    case WORK_KERNEL:
        return launch(&work->of.launch);
    case WORK_COPY:
        copy(&work->of.copy);
        return SUCCESS;
    case WORK_FILL:
        fill(&work->of.fill);
        return SUCCESS;
    case WORK_HOST:
        call_host(work->of.host.function, work->of.host.data);
        return SUCCESS;
    case WORK_GRAPH:
        return run_graph(work->of.graph);
    case WORK_RECORD:
        work->of.event->time = device_time();
        return SUCCESS;
    default:
        return SUCCESS;
    }
}

void free_work(Work *work)
{
    if (work->kind == WORK_KERNEL)
        free(work->of.launch.packed);
    if (work->kind == WORK_GRAPH)
        graph_destroy(work->of.graph);
}

Status submit(Stream *stream, Work work)
{
    Stream *to = known(stream);
    if (to->capturing)
        return graph_add(to->capturing, NULL, NULL, 0, work);
    Status status = perform(&work);
    free_work(&work);
    return status;
}

Status synchronise(Stream *stream)
{
    return known(stream)->capturing ? STREAM_CAPTURE_UNSUPPORTED : SUCCESS;
}

/* ---- streams and events */

Status stream_create(unsigned flags, int priority, Stream **stream)
{
    Stream *made = calloc(1, sizeof *made);
    *made = (Stream){flags, priority, ++last_stream, NULL, 0, streams};
    streams = *stream = made;
    return SUCCESS;
}

Status stream_destroy(Stream *stream)
{
    for (Stream **link = &streams; *link; link = &(*link)->next)
        if (*link == stream) {
            *link = stream->next;
            free(stream);
            return SUCCESS;
        }
    return INVALID_RESOURCE_HANDLE;
}

int stream_capturing(Stream *stream) { return known(stream)->capturing != NULL; }
unsigned stream_flags(Stream *stream) { return known(stream)->flags; }
int stream_priority(Stream *stream) { return known(stream)->priority; }
uint64_t stream_id(Stream *stream) { return (uintptr_t)stream <= 2 ? 1 : stream->id; }

/* A stream that waits for an event of a capture takes part in it. */
Status stream_wait(Stream *stream, Event *event)
{
    Stream *waiting = known(stream);
    if (!event)
        return INVALID_RESOURCE_HANDLE;
    if (event->captured && !waiting->capturing)
        waiting->capturing = event->captured;
    return SUCCESS;
}

typedef struct { StreamCallback function; Stream *stream; void *data; } Callback;

static void run_callback(void *data)
{
    Callback *callback = data;
    callback->function(callback->stream, SUCCESS, callback->data);
    free(callback);
}

Status stream_callback(Stream *stream, StreamCallback function, void *data)
{
    if (stream_capturing(stream))
        return STREAM_CAPTURE_UNSUPPORTED;
    Callback *callback = malloc(sizeof *callback);
    *callback = (Callback){function, stream, data};
    return submit(stream, (Work){.kind = WORK_HOST, .of.host = {run_callback, callback}});
}

Status event_create(unsigned flags, Event **event)
{
    *event = calloc(1, sizeof **event);
    (*event)->flags = flags;
    (*event)->time = -1;
    return SUCCESS;
}

Status event_destroy(Event *event)
{
    free(event);
    return event ? SUCCESS : INVALID_RESOURCE_HANDLE;
}

Status event_record(Event *event, Stream *stream)
{
    if (!event)
        return INVALID_RESOURCE_HANDLE;
    event->captured = known(stream)->capturing;
    if (event->captured)
        return SUCCESS; /* it orders what is captured, and is no node of its own */
    return submit(stream, (Work){.kind = WORK_RECORD, .of.event = event});
}

Status event_query(Event *event) { return event ? SUCCESS : INVALID_RESOURCE_HANDLE; }

Status event_elapsed(float *milliseconds, Event *start, Event *end)
{
    if (!start || !end || start->time < 0 || end->time < 0)
        return INVALID_RESOURCE_HANDLE;
    *milliseconds = (float)((end->time - start->time) / 1e6);
    return SUCCESS;
}

/* ---- graphs */

Status graph_create(Graph **graph)
{
    *graph = calloc(1, sizeof **graph);
    (*graph)->end = &(*graph)->first;
    return SUCCESS;
}

Status graph_destroy(Graph *graph)
{
    if (!graph)
        return INVALID_VALUE;
    while (graph->first) {
        GraphNode *node = graph->first;
        graph->first = node->next;
        free_work(&node->work);
        free(node->after);
        free(node);
    }
    free(graph);
    return SUCCESS;
}

static void depend(GraphNode *node, GraphNode *on)
{
    node->after = realloc(node->after, (node->after_count + 1) * sizeof *node->after);
    node->after[node->after_count++] = on;
}

Status graph_add(Graph *graph, GraphNode **added, GraphNode *const *after, size_t count, Work work)
{
    GraphNode *node = calloc(1, sizeof *node);
    node->work = work;
    for (size_t k = 0; k < count; k++)
        depend(node, after[k]);
    *graph->end = node;
    graph->end = &node->next;
    if (added)
        *added = node;
    return SUCCESS;
}

Status graph_depend(Graph *graph, GraphNode *const *from, GraphNode *const *to, size_t count)
{
    (void)graph;
    for (size_t k = 0; k < count; k++)
        depend(to[k], from[k]);
    return SUCCESS;
}

Status graph_nodes(Graph *graph, GraphNode **nodes, size_t *count, int roots)
{
    size_t found = 0;
    for (GraphNode *node = graph->first; node; node = node->next)
        if (!roots || !node->after_count) {
            if (nodes && found < *count)
                nodes[found] = node;
            found++;
        }
    if (!nodes || found < *count)
        *count = found;
    return SUCCESS;
}

Work *node_work(GraphNode *node) { return &node->work; }

static Work copy_work(const Work *work)
{
    Work copied = *work;
    if (work->kind == WORK_KERNEL) {
        size_t bytes = work->of.launch.function->parameter_bytes;
        copied.of.launch.packed = malloc(bytes + 1);
        memcpy(copied.of.launch.packed, work->of.launch.packed, bytes);
    }
    if (work->kind == WORK_GRAPH)
        graph_clone(&copied.of.graph, work->of.graph);
    return copied;
}

Status graph_clone(Graph **clone, Graph *graph)
{
    graph_create(clone);
    for (GraphNode *node = graph->first; node; node = node->next) {
        GraphNode *copied;
        graph_add(*clone, &copied, NULL, 0, copy_work(&node->work));
        copied->copy_of = node;
    }
    for (GraphNode *node = (*clone)->first; node; node = node->next)
        for (size_t k = 0; k < node->copy_of->after_count; k++)
            depend(node, node_in_clone(node->copy_of->after[k], *clone));
    return SUCCESS;
}

GraphNode *node_in_clone(GraphNode *node, Graph *clone)
{
    for (GraphNode *each = clone->first; each; each = each->next)
        if (each->copy_of == node)
            return each;
    return NULL;
}

/* Nodes in the order in which they were added, but behind those they depend on. */
static Status run_graph(Graph *graph)
{
    int left = 0, moved = 1;
    for (GraphNode *node = graph->first; node; node = node->next, left++)
        node->done = 0;
    while (left && moved) {
        moved = 0;
        for (GraphNode *node = graph->first; node; node = node->next) {
            int ready = !node->done;
            for (size_t k = 0; k < node->after_count; k++)
                ready &= node->after[k]->done;
            if (!ready)
                continue;
            Status status = perform(&node->work);
            if (status != SUCCESS)
                return status;
            node->done = moved = 1;
            left--;
        }
    }
    return left ? INVALID_VALUE : SUCCESS; /* they depend on each other in a circle */
}

Status graph_instantiate(Graph *graph, GraphExec **exec)
{
    if (!graph)
        return INVALID_VALUE;
    *exec = calloc(1, sizeof **exec);
    return graph_clone(&(*exec)->graph, graph);
}

Graph *exec_graph(GraphExec *exec) { return exec->graph; }

Status graph_update(GraphExec *exec, Graph *graph)
{
    graph_destroy(exec->graph);
    return graph_clone(&exec->graph, graph);
}

Status graph_launch(GraphExec *exec, Stream *stream)
{
    Work work = {.kind = WORK_GRAPH};
    if (!exec)
        return INVALID_VALUE;
    if (!known(stream)->capturing)
        return run_graph(exec->graph);
    graph_clone(&work.of.graph, exec->graph);
    return submit(stream, work);
}

Status exec_destroy(GraphExec *exec)
{
    if (!exec)
        return INVALID_VALUE;
    graph_destroy(exec->graph);
    free(exec);
    return SUCCESS;
}

/* ---- capture */

Status capture_begin(Stream *stream, Graph *into)
{
    Stream *from = known(stream);
    if (from->capturing)
        return STREAM_CAPTURE_UNSUPPORTED;
    if (into)
        from->capturing = into;
    else
        graph_create(&from->capturing);
    from->origin = 1;
    return SUCCESS;
}

Status capture_end(Stream *stream, Graph **graph)
{
    Stream *from = known(stream);
    Graph *captured = from->capturing;
    if (!captured || !from->origin)
        return INVALID_VALUE;
    for (Stream *each = streams; each; each = each->next)
        if (each->capturing == captured)
            each->capturing = NULL;
    if (default_stream.capturing == captured)
        default_stream.capturing = NULL;
    from->origin = 0;
    *graph = captured;
    return SUCCESS;
}

Graph *capture_graph(Stream *stream) { return known(stream)->capturing; }
