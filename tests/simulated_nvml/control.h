/* What the simulated driver is told to be: a small text file, read again and again.
 *
 * The environment variable SIMULATED_NVML names the file; without it there are 8 healthy GPUs. It is
 * read again every 5 ms at most, so it can be replaced (by renaming: never half a file) at any time. One
 * directive a line, words apart by blanks, `#` begins a comment. DEVICE is an index or `*`.
 *
 *   devices N                       how many GPUs are listed
 *   init CODE                       what nvmlInit returns
 *   driver TEXT | cuda NUMBER       versions
 *   generation N                    another number: the driver was reloaded, everything is uninitialized
 *   lost DEVICE                     off the bus: every call for it returns NVML_ERROR_GPU_IS_LOST
 *   latency MICROSECONDS            what every call costs
 *   process DEVICE compute|graphics PID BYTES [NAME]      BYTES -1: not available
 *   xid DEVICE CODE                 an event; each line is delivered once, if added after nvmlInit
 *   rule FUNCTION DEVICE error CODE
 *   rule FUNCTION DEVICE hang MILLISECONDS
 *   rule FUNCTION DEVICE value NUMBER [TYPE]              TYPE: nvmlValueType_t, for field values
 *   rule FUNCTION DEVICE text WORD                        for functions that return text; \xNN is a byte
 *
 * FUNCTION is the exported name without its `_vN`, `field:NUMBER` for one field of a batch, or `*` for
 * every call that takes a device.
 */
#ifndef SIMULATED_NVML_CONTROL_H
#define SIMULATED_NVML_CONTROL_H

#include <stdbool.h>

#define MAX_DEVICES 64
#define MAX_RULES 256
#define MAX_PROCESSES 1024
#define MAX_XIDS 4096
#define ANY_DEVICE (-1)

struct rule {
    char function[64];
    int device;
    bool has_code, has_value, has_text;
    int code;
    long hang_ms;
    double value;
    int type;
    char text[128];
};

struct process {
    int device;
    bool graphics;
    unsigned int pid;
    long long bytes;
    char name[128];
};

struct xid {
    int device;
    unsigned long long code;
};

struct control {
    int devices, init_code, cuda;
    long generation, latency_us;
    char driver[80];
    bool lost[MAX_DEVICES];
    int rules, processes, xids;
    struct rule rule[MAX_RULES];
    struct process process[MAX_PROCESSES];
    struct xid xid[MAX_XIDS];
};

/* The directives as they stand now; never NULL. */
const struct control *control_now(void);

/* The last rule for the function and the device that is about codes, hangs, values or text; or NULL. */
const struct rule *control_rule(const struct control *control, const char *function, int device);

void control_sleep_us(long microseconds);

#endif
