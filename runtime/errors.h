#ifndef GPUSIM_ERRORS_H
#define GPUSIM_ERRORS_H

#include "names.h"

const char *error_name(int status);
const char *driver_error_name(int status); /* NULL where there is none */
const char *error_text(int status);

#endif
