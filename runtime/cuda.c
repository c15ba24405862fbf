/* The CUDA driver API over device.h: what numba-cuda, Triton and programs of their own kind call. */
#define _GNU_SOURCE
#include "device.h"
#include "errors.h"
#define API __attribute__((visibility("default")))
API Status cuInit(unsigned flags)
{
    (void)flags;
    return leave(enter());
}
