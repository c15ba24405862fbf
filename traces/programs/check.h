// What the programs of this folder share: errors end a program, and each ends with a verdict.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>

// Ends the program with the place and the name of the error where a call of CUDA fails.
#define OK(call)                                                                                     \
    do {                                                                                             \
        cudaError_t error_ = (call);                                                                 \
        if (error_ != cudaSuccess) {                                                                 \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(error_)); \
            exit(2);                                                                                 \
        }                                                                                            \
    } while (0)

// Whether two results agree but for rounding: relative to the larger, absolute below 1.
inline bool close_to(double found, double expected, double tolerance)
{
    return fabs(found - expected) <= tolerance * fmax(1.0, fmax(fabs(found), fabs(expected)));
}

// What a random-looking but repeatable input holds: a number from 0 to 2^24 - 1, which a float holds exactly.
inline unsigned scrambled(unsigned index)
{
    index = (index ^ (index >> 16)) * 0x7feb352du;
    index = (index ^ (index >> 15)) * 0x846ca68bu;
    return (index ^ (index >> 16)) >> 8;
}

// The last line of a program, and its exit code.
inline int verdict(long wrong)
{
    if (wrong) printf("FAILED: %ld results are wrong\n", wrong);
    else printf("PASSED\n");
    return wrong != 0;
}
