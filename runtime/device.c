/* The simulator at the other end of a socket, and device memory: one mapping at the same address in both processes. */
#define _GNU_SOURCE
#include "device.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE "GPUSIM_RUNTIME"
#define PROTOCOL 1
#define PAGE 4096
#define EXIT_LOST 121 /* exit code of a program whose simulator has gone */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int connection = -1;
static int is_forked, tried;
static Status connected = INITIALIZATION_ERROR;
static Status sticky;
static __thread Status last;
static DeviceFacts device;
static char *memory_base;
static size_t memory_bytes;
static double now;
static Allocation *allocations;
static size_t limits[16];

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("gpusim: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

Status missing(const char *name)
{
    static const char *told[512];
    int k = 0;
    while (k < 511 && told[k] && strcmp(told[k], name))
        k++;
    if (!told[k] && k < 511) {
        told[k] = name;
        complain("%s is not there; it returns 'not supported'", name);
    }
    return NOT_SUPPORTED;
}

/* ---- the socket */

static void lost(void)
{
    complain("the simulator has ended; so does this program");
    _exit(EXIT_LOST);
}

static void send_parts(const Part *parts, int count)
{
    for (int k = 0; k < count; k++)
        for (size_t sent = 0; sent < parts[k].bytes;) {
            ssize_t n = send(connection, (const char *)parts[k].data + sent, parts[k].bytes - sent, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                lost();
            sent += (size_t)n;
        }
}

static void receive(void *data, size_t bytes)
{
    for (size_t got = 0; got < bytes;) {
        ssize_t n = recv(connection, (char *)data + got, bytes - got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            lost();
        got += (size_t)n;
    }
}

Status request(enum Request kind, const Part *parts, int count, void **reply, size_t *reply_bytes)
{
    uint64_t header[2] = {kind, 0}, answer[2];
    Part first = {header, sizeof header};
    for (int k = 0; k < count; k++)
        header[1] += parts[k].bytes;
    send_parts(&first, 1);
    send_parts(parts, count);
    receive(answer, sizeof answer);
    void *data = malloc(answer[1] + 1);
    receive(data, answer[1]);
    if (reply) {
        *reply = data;
        if (reply_bytes)
            *reply_bytes = answer[1];
    } else
        free(data);
    Status status = (Status)answer[0];
    if (kind == LAUNCH && (status == ILLEGAL_ADDRESS || status == LAUNCH_TIMEOUT || (status >= ASSERT && status <= LAUNCH_FAILURE)))
        sticky = status; /* as on a card: the context is lost, and every later call says so */
    return status;
}

static int receive_memory(void)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int descriptor = -1;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}

static Status map_memory(void)
{
    int descriptor = receive_memory();
    if (descriptor < 0) {
        complain("the simulator gave no memory");
        return INITIALIZATION_ERROR;
    }
    void *place = mmap(memory_base, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, descriptor, 0);
    close(descriptor);
    if (place == memory_base)
        return SUCCESS;
    complain("device memory needs the addresses from %p, which this program uses; start it once more", (void *)memory_base);
    return INITIALIZATION_ERROR;
}

static void after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
    is_forked = connection >= 0;
    if (is_forked)
        close(connection);
    connection = -1;
}

/* The first message: who this is; the reply: the card, and where its memory goes. */
static Status greet(void)
{
    struct { uint64_t protocol, process; } hello = {PROTOCOL, (uint64_t)getpid()};
    struct { uint64_t base, bytes; DeviceFacts facts; } *reply;
    Part part = {&hello, sizeof hello};
    size_t bytes;
    Status status = request(HELLO, &part, 1, (void **)&reply, &bytes);
    if (status == SUCCESS && bytes == sizeof *reply) {
        memory_base = (char *)reply->base;
        memory_bytes = reply->bytes;
        device = reply->facts;
        status = map_memory();
    } else if (status == SUCCESS) {
        complain("the simulator is of another version than this library");
        status = INITIALIZATION_ERROR;
    }
    free(reply);
    return status;
}

static Status connect_simulator(void)
{
    const char *name = getenv(VARIABLE);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!name || strlen(name) + 1 > sizeof address.sun_path) {
        complain("no simulator: start this program with `gpusim exec -- PROGRAM`");
        return NO_DEVICE;
    }
    memcpy(address.sun_path + 1, name, strlen(name)); /* a name that is no file: nothing is left over */
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    if (connect(connection, (struct sockaddr *)&address, length)) {
        complain("the simulator does not answer: %s", strerror(errno));
        close(connection);
        connection = -1;
        return NO_DEVICE;
    }
    pthread_atfork(NULL, NULL, after_fork);
    return greet();
}

int forked(void) { return is_forked; }

Status enter(void)
{
    pthread_mutex_lock(&lock);
    if (is_forked)
        return INITIALIZATION_ERROR; /* as CUDA: a context does not survive fork */
    if (!tried) {
        tried = 1;
        limits[0] = 1024;     /* cudaLimitStackSize */
        limits[1] = 1 << 20;  /* cudaLimitPrintfFifoSize */
        limits[2] = 8 << 20;  /* cudaLimitMallocHeapSize */
        connected = connect_simulator();
    }
    return sticky ? sticky : connected;
}

