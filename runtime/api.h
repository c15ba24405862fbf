/* How functions of the APIs are written. */
#ifndef GPUSIM_API_H
#define GPUSIM_API_H

#define API __attribute__((visibility("default")))
/* A second name of a function. */
#define ALIAS(name, of) API extern __typeof__(of) name __attribute__((alias(#of)))
/* The whole of a function: what the expression does takes place connected and alone, and its status is returned. */
#define RETURN(expression) \
    do { \
        Status status = enter(); \
        return leave(status != SUCCESS ? status : (expression)); \
    } while (0)
/* The same in steps: what follows runs up to `return leave(status)`. */
#define ENTER() \
    do { \
        Status entered = enter(); \
        if (entered != SUCCESS) \
            return leave(entered); \
    } while (0)
#define NEEDS(condition, otherwise) \
    do { \
        if (!(condition)) \
            return leave(otherwise); \
    } while (0)

#endif
