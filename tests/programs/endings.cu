// Ways for a program to end, by name. Each launches a kernel first, whose result must not be lost.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

__global__ void one(int *data) { *data = 1; }
__global__ void outside(int *data) { data[1 << 20] = 1; }

static int after_fork(int *data)
{
    pid_t child = fork();
    if (child == 0) { // a context does not survive fork
        int *more;
        _exit(cudaMalloc(&more, 4) == cudaErrorInitializationError ? 7 : 8);
    }
    int status;
    waitpid(child, &status, 0);
    one<<<1, 1>>>(data);
    return cudaDeviceSynchronize() == cudaSuccess ? WEXITSTATUS(status) : 9;
}

static int failed_kernel(int *data)
{
    outside<<<1, 1>>>(data);
    cudaError_t first = cudaDeviceSynchronize();
    one<<<1, 1>>>(data);
    cudaError_t second = cudaDeviceSynchronize(); // the context is lost
    printf("%s %s\n", cudaGetErrorName(first), cudaGetErrorName(second));
    return first != cudaSuccess && first == second ? 4 : 5;
}

int main(int, char **arguments)
{
    int *data;
    const char *way = arguments[1];
    cudaMalloc(&data, 4);
    one<<<1, 1>>>(data);
    cudaDeviceSynchronize();
    printf("launched\n");
    fflush(stdout);
    if (!strcmp(way, "exit"))
        exit(3);
    if (!strcmp(way, "_exit"))
        _exit(6);
    if (!strcmp(way, "abort"))
        abort();
    if (!strcmp(way, "crash"))
        raise(SIGSEGV);
    if (!strcmp(way, "fork"))
        return after_fork(data);
    if (!strcmp(way, "fault"))
        return failed_kernel(data);
    if (!strcmp(way, "missing")) {
        cudaIpcMemHandle_t handle;
        for (int k = 0; k < 3; k++)
            if (cudaIpcGetMemHandle(&handle, data) != cudaErrorNotSupported)
                return 1;
        return 0;
    }
    if (!strcmp(way, "launch for ever"))
        for (;;)
            one<<<1, 1>>>(data);
    if (!strcmp(way, "sleep"))
        for (;;)
            sleep(1);
    return 99;
}