Status leave(Status status)
{
    if (status != SUCCESS && status != NOT_READY)
        last = status;
    pthread_mutex_unlock(&lock);
    return status;
}

Status last_error(int forget)
{
    Status status = last;
    if (forget && !sticky)
        last = SUCCESS;
    return status;
}

void call_host(HostFunction function, void *data)
{
    pthread_mutex_unlock(&lock);
    function(data);
    pthread_mutex_lock(&lock);
}

/* ---- time and facts */

const DeviceFacts *facts(void) { return &device; }

void add_time(double nanoseconds) { now += nanoseconds; }

double device_time(void)
{
    struct timespec time;
    if (device.timed)
        return now;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

Status set_limit(int limit, size_t value)
{
    uint64_t message[2] = {(uint64_t)limit, value};
    Part part = {message, sizeof message};
    if (limit < 0 || limit >= 16)
        return INVALID_VALUE;
    limits[limit] = value;
    return request(LIMIT, &part, 1, NULL, NULL);
}

size_t get_limit(int limit) { return limit >= 0 && limit < 16 ? limits[limit] : 0; }

/* ---- memory */

Status allocate(size_t bytes, MemoryKind kind, unsigned flags, void **address)
{
    uint64_t size = bytes, *reply;
    Part part = {&size, sizeof size};
    *address = NULL;
    if (!bytes)
        return SUCCESS;
    Status status = request(ALLOCATE, &part, 1, (void **)&reply, NULL);
    if (status == SUCCESS) {
        Allocation *allocation = calloc(1, sizeof *allocation);
        *allocation = (Allocation){(char *)*reply, bytes, kind, flags, NULL, allocations};
        allocations = allocation;
        *address = allocation->start;
    }
    free(reply);
    return status;
}

static Status forget(Allocation **link)
{
    Allocation *allocation = *link;
    uint64_t address = (uint64_t)allocation->start;
    Part part = {&address, sizeof address};
    *link = allocation->next;
    free(allocation);
    return request(RELEASE, &part, 1, NULL, NULL);
}

Status release(void *address, MemoryKind kind)
{
    if (!address)
        return SUCCESS;
    for (Allocation **link = &allocations; *link; link = &(*link)->next)
        if ((*link)->start == address) {
            int host = (*link)->kind == HOST_MEMORY;
            if (host != (kind == HOST_MEMORY) || (*link)->kind == VARIABLE_MEMORY)
                return INVALID_VALUE;
            return forget(link);
        }
    return INVALID_VALUE;
}

void know_variable(void *start, size_t bytes)
{
    if (!bytes || allocation_of(start))
        return;
    Allocation *variable = calloc(1, sizeof *variable);
    *variable = (Allocation){start, bytes, VARIABLE_MEMORY, 0, NULL, allocations};
    allocations = variable;
}

Allocation *allocation_of(const void *address)
{
    const char *place = address;
    for (Allocation *each = allocations; each; each = each->next) {
        if (place >= each->start && place < each->start + each->bytes)
            return each;
        if (each->host && place >= each->host && place < each->host + each->bytes)
            return each;
    }
    return NULL;
}

size_t allocated_bytes(void)
{
    size_t sum = 0;
    for (Allocation *each = allocations; each; each = each->next)
        sum += each->kind == DEVICE_MEMORY || each->kind == MANAGED_MEMORY || each->kind == ARRAY_MEMORY ? each->bytes : 0;
    return sum;
}

/* Ordinary memory of the program that kernels are to reach: its pages become pages of device memory, so that both see
 * the same bytes. Whole pages move, with what else lies in them. */
Status register_host(void *start, size_t bytes, unsigned flags)
{
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)(PAGE - 1), end = ((uintptr_t)start + bytes + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    void *place;
    if (!start || !bytes)
        return INVALID_VALUE;
    if (allocation_of(start))
        return HOST_MEMORY_ALREADY_REGISTERED;
    Status status = allocate(end - first + PAGE, REGISTERED_MEMORY, flags, &place);
    if (status != SUCCESS)
        return status;
    char *device_pages = (char *)(((uintptr_t)place + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    memcpy(device_pages, (void *)first, end - first);
    /* an old size of 0 makes a second mapping of shared pages */
    if (mremap(device_pages, 0, end - first, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)first) == MAP_FAILED) {
        release(place, REGISTERED_MEMORY);
        return NOT_SUPPORTED;
    }
    allocations->start = device_pages + ((uintptr_t)start - first);
    allocations->bytes = bytes;
    allocations->host = start;
    return SUCCESS;
}

Status unregister_host(void *start)
{
    for (Allocation **link = &allocations; *link; link = &(*link)->next)
        if ((*link)->host == start && (*link)->kind == REGISTERED_MEMORY) {
            Allocation *gone = *link; /* its pages stay shared: the program goes on with them */
            *link = gone->next;
            free(gone);
            return SUCCESS;
        }
    return HOST_MEMORY_NOT_REGISTERED;
}

void *device_pointer(void *host)
{
    Allocation *allocation = allocation_of(host);
    if (!allocation)
        return NULL;
    return allocation->host ? allocation->start + ((char *)host - allocation->host) : host;
}
